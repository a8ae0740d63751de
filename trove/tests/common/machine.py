"""What this machine must be, have and get installed for root's work: clouds and images."""

import os
import platform
import shutil
from pathlib import Path

from bindep.depends import Depends

from trove.tests.common import apt, content, paths, progress, registries
from trove.tests.common.errors import ScenarioError

_GIB = 1024**3
_FULL = 8 * 1024**2
# Guests are made of packages for this one, as the kernel calls it.
_PROCESSOR = "x86_64"
_INSTALLED = Path("/var/lib/dpkg/status")


def require_root(what: str, way_out: str = "") -> None:
    """Say that something takes root, before programs or the kernel refuse a part of it.

    Args:
        what: what is about to be done, as the subject of a sentence.
        way_out: what else the user can do, to end a sentence with.

    Raises:
        ScenarioError: this process is not root's.
    """
    if os.geteuid() != 0:
        raise ScenarioError(f"{what} needs root: run this as root{way_out}.")


def require(what: str, *, gib: float, way_out: str = "") -> None:
    """Say at once what this machine lacks and nothing here can install.

    Args:
        what: see ``require_root``.
        gib: room in GiB that it takes below ``TROVE_SCENARIO_HOME``.
        way_out: see ``require_root``.

    Raises:
        ScenarioError: no root, another processor or distribution, too little disk.
    """
    require_root(what, way_out)
    if (processor := platform.machine()) != _PROCESSOR:
        raise ScenarioError(
            f"{what} needs an x86-64 processor and this machine's is {processor or 'unknown'}:"
            f" use an x86-64 machine{way_out}."
        )
    distribution, version = registries.host_distribution()
    if distribution != "debian":
        found = f"{distribution} {version}".strip() or "unknown"
        raise ScenarioError(f"{what} needs Debian and this is {found}: use a Debian{way_out}.")
    home = paths.home()
    home.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(home).free / _GIB
    if free < gib:
        raise ScenarioError(
            f"{what} needs {gib:.0f} GiB in {home} and {free:.1f} GiB are free: make room,"
            f" name another folder in TROVE_SCENARIO_HOME{way_out}."
        )


def require_space_left(what: str) -> None:
    """Say that the disk is full, before programs fail or wait because of it.

    Raises:
        ScenarioError: next to nothing is free below ``TROVE_SCENARIO_HOME``.
    """
    home = paths.home()
    if shutil.disk_usage(home).free < _FULL:
        raise ScenarioError(
            f"The disk of {home} is full, so {what} was ended: make room,"
            " or name another folder in TROVE_SCENARIO_HOME."
        )


def missing_packages(*profiles: str) -> list[str]:
    """Return the packages of bindep.txt's profiles that are not installed."""
    wanted = Depends(paths.BINDEP.read_text(), filename=paths.BINDEP.name)
    active = [*profiles, *wanted.platform_profiles()]
    faults = wanted.check_rules(wanted.active_rules(active))
    lacking = (names for kind, names in faults if kind == "missing")
    return sorted({name for names in lacking for name in names})


def install_packages(*profiles: str) -> None:
    """Install with apt what bindep.txt's profiles name and this machine lacks.

    Raises:
        ScenarioError: apt failed.
        KeyboardInterrupt: this process was interrupted; apt has got to its end before.
    """
    folder = paths.home() / "logs"
    folder.mkdir(parents=True, exist_ok=True)
    seen = folder / f"packages-{'-'.join(profiles)}"
    with apt.alone() as lock:
        if seen.exists() and seen.read_text() == _packages_key():
            return
        if lacking := missing_packages(*profiles):
            with progress.step(f"system packages ({len(lacking)} missing)"):
                apt.install(lacking, folder / "apt.log", lock)
        seen.write_text(_packages_key())


def _packages_key() -> str:
    """Return a hash of what is wanted and what is installed; comparing the two takes a second."""
    return content.key([paths.BINDEP, _INSTALLED])
