"""When all that takes long is to end in this process: a run's budget, set once for everybody."""

import time

_end: float | None = None


def set_for_all(at: float | None) -> None:
    """Have everything that waits end at a moment, whatever its own limit.

    Args:
        at: as ``time.monotonic`` tells it; None for never.
    """
    global _end
    _end = at


def seconds_left(limit: float | None = None) -> float | None:
    """Return how long something with a limit of its own may take; None for ever."""
    if _end is None:
        return limit
    left = max(0.0, _end - time.monotonic())
    return left if limit is None else min(limit, left)
