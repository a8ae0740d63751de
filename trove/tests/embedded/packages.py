"""What must be installed on this machine: system packages and the services."""

import hashlib
import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock

from trove.tests.common import paths, progress, registries, release
from trove.tests.common.commands import run
from trove.tests.common.errors import ScenarioError

_WAY_OUT = "or set OS_CLOUD to test against another cloud"
_POLICY = Path("/usr/sbin/policy-rc.d")
GIGABYTE = 1 << 30
DISK_NEEDED = 12 * GIGABYTE


def check_machine() -> None:
    """Say at once what this machine lacks and nothing here can install.

    Raises:
        ScenarioError: no root, another distribution than Debian, too little disk.
    """
    if os.geteuid() != 0:
        raise ScenarioError(f"The embedded cloud needs root: run as root, {_WAY_OUT}.")
    distribution, version = registries.host_distribution()
    if distribution != "debian":
        found = f"{distribution} {version}".strip() or "an unknown distribution"
        raise ScenarioError(f"The embedded cloud needs Debian, this is {found}: {_WAY_OUT[3:]}.")
    home = paths.home()
    home.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(home).free
    if free < DISK_NEEDED:
        raise ScenarioError(
            f"{home} has {free / GIGABYTE:.1f} GB free and the embedded cloud needs"
            f" {DISK_NEEDED / GIGABYTE:.0f} GB: free some, name another folder in"
            f" TROVE_SCENARIO_HOME, {_WAY_OUT}."
        )


def missing(*profiles: str) -> list[str]:
    """Return the packages of bindep.txt's profiles that are not installed."""
    from bindep.depends import Depends

    wanted = Depends((paths.ROOT / "bindep.txt").read_text(), filename="bindep.txt")
    active = [*profiles, *wanted.platform_profiles()]
    faults = wanted.check_rules(wanted.active_rules(active))
    return sorted(
        {package for kind, packages in faults if kind == "missing" for package in packages}
    )


@contextmanager
def _no_daemon_starts() -> Iterator[None]:
    """Keep packages from starting their daemons on the host while they install."""
    if _POLICY.exists():
        yield
        return
    _POLICY.write_text("#!/bin/sh\nexit 101\n")
    _POLICY.chmod(0o755)
    try:
        yield
    finally:
        _POLICY.unlink()


def install_system_packages(log: Path) -> None:
    """Install with apt what bindep.txt names and this machine lacks.

    Raises:
        ScenarioError: apt failed.
    """
    lacking = missing("embedded", "image")
    if not lacking:
        return
    apt = {"DEBIAN_FRONTEND": "noninteractive"}
    what = "Installing system packages"
    with progress.step(f"system packages ({len(lacking)} missing)"), _no_daemon_starts():
        run(["apt-get", "update", "-q"], log=log, what=what, env=apt)
        options = ["-y", "-q", "--no-install-recommends"]
        run(["apt-get", "install", *options, *lacking], log=log, what=what, env=apt)


def services_environment(log: Path) -> Path:
    """Install the services of the series, once for each set of pins.

    Returns:
        The folder of a virtual environment, named by the content of the pins.

    Raises:
        ScenarioError: the package index could not be reached or the build failed.
    """
    series = release.load()
    pins = "\n".join(series.requirements) + release.CONSTRAINTS.read_text() + sys.version
    key = hashlib.sha256(pins.encode()).hexdigest()[:12]
    environments = paths.home() / "services"
    final = environments / f"{series.series}-{key}"
    environments.mkdir(parents=True, exist_ok=True)
    with FileLock(f"{final}.lock"):
        if (final / "complete").exists():
            return final
        with progress.step(f"services of {series.series}"):
            shutil.rmtree(final, ignore_errors=True)
            _install(final, series, log)
            (final / "complete").touch()
    return final


def _install(folder: Path, series: release.Release, log: Path) -> None:
    what = f"Installing the services of {series.series}"
    uv = [sys.executable, "-m", "uv"]
    indexes = registries.uv_environment()
    base = getattr(sys, "_base_executable", sys.executable)
    run([*uv, "venv", "--python", base, folder], log=log, what=what, env=indexes)
    run(
        [
            *(*uv, "pip", "install", "--python", folder / "bin" / "python"),
            *("--compile-bytecode", "--constraints", release.CONSTRAINTS),
            *series.requirements,
        ],
        log=log,
        what=what,
        env=indexes,
    )
