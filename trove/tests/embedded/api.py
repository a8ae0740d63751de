"""What fixtures need of the embedded cloud."""

from dataclasses import dataclass

from trove.tests.common.errors import ScenarioError
from trove.tests.embedded import guests, lifecycle
from trove.tests.embedded.cloud import Cloud
from trove.tests.embedded.seeding import TENANT_NETWORK
from trove.tests.embedded.supervision import RUNNING, Supervisor


@dataclass(frozen=True)
class EmbeddedCloud:
    """A running embedded cloud, as a user of clouds.yaml sees it.

    Attributes:
        user_cloud: entry of the demo user.
        admin_cloud: entry of the administrator.
        network: name of the demo project's network.
        logs: folder of its services' logs.
        hypervisor: what runs its guests: ``kvm``, ``qemu`` or ``lxc``.
        enter: the command that opens a shell in a guest, but for its name.
    """

    user_cloud: str
    admin_cloud: str
    network: str
    logs: str
    hypervisor: str
    enter: str


def names_of(cloud: Cloud) -> EmbeddedCloud:
    """Return what a user needs to know of a cloud."""
    settings = cloud.settings
    assert settings, "the cloud is up"
    return EmbeddedCloud(
        cloud.user_cloud,
        cloud.admin_cloud,
        TENANT_NETWORK,
        str(cloud.folder / "logs"),
        settings.hypervisor,
        guests.way_in(cloud),
    )


def ailments(since: float) -> list[str]:
    """Return which services of the embedded cloud don't run, or had to be started again.

    Args:
        since: seconds since the epoch; who has run since before then, or since the cloud
            was started, was not started again.
    """
    cloud = Cloud()
    try:
        since = max(since, cloud.complete_since)
        processes = Supervisor(cloud.supervisor).processes()
    except OSError:
        return ["the embedded cloud is down"]
    return [
        f"{each['name']} {'was started again' if each['statename'] == RUNNING else 'does not run'}"
        for each in processes
        # The supervisor counts whole seconds.
        if each["statename"] != RUNNING or each["start"] >= int(since)
    ]


def is_up() -> bool:
    """Tell whether the embedded cloud runs, or is about to."""
    return Cloud().init is not None


def ensure_up() -> EmbeddedCloud:
    """Start the embedded cloud, or attach to it where it runs already.

    Raises:
        ScenarioError: the machine lacks something, or a service did not start.
    """
    cloud = Cloud()
    settings = lifecycle.up(cloud)
    if "trove" not in settings.components:
        raise ScenarioError(
            f"The cloud {cloud.name} runs without trove: call trove-cloud down first,"
            " or name another cloud in TROVE_CLOUD_NAME."
        )
    return names_of(cloud)
