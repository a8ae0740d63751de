"""Remove what can be made again and nobody uses: dead clouds, old environments and databases."""

import fcntl
import shutil
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import psutil

from trove.tests.embedded import lifecycle, packages, snapshots
from trove.tests.embedded.cloud import Cloud


def prune() -> Iterator[tuple[Path, int]]:
    """Remove it; yield each folder that went, with the bytes it took on disk.

    The services' environment of this tree's pins stays, and what a running cloud
    uses. Guest images are not looked at: it is the harness that knows their keys.
    """
    for cloud in lifecycle.known():
        if (taken := _removed_if_dead(cloud)) is not None:
            yield cloud.folder, taken
    # Who starts doesn't run yet, and what it starts from is in use.
    with packages.held(fcntl.LOCK_EX, busy="a cloud is being started: waiting"):
        in_use = [packages.location(), *_programs()]
        for folder in (*packages.environments().glob("*/"), *snapshots.templates().glob("*/")):
            if not any(path.is_relative_to(folder) for path in in_use):
                taken = _size(folder)
                shutil.rmtree(folder)
                yield folder, taken


def _removed_if_dead(cloud: Cloud) -> int | None:
    """Remove a cloud that doesn't run; return the bytes that it took, None if it does."""
    with lifecycle.locked(cloud):
        if cloud.init:
            return None
        taken = _size(cloud.folder)
        lifecycle.remove(cloud)
        return taken


def _programs() -> Iterator[Path]:
    """Yield what the first processes of clouds run, whatever tree has started these."""
    for cloud in lifecycle.known():
        if init := cloud.init:
            with suppress(psutil.Error):
                yield from map(Path, init.cmdline())


def _size(folder: Path) -> int:
    return sum(entry.lstat().st_blocks * 512 for entry in folder.rglob("*"))
