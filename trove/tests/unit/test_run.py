import os
import threading
from datetime import UTC, datetime, timedelta

import pytest
from filelock import Timeout

from trove.tests.common.errors import ScenarioError
from trove.tests.harness.culprits import Culprit, likely
from trove.tests.harness.run import (
    SECRET,
    Run,
    SharedError,
    begun_at,
    ended_runs,
    forget_old_runs,
    run_of,
)
from trove.tests.harness.waiting import WaitTimeoutError


@pytest.fixture
def run():
    return Run.new()


def test_a_run_leaves_nothing_on_disk_until_it_is_used(run):
    assert not run.folder.exists()


def test_runs_have_different_ids_and_names():
    run = Run.new()
    assert run.id != Run.new().id
    assert len({run.name("db") for _ in range(500)}) == 500
    assert run.name("db").startswith(f"trove-scenario-{run.id}-db-")


@pytest.mark.parametrize(
    "name",
    [
        "trove-scenario-2611261141d0fe-shared-3002c4d5",
        "trove-scenario-2611261141d0fe-replica-3002c4d5-2",
        "trove-scenario-2611261141d0fe-shared-3002c4d5-0a1b2c3d",
        "trove-scenario-2611261141d0fe-shared-3002",  # of an older version of this harness
    ],
)
def test_a_name_tells_its_run(name):
    assert run_of(name) == "2611261141d0fe"
    assert begun_at(run_of(name)) == datetime(2026, 11, 26, 11, 41, tzinfo=UTC)


@pytest.mark.parametrize(
    "name",
    [
        "trove-scenario-prod",
        "trove-scenario-2611261141d0fe",
        "trove-scenario-2611261141d0fe-",
        "trove-scenario-2611261141d0fe-shared",
        "trove-scenario-2611261141d0fe-shared-300",
        "trove-scenario-2611261141d0fe-shared-3002x",
        "trove-scenario-2611261141d0fe-shared-3002\n",
        "trove-scenario-2613261141d0fe-shared-3002",  # there is no month 13
        "trove-scenario-2611261141D0FE-shared-3002",
        "TROVE-SCENARIO-2611261141d0fe-shared-3002",
        "trove-scenario-٢٦١١٢٦١١٤١d0fe-shared-3002",
        "my-trove-scenario-2611261141d0fe-x-1234",
        'trove-scenario-2611261141d0fe-it\'s "mine"-3002',
        "x" * 255,
        "",
    ],
)
def test_a_name_like_that_of_a_run_is_none(name):
    assert run_of(name) is None


def test_a_new_name_tells_when_its_run_began(run):
    assert run_of(run.name("db")) == run.id
    assert datetime.now(UTC) - begun_at(run.id) < timedelta(minutes=2)


def test_a_run_is_alive_as_long_as_any_of_its_processes(run):
    owner, worker = run.own(), run.join("gw0")
    with pytest.raises(Timeout), run.held():
        pass
    owner.release()
    with pytest.raises(Timeout), run.held(worker=0):
        pass
    worker.release()
    with run.held(), pytest.raises(Timeout):
        run.own()


def test_once_makes_once(run):
    made = []

    def make():
        made.append(1)
        return {"id": len(made)}

    # Another object, as another process would have it.
    assert run.once("it", make) == Run(run.id, run.folder).once("it", make) == {"id": 1}
    assert len(made) == 1


def test_once_makes_once_for_many_at_the_same_time(run):
    made, together = [], threading.Barrier(8)

    def worker():
        together.wait()
        run.once("it", lambda: made.append(1) or {})

    threads = [threading.Thread(target=worker) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert made == [1]


def test_once_remembers_an_explained_failure(run):
    def fail():
        raise ScenarioError("no space")

    with pytest.raises(ScenarioError, match="no space"):
        run.once("it", fail)
    with pytest.raises(ScenarioError, match="no space"):
        run.once("it", lambda: pytest.fail("tried again"))


def test_it_remembers_whose_fault_it_was(run):
    def fail():
        raise WaitTimeoutError("not within 10 s")

    for _ in range(2):
        with pytest.raises(SharedError, match="not within 10 s") as raised:
            run.once("it", fail)
        assert likely(raised.value) is Culprit.PRODUCT


def test_what_failed_is_tried_again_on_demand(run):
    def fail():
        raise ScenarioError("no space")

    run.once("other", lambda: {"id": 1})
    with pytest.raises(ScenarioError):
        run.once("it", fail)

    run.forget_failures()

    assert run.once("it", lambda: {"id": 2}) == {"id": 2}
    assert run.once("other", lambda: pytest.fail("made again")) == {"id": 1}


def test_once_forgets_an_interruption(run):
    def interrupted():
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run.once("it", interrupted)
    assert run.once("it", lambda: {"id": 1}) == {"id": 1}


def test_a_run_has_ended_when_its_process_has(run):
    lock = run.own()
    assert list(ended_runs()) == []

    lock.release()
    assert [ended.id for ended in ended_runs()] == [run.id]


def test_an_ended_run_in_somebodys_hands_is_nobody_elses(run):
    run.own().release()
    for _ in ended_runs():
        assert list(ended_runs()) == []


def test_what_was_made_is_found_by_its_kind(run):
    run.once("image-mysql", lambda: {"key": "abc"})
    run.once("version-mysql", lambda: {"id": "1"})

    def fail():
        raise ScenarioError("no space")

    with pytest.raises(ScenarioError):
        run.once("image-mariadb", fail)
    assert run.made("image") == {"mysql": {"key": "abc"}}


def test_results_are_private_and_secrets_forgotten(run):
    run.once(f"{SECRET}db", lambda: {"password": "s3cret"})
    run.once("image", lambda: {"id": "42"})
    (secret,) = run.folder.glob(f"{SECRET}*.json")
    assert secret.stat().st_mode & 0o077 == 0

    run.forget_secrets()
    assert [file.name for file in run.folder.glob("*.json")] == ["image.json"]


def test_of_two_who_lend_a_result_at_once_one_does(run):
    run.once("result", dict)

    assert [run.lend("result"), run.lend("result")] == [True, False]

    run.take_back("result")
    assert run.lend("result")


def test_old_runs_are_forgotten_unless_they_left_something():
    runs = [Run.new() for _ in range(4)]
    for age, run in enumerate(runs):
        run.journal.closed(run.journal.creating("instance", "db"))
        os.utime(run.folder, (0, 1000 - age))
    runs[3].journal.creating("instance", "left")
    os.utime(runs[3].folder, (0, 0))

    forget_old_runs(keep=1)

    assert [run.folder.exists() for run in runs] == [True, False, False, True]
