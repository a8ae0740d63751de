"""The one way to wait."""

import logging
import time
from collections.abc import Callable, Container
from dataclasses import dataclass
from typing import Protocol, TypeVar

import requests
import tenacity
from keystoneauth1 import exceptions as keystone_errors

from trove.tests.common import deadline, progress
from trove.tests.common.errors import ScenarioError

log = logging.getLogger(__name__)

# Of its limit: when a wait says that it takes long.
SOFT = 0.5

T = TypeVar("T")

_tell: Callable[[str, float, bool], None] | None = None


# Those that go on, in the order in which they have begun.
_watches: list["_Watch"] = []


class Clock(Protocol):
    """What a wait needs of the module ``time``; tests give a faster one."""

    def monotonic(self) -> float:
        """Return seconds since some fixed moment."""

    def sleep(self, seconds: float, /) -> None:
        """Return after that many seconds."""


class WaitError(ScenarioError):
    """A wait that ended without what was waited for."""


class FailedStateError(WaitError):
    """What was waited for can't come any more: a failing state was seen."""


class WaitTimeoutError(WaitError):
    """What was waited for didn't come in time."""


class OutOfTimeError(WaitTimeoutError):
    """It might have come: the run's own time was over before the wait's."""


@dataclass(frozen=True)
class State:
    """What one look at a thing showed; true when it is what was waited for.

    Attributes:
        name: the state in the thing's own words, such as ``BUILD``.
        reached: whether this is the state waited for.
        fault: what the thing says went wrong with it, if anything.
    """

    name: str
    reached: bool
    fault: str = ""

    def __bool__(self) -> bool:
        return self.reached

    def __str__(self) -> str:
        return f"{self.name} ({self.fault})" if self.fault else self.name


def current() -> str:
    """Return what is being waited for, and what was seen last; of several the last begun."""
    return next((str(watch) for watch in reversed(_watches)), "")


def tell_waits_to(listener: Callable[[str, float, bool], None] | None) -> None:
    """Have every wait that is over told: its label, its seconds, and whether it was of use."""
    global _tell
    _tell = listener


def is_transient(error: BaseException) -> bool:
    """Tell whether asking again may well do better.

    True of connections refused, reset or timed out, of answers that can't be read, and of
    those by which a server says that it is overloaded, starting, or lost its own peer.
    """
    unreachable = (
        ConnectionError,
        TimeoutError,
        requests.ConnectionError,
        requests.Timeout,
        # An answer that was cut short, or is none.
        requests.exceptions.ChunkedEncodingError,
        requests.exceptions.InvalidJSONError,
        keystone_errors.RetriableConnectionFailure,
        # What keystoneauth makes of those two.
        keystone_errors.UnknownConnectionError,
    )
    if isinstance(error, unreachable):
        return True
    status = getattr(error, "http_status", None) or getattr(error, "status_code", None)
    return status in (429, 500, 502, 503, 504)


class _Watch:
    """One wait's memory: what was seen, since when, and the last error."""

    def __init__(
        self,
        look: Callable[[], object],
        label: str,
        failing: Container[str],
        hold: int,
        clock: Clock,
        timeout: float,
    ) -> None:
        self.look = look
        self.label = label
        self.failing = failing
        self.hold = hold
        self.clock = clock
        self.started = clock.monotonic()
        self.timeout = timeout
        self.is_cut_short = False
        self.has_warned = False
        self.seen: object = None
        self.described = ""
        self.streak = 0
        self.error: BaseException | None = None

    def __str__(self) -> str:
        return f"{self.label}: {self.described}" if self.described else self.label

    @property
    def elapsed(self) -> float:
        """Seconds since the wait began."""
        return self.clock.monotonic() - self.started

    def look_once(self) -> bool:
        """Look; tell whether what is waited for has now held long enough."""
        try:
            self.seen = self.look()
        except BaseException as error:
            self.error = error
            self.streak = 0
            raise
        self.error = None
        self._log_change()
        self._warn_when_long()
        if isinstance(self.seen, State) and self.seen.name in self.failing:
            raise FailedStateError(
                f"{self.label}: it is {self.seen.name} after {self.elapsed:.0f} s"
                + (f"; fault: {self.seen.fault}" if self.seen.fault else "")
            )
        self.streak = self.streak + 1 if self.seen else 0
        return self.streak >= self.hold

    def _log_change(self) -> None:
        described = self._describe()
        if described != self.described:
            log.info("%s: %s after %.1f s", self.label, described, self.elapsed)
            self.described = described

    def _warn_when_long(self) -> None:
        if not self.has_warned and self.elapsed > self.timeout * SOFT:
            self.has_warned = True
            progress.say(
                f"{self.label}: {self._describe()} after {self.elapsed:.0f} s;"
                f" the limit is {self.timeout:.0f} s"
            )

    def _describe(self) -> str:
        # Other values may hold secrets: whether they satisfy is all we tell.
        if isinstance(self.seen, State):
            return str(self.seen)
        return "yes" if self.seen else "not yet"

    def give_up(self, _state: tenacity.RetryCallState) -> bool:
        """End the wait with all that is known."""
        parts = [f"{self.label}: not within {self.elapsed:.0f} s"]
        if self.is_cut_short:
            parts.append("the run's own time is over")
        if self.described:
            parts.append(f"last seen: {self.described}")
        if self.error is not None:
            parts.append(f"last error: {type(self.error).__name__}: {self.error}")
        kind = OutOfTimeError if self.is_cut_short else WaitTimeoutError
        raise kind("; ".join(parts)) from self.error


def wait_for(
    predicate: Callable[[], T],
    label: str,
    timeout: float,
    *,
    interval: float = 2.0,
    failing: Container[str] = (),
    hold: int = 1,
    head_start: float = 0,
    ignoring: tuple[type[Exception], ...] = (),
    clock: Clock = time,
) -> T:
    """Look again and again until what is looked for is there, and return it.

    Args:
        predicate: looks once; its result is true when it is what was waited
            for. Give a ``State`` where there are states to tell of.
        label: what is waited for, in words for a user.
        timeout: seconds after which to give up.
        interval: seconds between two looks.
        failing: names of states from which there is no way to the one waited
            for; seeing one ends the wait at once.
        hold: looks in a row that must find it before it counts.
        head_start: seconds in which it can't come, and nobody looks.
        ignoring: errors that mean "not yet", beside those that are transient.
        clock: what to read the time from and to sleep on.

    Raises:
        FailedStateError: a failing state was seen.
        WaitTimeoutError: the time was over; the text has the label, the
            seconds, the last state with its fault and the last error.
        Exception: whatever ``predicate`` raised that asking again can't cure.
    """
    watch = _Watch(predicate, label, failing, hold, clock, timeout)
    left = deadline.seconds_left(timeout)
    watch.is_cut_short = left < timeout
    end = watch.started + left
    look_until_settled = tenacity.Retrying(
        retry=(
            tenacity.retry_if_result(lambda settled: not settled)
            | tenacity.retry_if_exception(lambda e: is_transient(e) or isinstance(e, ignoring))
        ),
        wait=tenacity.wait_fixed(interval),
        stop=lambda _: clock.monotonic() + interval > end,
        sleep=clock.sleep,
        retry_error_callback=watch.give_up,
    )
    came = False
    _watches.append(watch)
    try:
        clock.sleep(head_start)
        came = look_until_settled(watch.look_once)
    finally:
        _watches.remove(watch)
        if _tell:
            _tell(label, watch.elapsed, came)
    return watch.seen  # type: ignore[return-value]
