"""A cloud's control groups, of version 1, as the host sees them.

They are in no namespace: unlike processes, mounts and links they don't end with
the cloud, and are removed.
"""

import os
import time
from collections.abc import Iterator
from pathlib import Path

import psutil

from trove.tests.common.errors import ScenarioError

_VERSION_1 = "cgroup"


def present() -> bool:
    """Tell whether this machine has hierarchies that containers of libvirt can use."""
    return any(True for _ in _hierarchies())


def name(folder: Path) -> str:
    """Return the name of the groups of the cloud in ``folder``, the same in all hierarchies."""
    return f"trove-cloud{str(folder).replace('/', '-')}"


def remove(folder: Path, timeout: float = 10) -> None:
    """Remove the groups of the cloud in ``folder``, whose processes have been killed.

    Args:
        folder: the cloud's folder.
        timeout: seconds that the last processes have to be gone.

    Raises:
        ScenarioError: a process is still in one.
    """
    deadline = time.monotonic() + timeout
    for group in list(_groups(name(folder))):
        for below, _, _ in os.walk(group, topdown=False):
            while not _removed(Path(below)):
                if time.monotonic() > deadline:
                    raise ScenarioError(f"Processes survive in the control group {below}.")
                time.sleep(0.05)


def _removed(group: Path) -> bool:
    try:
        group.rmdir()
    except FileNotFoundError:
        return True
    except OSError:  # something is still in it
        return False
    return True


def _hierarchies() -> Iterator[str]:
    for mount in psutil.disk_partitions(all=True):
        if mount.fstype == _VERSION_1:
            yield mount.mountpoint


def _groups(wanted: str) -> Iterator[Path]:
    for hierarchy in _hierarchies():
        for parent, folders, _ in os.walk(hierarchy):
            if wanted in folders:
                yield Path(parent, wanted)
