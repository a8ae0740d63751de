"""Folders as locks, which the kernel releases however a process ends."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from trove.tests.common import progress


@contextmanager
def held(folder: Path, how: int = fcntl.LOCK_EX, *, busy: str = "") -> Iterator[int]:
    """Hold a folder until the block, or this process, ends.

    Yields:
        the open file that the lock is on: programs that inherit it hold the folder as well.

    Args:
        folder: the folder.
        how: as ``fcntl.flock`` takes it; alone if nothing is said.
        busy: what to say where others have to be waited for.

    Raises:
        OSError: another process holds it, and ``how`` is not to wait for that.
    """
    handle = os.open(folder, os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        _lock(handle, how, busy)
        yield handle
    finally:
        os.close(handle)


def _lock(handle: int, how: int, busy: str) -> None:
    try:
        fcntl.flock(handle, how | (fcntl.LOCK_NB if busy else 0))
    except BlockingIOError:
        if not busy:
            raise
        progress.say(busy)
        fcntl.flock(handle, how)
