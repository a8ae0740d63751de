"""The release's backup program, which only its source distribution has, and what it needs."""

import hashlib
import shutil
import tarfile
import tomllib
import urllib.request
from pathlib import Path, PurePosixPath

import uv

from trove.tests.common import commands, content, paths, registries, release
from trove.tests.common.errors import ScenarioError
from trove.tests.harness import building

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
        log = building.log_of(folder)
        source = folder / "source.tar.gz"
        source.write_bytes(_source(folder, log))
        _unpack(source, folder / "backup")
        source.unlink()
        _install_libraries(folder / "backup/requirements.txt", folder / "lib", python, log)

    pins = content.key([release.load().trove, python, release.CONSTRAINTS, Path(__file__)])
    return building.made_once(paths.home() / "packages" / f"backup-program-{pins}", make)


def _source(folder: Path, log: Path) -> bytes:
    """Fetch the source distribution of the pinned release."""
    version = release.load().trove
    wanted = folder / "trove.in"
    wanted.write_text(f"trove=={version}\n")
    found = folder / "pylock.toml"
    argv = ["pip", "compile", "--quiet", "--no-deps", "--format=pylock.toml", "-o", found, wanted]
    what = f"Looking for the source of trove {version}"
    environment = registries.uv_environment()
    commands.run([uv.find_uv_bin(), *argv], log=log, what=what, env=environment)
    (package,) = tomllib.loads(found.read_text())["packages"]
    for file in (wanted, found):
        file.unlink()
    try:
        with urllib.request.urlopen(package["sdist"]["url"], timeout=60) as answer:
            source = answer.read()
    except (KeyError, OSError) as error:
        raise ScenarioError(
            f"The package index doesn't give the source of trove {version}: {error}."
        ) from None
    digest = hashlib.sha256(source).hexdigest()
    if f"--hash=sha256:{digest}" not in release.CONSTRAINTS.read_text():
        raise ScenarioError(
            f"The source of trove {version} isn't the one that {release.CONSTRAINTS} pins."
        )
    return source


def _unpack(source: Path, folder: Path) -> None:
    """Unpack the program out of the source distribution, without its tests."""
    with tarfile.open(source) as archive:
        for member in archive.getmembers():
            _, *inside = PurePosixPath(member.name).parts
            if inside[:1] == ["backup"] and inside[1:2] != ["tests"] and member.isfile():
                file = folder.joinpath(*inside[1:])
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_bytes(archive.extractfile(member).read())


def _install_libraries(requirements: Path, folder: Path, python: str, log: Path) -> None:
    target = ["--target", folder, "--python-version", python, "--python-platform", "linux"]
    wanted = ["--constraint", release.CONSTRAINTS, "--requirement", requirements]
    install = [uv.find_uv_bin(), "pip", "install", "--only-binary=:all:", *target, *wanted]
    environment = registries.uv_environment()
    what = "Installing what the backup program needs"
    commands.run(install, log=log, what=what, env=environment)
    for pattern in _OF_THE_INSTALLER:
        for found in folder.glob(pattern):
            shutil.rmtree(found) if found.is_dir() else found.unlink()
