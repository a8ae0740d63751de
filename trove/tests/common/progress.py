"""Long work shows what it does, how far it is and how long it took."""

import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import IO, TYPE_CHECKING

if TYPE_CHECKING:  # importing it takes a while, and a line in a log needs none of it
    from rich.progress import Progress

_started = time.monotonic()
_lock = threading.Lock()


def _to_stderr(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


_sink: Callable[[str], None] = _to_stderr


_live: "Progress | None" = None
# Of the work that is going on here: another thread's work is another one.
_parts: "ContextVar[Parts | None]" = ContextVar("parts", default=None)


def send_lines_to(sink: Callable[[str], None]) -> None:
    """Have every progress line handed to ``sink`` instead of standard error."""
    global _sink
    _sink = sink


def say(text: str) -> None:
    """Print one line, preceded by the seconds since this process began."""
    line = f"[{time.monotonic() - _started:5.0f} s] {text}"
    with _lock:
        if _live:
            _live.console.print(line, markup=False, highlight=False)
        else:
            _sink(line)


@contextmanager
def step(label: str) -> Iterator[None]:
    """Say that ``label`` begins, and at its end how many seconds it took."""
    say(f"{label} ...")
    begun = time.monotonic()
    try:
        yield
    except BaseException:
        say(f"{label}: FAILED after {time.monotonic() - begun:.1f} s")
        raise
    say(f"{label}: {time.monotonic() - begun:.1f} s")


@contextmanager
def part(label: str) -> Iterator[None]:
    """Say that a part of the current work begins, and at its end how far the whole is.

    Outside of any such work it is a step.
    """
    work = _parts.get()
    if work is None:
        with step(label):
            yield
    else:
        if not _live:
            say(f"{label} ...")
        with work.part(label):
            yield


@contextmanager
def reading(label: str, file: Path) -> Iterator[IO[bytes]]:
    """Open a file to be read once from start to end, and show how far that is."""
    with step(f"{label} ({file.stat().st_size >> 20} MiB)"):
        if _sink is not _to_stderr or not sys.stderr.isatty() or _live:
            with file.open("rb") as data:
                yield data
            return
        from rich import progress as display
        from rich.console import Console

        console = Console(stderr=True)
        with display.open(file, "rb", description=label, console=console, transient=True) as data:
            yield data


class Parts:
    """The parts of one work, some of them done side by side."""

    def __init__(self, total: int, display: "Progress | None" = None) -> None:
        self._total = total
        self._done = 0
        self._display = display
        self._now: list[str] = []

    @contextmanager
    def part(self, name: str) -> Iterator[None]:
        """Show that a part is being done for as long as the block runs, then that it is done."""
        begun = time.monotonic()
        self._show(self._now.append, name)
        yield
        done = self._show(self._now.remove, name, done=1)
        if not self._display:
            far = f"{done} of {self._total}, {100 * done // self._total} %"
            say(f"  {name}: {time.monotonic() - begun:.1f} s ({far})")

    def _show(self, change: Callable[[str], None], name: str, done: int = 0) -> int:
        """Show a change; return how many parts are done with it."""
        with _lock:
            change(name)
            self._done += done
            if self._display:
                (work,) = self._display.task_ids
                self._display.update(work, advance=done, now=", ".join(self._now))
            return self._done


@contextmanager
def _current(work: Parts) -> Iterator[Parts]:
    """Have what is done in the block count as parts of a work."""
    token = _parts.set(work)
    try:
        yield work
    finally:
        _parts.reset(token)


@contextmanager
def parts(label: str, total: int) -> Iterator[Parts]:
    """Show how far a work of ``total`` parts is: live on a terminal, elsewhere a line a part."""
    global _live
    if _sink is not _to_stderr or not sys.stderr.isatty():
        with _current(Parts(total)) as work:
            yield work
        return
    from rich import progress as display
    from rich.console import Console

    columns = (
        display.SpinnerColumn(),
        display.TextColumn("{task.description}"),
        display.MofNCompleteColumn(),
        display.TaskProgressColumn(),
        display.TimeElapsedColumn(),
        display.TextColumn("[dim]{task.fields[now]}"),
    )
    with display.Progress(*columns, console=Console(stderr=True), transient=True) as shown:
        shown.add_task(label, total=total, now="")
        _live = shown
        try:
            with _current(Parts(total, shown)) as work:
                yield work
        finally:
            _live = None
