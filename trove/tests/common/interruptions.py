"""Requests to end a process that have to wait."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

REQUESTS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@contextmanager
def deferred() -> Iterator[None]:
    """Heed requests to end this process only after the block, for it must not end half-way.

    Programs that it runs meanwhile don't heed them at all. A failure of the block is told
    instead.
    """
    if threading.current_thread() is not threading.main_thread():
        yield  # only the main thread is interrupted
        return
    received: list[int] = []
    # Blocked for the sake of programs, which inherit that; noted, for other threads get them.
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, REQUESTS)
    before = {
        each: signal.signal(each, lambda number, _: received.append(number)) for each in REQUESTS
    }
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        for each, handler in before.items():
            signal.signal(each, handler)
    for number in dict.fromkeys(received):
        signal.raise_signal(number)
