"""Long work shows what it does, how far it is and how long it took."""

import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

_started = time.monotonic()
_lock = threading.Lock()


def _to_stderr(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


_sink: Callable[[str], None] = _to_stderr


def send_lines_to(sink: Callable[[str], None]) -> None:
    """Have every progress line handed to ``sink`` instead of standard error."""
    global _sink
    _sink = sink


def say(text: str) -> None:
    """Print one line, preceded by the seconds since this process began."""
    with _lock:
        _sink(f"[{time.monotonic() - _started:5.0f} s] {text}")


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
