"""The services of the series, installed from the Python package index."""

import shutil
import sys
from pathlib import Path

from filelock import FileLock

from trove.tests.common import content, paths, progress, registries, release
from trove.tests.common.commands import run


def services_environment(log: Path) -> Path:
    """Install the services of the series, once for each set of pins.

    Returns:
        The folder of a virtual environment, named by the content of the pins.

    Raises:
        ScenarioError: the package index could not be reached or the build failed.
    """
    series = release.load()
    key = content.key([*series.requirements, release.CONSTRAINTS, sys.version])
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
