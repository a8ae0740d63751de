"""Guest images by themselves: how soon their database is healthy, and what tuning them saves."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from bench import servers
from bench.figures import Figures
from trove.tests.common import machine, matrix, progress
from trove.tests.common.errors import ScenarioError
from trove.tests.common.matrix import Target
from trove.tests.embedded import api, hypervisor, lifecycle
from trove.tests.embedded.api import EmbeddedCloud
from trove.tests.embedded.cloud import Cloud
from trove.tests.harness import images, verifying
from trove.tests.harness.redaction import new_password
from trove.tests.harness.waiting import wait_for

TIMEOUT = 1200  # seconds; without tuning and on a busy machine a guest takes several minutes


def measure(figures: Figures, datastores: Iterable[str]) -> None:
    """Boot the images of datastores emulated and, where this machine runs them, as containers."""
    for datastore in datastores:
        measure_emulated(figures, datastore)
    machine.install_packages("embedded")
    if fault := hypervisor.KINDS["lxc"].fault():
        progress.say(f"guest images are not measured as containers: {fault}")
        return
    with _cloud_of_containers() as names:
        for datastore in datastores:
            measure_container(figures, names, datastore)


@contextmanager
def _cloud_of_containers() -> Iterator[EmbeddedCloud]:
    """Have a cloud whose guests are containers: one of its own where the usual one has others."""
    usual, wanted = Cloud(), lifecycle.Wanted(hypervisor="lxc")
    running = usual.settings if usual.init else None
    own = running is not None and running.hypervisor != wanted.hypervisor
    cloud = Cloud("bench") if own else usual
    try:
        lifecycle.up(cloud, wanted)
        yield api.names_of(cloud)
    finally:
        if own:
            lifecycle.down(cloud)


def measure_emulated(figures: Figures, datastore: str) -> None:
    """Boot the image of a datastore on an emulated processor, with and without tuning."""
    target = matrix.load().select(datastore)
    tuned, untuned = (_seconds(target, tuned=tuned) for tuned in (True, False))
    figures.add(f"guest on to healthy (qemu, {datastore})", tuned, "s")
    figures.add(f"guest on to healthy, untuned (qemu, {datastore})", untuned, "s")
    figures.add(f"guest untuned, to tuned (qemu, {datastore})", untuned / tuned, "times")


def measure_container(figures: Figures, names: EmbeddedCloud, datastore: str) -> None:
    """Boot the image of a datastore on a cloud whose guests are containers."""
    target = matrix.load().select(datastore)
    with servers.booted(names, target, verifying.user_data(target, new_password())) as server:
        seconds = wait_for(
            lambda: _healthy(server), f"the guest of {datastore} is healthy", TIMEOUT, interval=3
        )
    figures.add(f"guest on to healthy (lxc, {datastore})", seconds, "s")


def _seconds(target: Target, *, tuned: bool) -> float:
    """Return the seconds from power-on until agent and database are there."""
    image = images.ensure_image(target, tuned=tuned)
    verified = verifying.verify(image, target, timeout=TIMEOUT, accelerator="tcg")
    # What Trove calls healthy: the agent is at work, and so is its database.
    return max(verified.seconds[stage] for stage in ("agent", "container"))


def _healthy(server: servers.Server) -> float | None:
    """Return when the database was healthy, by the guest's clock; None while it is not.

    Raises:
        ScenarioError: the guest says that it won't be.
    """
    for report in verifying.reports_in(server.console()):
        if "fault" in report:
            raise ScenarioError(f"The guest of the measurement failed: {report['fault']}")
        if report["stage"] == "container":
            return report["seconds"]
    return None
