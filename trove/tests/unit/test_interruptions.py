"""What must not end half-way is not ended by Ctrl-C, and what comes after it is."""

import os
import signal
import subprocess
import threading
import time
from collections.abc import Iterator

import pytest

from trove.tests.common.interruptions import deferred


def interrupted(times: int = 1, failure: Exception | None = None) -> Iterator[str]:
    """Do something that is interrupted half-way, as by Ctrl-C; yield what was done."""
    with deferred():
        for _ in range(times):
            os.kill(os.getpid(), signal.SIGINT)
        time.sleep(0.05)
        if failure:
            raise failure
        yield "all of it"


def test_who_is_interrupted_gets_to_the_end_first():
    done = []
    with pytest.raises(KeyboardInterrupt):
        done.extend(interrupted(times=2))
    assert done == ["all of it"]


def test_another_thread_takes_no_interruption_to_the_one_that_works():
    done, over = [], threading.Event()
    other = threading.Thread(target=over.wait)
    other.start()
    try:
        with pytest.raises(KeyboardInterrupt):
            done.extend(interrupted())
    finally:
        over.set()
    assert done == ["all of it"]


def test_programs_get_to_their_end_as_well():
    with deferred():
        assert subprocess.run(["sh", "-c", "kill -INT $$"], check=False).returncode == 0


def test_a_failure_is_told_rather_than_the_interruption():
    with pytest.raises(ValueError, match="it failed"):
        list(interrupted(failure=ValueError("it failed")))


def test_what_is_ignored_stays_so():
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with deferred():
            os.kill(os.getpid(), signal.SIGHUP)
        assert signal.getsignal(signal.SIGHUP) == signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)


def test_beside_the_main_thread_there_is_nothing_to_defer():
    done = []

    def work() -> None:
        with deferred():
            done.append("all of it")

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert done == ["all of it"]
