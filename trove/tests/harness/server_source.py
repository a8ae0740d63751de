"""The pinned release of the server as its developers hand it out: the source distribution."""

import hashlib
import tomllib
import urllib.request
from pathlib import Path

import uv

from trove.tests.common import commands, content, paths, registries, release
from trove.tests.common.errors import ScenarioError
from trove.tests.harness import building


def ensure_server_source() -> Path:
    """Return the folder that the pinned release's source distribution unpacks to.

    Raises:
        ScenarioError: it is not to be had, or isn't what the constraints say.
    """

    def make(folder: Path) -> None:
        archive = folder / "source.tar.gz"
        archive.write_bytes(_fetch(folder, building.log_of(folder)))
        # By tar: the tarfile of Debian 12's Python has no filters, later ones ask for one.
        place = [f"--file={archive}", f"--directory={folder}"]
        tar = ["tar", "--extract", "--no-same-owner", *place]
        commands.run(tar, log=building.log_of(folder), what=f"Unpacking {name}")
        archive.unlink()

    name = f"trove-{release.load().trove}"
    pins = content.key([name, release.GUEST_CONSTRAINTS])
    # Not beside what is made of it: making removes what others left half made beside it.
    return building.made_once(paths.home() / "sources" / f"{name}-{pins}", make) / name


def _fetch(folder: Path, log: Path) -> bytes:
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
    if f"--hash=sha256:{digest}" not in release.GUEST_CONSTRAINTS.read_text():
        raise ScenarioError(
            f"The source of trove {version} isn't the one that {release.GUEST_CONSTRAINTS} pins."
        )
    return source
