"""Remove what can be made again and nobody uses: dead clouds, old environments and databases."""

import shutil
from collections.abc import Iterator
from pathlib import Path

from trove.tests.embedded import lifecycle, packages, snapshots
from trove.tests.embedded.cloud import Cloud


def prune() -> Iterator[tuple[Path, int]]:
    """Remove it; yield each folder that went, with the bytes it took on disk.

    The services' environment of this tree's pins stays, and what a running cloud
    uses. Guest images are not looked at: it is the harness that knows their keys.
    """
    in_use = {packages.location()}
    for cloud in lifecycle.known():
        if cloud.init is None:
            taken = _size(cloud.folder)
            if _down_if_dead(cloud):
                yield cloud.folder, taken
        elif cloud.settings:
            in_use.add(Path(cloud.settings.venv))
    for folder in (*packages.environments().glob("*/"), *snapshots.templates().glob("*/")):
        if folder not in in_use:
            taken = _size(folder)
            shutil.rmtree(folder)
            yield folder, taken


def _down_if_dead(cloud: Cloud) -> bool:
    with lifecycle.locked(cloud):
        dead = cloud.init is None
        if dead:
            lifecycle.remove(cloud)
    return dead


def _size(folder: Path) -> int:
    return sum(entry.lstat().st_blocks * 512 for entry in folder.rglob("*"))
