"""The server series that this tree belongs to (``integration/release``)."""

from dataclasses import dataclass
from functools import cache
from pathlib import Path

import yaml

from trove.tests.common import paths

CONSTRAINTS = paths.RELEASE / "constraints.txt"
# Of these only what goes into guest images: a change of any other builds none anew.
GUEST_CONSTRAINTS = paths.RELEASE / "guest-constraints.txt"
TEMPLATES = paths.RELEASE / "templates"


@dataclass(frozen=True)
class Release:
    """One OpenStack series, as ``release.yaml`` states it.

    Attributes:
        series: name of the series, such as ``2026.2``.
        services: distribution name on the package index to version.
        service_extras: distributions the services need to run here.
        frozen_on: ISO date; nothing newer enters the constraints.
        bounds: requirement bounds that the services' metadata leaves open.
    """

    series: str
    services: dict[str, str]
    service_extras: tuple[str, ...]
    frozen_on: str
    bounds: tuple[str, ...]

    @property
    def trove(self) -> str:
        """Version of the Trove server, and so of the guest agent."""
        return self.services["trove"]

    @property
    def requirements(self) -> list[str]:
        """Everything to install for the services, pinned where the series pins."""
        pinned = [f"{name}=={version}" for name, version in self.services.items()]
        return pinned + list(self.service_extras)


@dataclass(frozen=True)
class ServerBug:
    """Something wrong in the pinned server (``server-bugs.yaml``).

    Attributes:
        where: place in the server's source.
        text: what happens.
        datastores: names of those where it shows; none for all.
    """

    where: str
    text: str
    datastores: tuple[str, ...] = ()

    def shows(self, datastore: str) -> bool:
        """Tell whether it shows on a datastore."""
        return not self.datastores or datastore in self.datastores


@cache
def server_bugs(path: Path = paths.RELEASE / "server-bugs.yaml") -> dict[str, ServerBug]:
    """Return what is known to be wrong in the server of this series, by name."""
    return {
        name: ServerBug(**{**entry, "datastores": tuple(entry.get("datastores", ()))})
        for name, entry in yaml.safe_load(path.read_text()).items()
    }


@cache
def load(path: Path = paths.RELEASE / "release.yaml") -> Release:
    """Read the series of this tree."""
    data = yaml.safe_load(path.read_text())
    return Release(
        series=str(data["series"]),
        services={name: str(version) for name, version in data["services"].items()},
        service_extras=tuple(data["service_extras"]),
        frozen_on=str(data["frozen_on"]),
        bounds=tuple(data["bounds"]),
    )
