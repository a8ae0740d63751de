"""The server series that this tree belongs to (``integration/release``)."""

from dataclasses import dataclass
from functools import cache
from pathlib import Path

import yaml

from trove.tests.common import paths

CONSTRAINTS = paths.RELEASE / "constraints.txt"
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
