"""The release's backup program, which only its source distribution has, and what it needs."""

import shutil
from pathlib import Path

import uv

from trove.tests.common import commands, content, paths, registries, release
from trove.tests.harness import building
from trove.tests.harness.server_source import ensure_server_source

# Written by the installer, about the machine it ran on.
_OF_THE_INSTALLER = ("bin", ".lock", "*.dist-info/RECORD", "*.dist-info/REQUESTED")


def ensure_backup_program(python: str) -> Path:
    """Return a folder with ``backup`` (the program) and ``lib`` (libraries it imports).

    Args:
        python: version of Python that will run it, such as ``3.13``.

    Raises:
        ScenarioError: it is not to be had, or isn't what the constraints say.
    """

    def make(folder: Path) -> None:
        program, without_tests = folder / "backup", shutil.ignore_patterns("tests")
        shutil.copytree(ensure_server_source() / "backup", program, ignore=without_tests)
        log = building.log_of(folder)
        _install_libraries(program / "requirements.txt", folder / "lib", python, log)

    pins = content.key([release.load().trove, python, release.GUEST_CONSTRAINTS, Path(__file__)])
    return building.made_once(paths.home() / "packages" / f"backup-program-{pins}", make)


def _install_libraries(requirements: Path, folder: Path, python: str, log: Path) -> None:
    target = ["--target", folder, "--python-version", python, "--python-platform", "linux"]
    wanted = ["--constraint", release.GUEST_CONSTRAINTS, "--requirement", requirements]
    install = [uv.find_uv_bin(), "pip", "install", "--only-binary=:all:", *target, *wanted]
    environment = registries.uv_environment()
    what = "Installing what the backup program needs"
    commands.run(install, log=log, what=what, env=environment)
    for pattern in _OF_THE_INSTALLER:
        for found in folder.glob(pattern):
            shutil.rmtree(found) if found.is_dir() else found.unlink()
