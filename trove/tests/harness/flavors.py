"""The sizes that guests get."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from openstack.exceptions import ConflictException

from trove.tests.common.errors import ScenarioError
from trove.tests.common.matrix import Datastore
from trove.tests.harness.clients import Cloud
from trove.tests.harness.journal import KEPT, PREFIX, Entry, Journal


@dataclass(frozen=True)
class FlavorSpec:
    """A size.

    Attributes:
        ram_mb: memory in MiB.
        vcpus: virtual processors.
        disk_gb: root disk in GiB.
    """

    ram_mb: int = 1536
    vcpus: int = 2
    disk_gb: int = 5

    @property
    def name(self) -> str:
        """Name of a flavor made for this size."""
        return f"{PREFIX}{self.ram_mb}-{self.vcpus}-{self.disk_gb}"


def suited(hypervisor: str | None) -> FlavorSpec:
    """Return the size of guests where no other is asked for.

    Args:
        hypervisor: what runs them, None where that isn't known.
    """
    # Two emulated processors wait for each other where the machine has none to spare; and
    # now and then one runs code that the kernel has changed from the other, and panics.
    return FlavorSpec(vcpus=1) if hypervisor == "qemu" else FlavorSpec()


def named(cloud: Cloud, name: str) -> str:
    """Return the id of the flavor with this name or id.

    Raises:
        ScenarioError: there is none; the text lists those there are.
    """
    if found := cloud.compute.find_flavor(name, ignore_missing=True):
        return found.id
    known = ", ".join(sorted(flavor.name for flavor in cloud.compute.flavors())) or "none at all"
    raise ScenarioError(f"Cloud {cloud.name!r} has no flavor {name!r}; known are: {known}.")


def ensure(admin: Cloud, spec: FlavorSpec, journal: Journal) -> str:
    """Return the id of a flavor of this size: one that is there, else a new one.

    A new one is kept after the run.
    """
    if found := _public(admin, spec):
        return found
    try:
        flavor = _create(admin, spec.name, spec, journal)
    except ConflictException:
        # Another run on this cloud was quicker.
        if found := _public(admin, spec):
            return found
        raise
    journal.closed(flavor, KEPT)
    return flavor.id


def _public(admin: Cloud, spec: FlavorSpec) -> str | None:
    flavors = admin.compute.flavors()
    return next((each.id for each in flavors if _size(each) == spec and each.is_public), None)


@contextmanager
def temporary(admin: Cloud, name: str, spec: FlavorSpec, journal: Journal) -> Iterator[str]:
    """Have a flavor of this size, told by its id, which is deleted at the end."""
    flavor = _create(admin, name, spec, journal)
    try:
        yield flavor.id
    finally:
        admin.compute.delete_flavor(flavor.id)
        journal.closed(flavor)


def _create(admin: Cloud, name: str, spec: FlavorSpec, journal: Journal) -> Entry:
    entry = journal.creating("flavor", name)
    with journal.refusable(entry):
        flavor = admin.compute.create_flavor(
            name=name, ram=spec.ram_mb, vcpus=spec.vcpus, disk=spec.disk_gb
        )
    return journal.created(entry, flavor.id)


def check(spec: FlavorSpec, datastore: Datastore) -> None:
    """Refuse a size that is too small for a datastore's guests.

    Raises:
        ScenarioError: it is too small; the text says what is needed.
    """
    if spec.ram_mb < datastore.guest_ram_mb or spec.disk_gb < datastore.guest_disk_gb:
        raise ScenarioError(
            f"A flavor of {spec.ram_mb} MiB and {spec.disk_gb} GiB is too small for "
            f"{datastore.name}: it needs {datastore.guest_ram_mb} MiB and "
            f"{datastore.guest_disk_gb} GiB at least."
        )


def size_of(cloud: Cloud, id: str) -> FlavorSpec:
    """Return the size of a flavor."""
    return _size(cloud.compute.get_flavor(id))


def _size(flavor: Any) -> FlavorSpec:
    return FlavorSpec(flavor.ram, flavor.vcpus, flavor.disk)
