import logging
import time

import pytest
import requests
from troveclient import exceptions as trove_errors

from trove.tests.common import deadline
from trove.tests.harness import waiting
from trove.tests.harness.waiting import (
    FailedStateError,
    State,
    WaitTimeoutError,
    is_transient,
    wait_for,
)


def looks(*results):
    """Return a predicate that shows one result after the other, then the last one for ever."""
    remaining = list(results)

    def look():
        result = remaining.pop(0) if len(remaining) > 1 else remaining[0]
        if isinstance(result, Exception):
            raise result
        return result

    return look


BUILD, ACTIVE = State("BUILD", reached=False), State("ACTIVE", reached=True)


def test_returns_what_was_waited_for(clock):
    assert wait_for(looks(None, None, "there"), "it", 60, clock=clock) == "there"


def test_looks_at_intervals(clock):
    begun = clock.now
    wait_for(looks(False, False, True), "it", 60, interval=5, clock=clock)
    assert clock.now - begun == 10


def test_time_out_tells_label_seconds_state_and_fault(clock):
    stuck = State("BUILD", reached=False, fault="no host")
    with pytest.raises(
        WaitTimeoutError, match=r"^db is up: not within \d+ s; last seen: BUILD \(no"
    ):
        wait_for(looks(stuck), "db is up", 20, clock=clock)


def test_time_out_tells_the_last_error_and_has_it_as_cause(clock):
    with pytest.raises(WaitTimeoutError, match="last error: ConnectionError: reset") as failure:
        wait_for(looks(BUILD, ConnectionError("reset")), "db", 20, clock=clock)
    assert isinstance(failure.value.__cause__, ConnectionError)
    assert "last seen: BUILD" in str(failure.value)


def test_never_sleeps_beyond_the_limit(clock):
    begun = clock.now
    with pytest.raises(WaitTimeoutError):
        wait_for(looks(False), "it", 11, interval=5, clock=clock)
    assert clock.now - begun <= 11


def test_a_failing_state_ends_the_wait_at_once(clock):
    begun = clock.now
    broken = State("ERROR", reached=False, fault="no valid host")
    with pytest.raises(FailedStateError, match="db: it is ERROR after 2 s; fault: no valid host"):
        wait_for(looks(BUILD, broken), "db", 600, failing=("ERROR",), clock=clock)
    assert clock.now - begun == 2


def test_what_is_waited_for_has_to_hold(clock):
    look = looks(ACTIVE, BUILD, ACTIVE, ACTIVE, BUILD)
    begun = clock.now
    assert wait_for(look, "db", 60, interval=1, hold=2, clock=clock) is ACTIVE
    assert clock.now - begun == 3


def test_nobody_looks_before_it_can_be_there(clock):
    begun, seen = clock.now, []
    wait_for(lambda: seen.append(clock.now) or True, "db", 60, head_start=3, clock=clock)
    assert seen == [begun + 3]


def test_an_error_breaks_what_has_held(clock):
    look = looks(ACTIVE, ConnectionError(), ACTIVE, ACTIVE)
    begun = clock.now
    wait_for(look, "db", 60, interval=1, hold=2, clock=clock)
    assert clock.now - begun == 3


def test_a_transient_error_is_borne(clock):
    unavailable = trove_errors.ServiceUnavailable("busy")
    assert wait_for(looks(unavailable, True), "it", 60, clock=clock)


def test_another_error_is_not(clock):
    with pytest.raises(ZeroDivisionError):
        wait_for(looks(ZeroDivisionError(), True), "it", 60, clock=clock)


def test_an_error_that_means_not_yet_is_borne(clock):
    assert wait_for(looks(KeyError(), True), "it", 60, ignoring=(KeyError,), clock=clock)


def test_each_change_of_state_is_logged_once(clock, caplog):
    caplog.set_level(logging.INFO)
    wait_for(looks(BUILD, BUILD, ACTIVE), "db", 60, clock=clock)
    assert [record.message for record in caplog.records] == [
        "db: BUILD after 0.0 s",
        "db: ACTIVE after 4.0 s",
    ]


def test_values_are_not_logged(clock, caplog):
    caplog.set_level(logging.INFO)
    wait_for(looks("s3cret"), "login", 60, clock=clock)
    assert "s3cret" not in caplog.text


@pytest.mark.parametrize(
    ("error", "transient"),
    [
        (ConnectionResetError(), True),
        (TimeoutError(), True),
        (trove_errors.BadGateway(), True),
        (trove_errors.InternalServerError(), True),
        (trove_errors.HttpNotImplemented(), False),
        (trove_errors.BadRequest(), False),
        (requests.exceptions.JSONDecodeError("no JSON", "<html>", 0), True),
        (requests.exceptions.ChunkedEncodingError("cut short"), True),
        (trove_errors.NotFound(), False),
        (ValueError(), False),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else str(value),
)
def test_which_errors_are_transient(error, transient):
    assert is_transient(error) is transient


def test_a_wait_that_takes_long_says_so_once(clock, capsys):
    with pytest.raises(WaitTimeoutError):
        wait_for(lambda: State("BUILD", False), "x is healthy", 60, interval=10, clock=clock)

    (line,) = [line for line in capsys.readouterr().err.splitlines() if "x is healthy" in line]
    assert line.endswith("x is healthy: BUILD after 40 s; the limit is 60 s")


@pytest.mark.parametrize("hours", [-1, 1])
def test_a_clock_that_is_set_meanwhile_makes_no_wait_longer_or_shorter(monkeypatch, hours):
    now, begun = time.time, time.monotonic()

    def set_the_clock():
        monkeypatch.setattr(time, "time", lambda: now() + hours * 3600)
        return time.monotonic() - begun > 0.2

    wait_for(set_the_clock, "it", 60, interval=0.05)
    with pytest.raises(WaitTimeoutError):
        wait_for(lambda: False, "nothing", 0.2, interval=0.05)

    assert time.monotonic() - begun < 5


def test_when_the_run_is_over_every_wait_is(clock, monkeypatch):
    monkeypatch.setattr(deadline, "_end", time.monotonic() + 5)

    with pytest.raises(WaitTimeoutError, match="the run's own time is over"):
        wait_for(lambda: False, "x is healthy", 600, interval=1, clock=clock)

    assert clock.now < 1000 + 10


def test_a_wait_is_told_of_when_it_is_over(clock, monkeypatch):
    told = []
    monkeypatch.setattr(waiting, "_tell", lambda *wait: told.append(wait))
    looks = iter([False, False, True])

    wait_for(lambda: next(looks), "it", 10, clock=clock)
    with pytest.raises(WaitTimeoutError):
        wait_for(lambda: False, "nothing", 10, clock=clock)

    assert told == [("it", 4, True), ("nothing", 10, False)]
