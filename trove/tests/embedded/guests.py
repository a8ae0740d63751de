"""The guests that run in a cloud, and the way into one.

Those that share the cloud's kernel are entered by it; into those with a kernel of their
own leads SSH, over the management network and with the cloud's key.
"""

import shlex
from dataclasses import dataclass
from ipaddress import IPv4Address, ip_address
from pathlib import Path
from xml.etree import ElementTree

from trove.tests.common import guest_logins
from trove.tests.common.errors import ScenarioError
from trove.tests.embedded import namespaces
from trove.tests.embedded.cloud import Cloud
from trove.tests.embedded.hypervisor import KINDS

# Where libvirt keeps what runs, as the cloud sees it: a folder for each of its drivers.
_RUNNING = "run/libvirt"
_NOVA = "{http://openstack.org/xmlns/libvirt/nova/1.1}"


@dataclass(frozen=True)
class Guest:
    """A server that runs.

    Attributes:
        name: the server's; Trove's instances call theirs as they are called.
        id: the server's.
        addresses: of all its legs.
        init: number of its first process, as the cloud sees it; None unless it is a container.
    """

    name: str
    id: str
    addresses: tuple[IPv4Address, ...]
    init: int | None = None


def running(root: Path, driver: str) -> list[Guest]:
    """Return the guests whose records lie below a cloud's root folder.

    Args:
        root: the folder.
        driver: libvirt's, ``lxc`` or ``qemu``.
    """
    records = sorted((root / _RUNNING / driver).glob("*.xml"))
    return [_guest(ElementTree.parse(record).getroot()) for record in records]


def way_in(cloud: Cloud) -> str:
    """Return the command that opens a shell in a guest of a cloud, but for its name."""
    return f"trove-cloud --name {cloud.name} enter"


def enter(cloud: Cloud, wanted: str, command: list[str]) -> list[str]:
    """Return the command line that runs another one, as root, inside of a guest.

    Args:
        cloud: where it runs.
        wanted: name or id of its server.
        command: program and arguments; none is a shell.

    Raises:
        ScenarioError: the cloud is down, or no such guest runs in it.
    """
    init, settings = cloud.require_up()
    driver = "lxc" if KINDS[settings.hypervisor].containers else "qemu"
    guests = running(Path(f"/proc/{init.pid}/root"), driver)
    for guest in guests:
        if wanted in (guest.name, guest.id):
            return namespaces.enter(init, _inside(cloud, guest, command))
    known = ", ".join(guest.name for guest in guests) or "none at all"
    raise ScenarioError(f"No guest {wanted!r} runs in the cloud {cloud.name}; known are: {known}.")


def _inside(cloud: Cloud, guest: Guest, command: list[str]) -> list[str]:
    if guest.init is not None:
        # All of its first process's namespaces, and its control groups.
        shell = command or ["/bin/bash", "-l"]
        return ["nsenter", "--target", str(guest.init), "--all", "--", *shell]
    for address in guest.addresses:
        if address in cloud.net.management:
            login = guest_logins.ssh(cloud.guest_key, str(address))
            return [*login, shlex.join(command)] if command else login
    raise ScenarioError(
        f"The guest {guest.name} has no address in the management network, by which it is entered."
    )


def _guest(record: ElementTree.Element) -> Guest:
    init = record.find("init")
    return Guest(
        record.findtext(f".//{_NOVA}name", ""),
        record.findtext("domain/uuid", ""),
        tuple(ip_address(each.get("address")) for each in record.iterfind(f".//{_NOVA}ip")),
        None if init is None else int(init.get("pid")),
    )
