"""Folders for the duration of something, removed also after a process that was killed."""

import fcntl
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from trove.tests.common import locks


@contextmanager
def folder(
    kind: str, within: Path, release: Callable[[Path], object] = lambda _: None
) -> Iterator[Path]:
    """Have an empty folder that nobody else can read, for as long as the block.

    What processes that were killed in such a block have left of its kind is removed.

    Args:
        kind: begins the folder's name.
        within: the folder that it is made in; made, too, if need be.
        release: undoes what keeps files in such a folder in use, before it is removed.
    """
    within.mkdir(parents=True, exist_ok=True)

    def remove(folder: Path) -> None:
        release(folder)
        shutil.rmtree(folder)

    with ExitStack() as stack:
        # Nobody takes for left behind what is made and not yet held.
        with locks.held(within):
            for left in within.glob(f"{kind}-*"):
                with suppress(OSError), locks.held(left, fcntl.LOCK_EX | fcntl.LOCK_NB):
                    remove(left)
            made = Path(tempfile.mkdtemp(prefix=f"{kind}-", dir=within))
            stack.enter_context(locks.held(made))
        stack.callback(remove, made)
        yield made
