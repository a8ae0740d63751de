"""The services of the series, installed from the Python package index."""

import shutil
import sys
from contextlib import AbstractContextManager
from pathlib import Path

from filelock import FileLock

from trove.tests.common import content, locks, paths, progress, registries, release
from trove.tests.common.commands import run


def environments() -> Path:
    """Return the folder of the services' virtual environments, one for each set of pins."""
    return paths.home() / "services"


def location() -> Path:
    """Return the folder of this tree's virtual environment, named by the content of the pins."""
    series = release.load()
    key = content.key([*series.requirements, release.CONSTRAINTS, sys.version])
    return environments() / f"{series.series}-{key}"


def held(how: int, busy: str) -> AbstractContextManager:
    """Hold the virtual environments, and all else that several clouds start from.

    Args:
        how: ``LOCK_SH`` to start a cloud from it, ``LOCK_EX`` to remove what no cloud uses.
        busy: what to say when somebody else holds it otherwise.
    """
    environments().mkdir(parents=True, exist_ok=True)
    return locks.held(environments(), how, busy=busy)


def services_environment(log: Path) -> Path:
    """Install the services of the series, once for each set of pins; return the folder.

    Raises:
        ScenarioError: the package index could not be reached or the build failed.
    """
    series, final = release.load(), location()
    final.parent.mkdir(parents=True, exist_ok=True)
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
