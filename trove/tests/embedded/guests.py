"""The guests that share the cloud's kernel, and the way into one."""

from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

from trove.tests.common.errors import ScenarioError
from trove.tests.embedded import namespaces
from trove.tests.embedded.cloud import Cloud

HYPERVISOR = "lxc"
# Where libvirt keeps what runs, as the cloud sees it.
_RUNNING = "run/libvirt/lxc"
_NOVA = "{http://openstack.org/xmlns/libvirt/nova/1.1}"


@dataclass(frozen=True)
class Guest:
    """A server that runs as a container.

    Attributes:
        name: the server's; Trove's instances call theirs as they are called.
        id: the server's.
        init: number of its first process, as the cloud sees it.
    """

    name: str
    id: str
    init: int


def running(root: Path) -> list[Guest]:
    """Return the guests whose records lie below a cloud's root folder."""
    records = sorted((root / _RUNNING).glob("*.xml"))
    return [_guest(ElementTree.parse(record).getroot()) for record in records]


def way_in(cloud: Cloud) -> str | None:
    """Return the command that opens a shell in a guest of a cloud, but for its name."""
    shared = cloud.settings and cloud.settings.hypervisor == HYPERVISOR
    return f"trove-cloud --name {cloud.name} enter" if shared else None


def enter(cloud: Cloud, wanted: str, command: list[str]) -> list[str]:
    """Return the command line that runs another one inside of a guest.

    Args:
        cloud: where it runs.
        wanted: name or id of its server.
        command: program and arguments.

    Raises:
        ScenarioError: the cloud is down, or no guest of it can be entered so.
    """
    init, settings = cloud.init, cloud.settings
    if init is None or settings is None:
        raise ScenarioError(f"The cloud {cloud.name} is not up: call trove-cloud up.")
    if settings.hypervisor != HYPERVISOR:
        raise ScenarioError(
            f"Guests of the cloud {cloud.name} have kernels of their own ({settings.hypervisor}):"
            " only those of a cloud that was started with --hypervisor lxc can be entered."
        )
    guests = running(Path(f"/proc/{init.pid}/root"))
    for guest in guests:
        if wanted in (guest.name, guest.id):
            # All of its first process's namespaces, and its control groups.
            inside = ["nsenter", "--target", str(guest.init), "--all", "--", *command]
            return namespaces.enter(init, inside)
    known = ", ".join(guest.name for guest in guests) or "none at all"
    raise ScenarioError(f"No guest {wanted!r} runs in the cloud {cloud.name}; known are: {known}.")


def _guest(record: ElementTree.Element) -> Guest:
    return Guest(
        record.findtext(f".//{_NOVA}name", ""),
        record.findtext("domain/uuid", ""),
        int(record.find("init").get("pid")),
    )
