"""When things happened in a run, from what its processes wrote down meanwhile."""

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from trove.tests.harness import timeline
from trove.tests.harness.redaction import HIDDEN, new_password
from trove.tests.harness.run import Run

BEGAN = 1_700_000_000.0


class Past:
    """What a run wrote down some time ago."""

    def __init__(self, folder: Path) -> None:
        self.run = Run("id", folder)

    def journal(self, second: float, event: str, name: str = "db", **more: str) -> None:
        """Write what happened to an instance into the journal."""
        line = {"at": BEGAN + second, "event": event, "kind": "instance", "name": name, **more}
        with self.run.journal.path.open("a") as journal:
            journal.write(json.dumps(line) + "\n")

    def seen(self, second: float, state: str, name: str = "db") -> None:
        """Write down a state that an instance was seen in."""
        file = timeline.trail(self.run, name)
        file.parent.mkdir(exist_ok=True)
        with file.open("a") as states:
            states.write(f"{datetime.fromtimestamp(BEGAN + second, UTC).isoformat()} {state}\n")

    def life(self) -> timeline.Life:
        """Return what became of the one instance, a hundred seconds after the start."""
        (life,) = timeline.lives(self.run, BEGAN + 100)
        return life

    def phases(self) -> list[tuple[str, float, float]]:
        """Return its phases."""
        return [(each.state, each.start - BEGAN, each.end - BEGAN) for each in self.life().phases]


@pytest.fixture
def past(tmp_path):
    past = Past(tmp_path)
    past.journal(0, "creating")
    past.journal(1, "created")
    return past


def test_what_is_built_is_divided_by_what_its_guest_tells(past):
    past.seen(1.5, "BUILD")
    past.seen(30, "ACTIVE/HEALTHY")
    # By two processes, and of a later boot by one.
    for milestones in ({"boot": 8, "agent": 12.5}, {"agent": 12.5, "container": 15, "boot": 70}):
        reached = {name: BEGAN + second for name, second in milestones.items()}
        timeline.note_milestones(past.run, "db", reached)

    assert past.phases() == [
        ("create", 0, 1),
        ("BUILD", 1, 8),
        ("boot", 8, 12.5),
        ("agent", 12.5, 15),
        ("container", 15, 30),
        ("HEALTHY", 30, 100),
    ]
    assert past.life().seconds_to_healthy == 30


def test_a_life_is_its_phases_without_a_gap(past):
    past.seen(1.5, "BUILD")
    past.seen(30, "ACTIVE")
    past.seen(32, "ACTIVE/HEALTHY")
    past.seen(50, "RESIZE")
    past.seen(60, "ACTIVE/HEALTHY")
    past.seen(70, "SHUTDOWN")
    past.journal(75, "closed", why="deleted")
    assert past.phases() == [
        ("create", 0, 1),
        ("BUILD", 1, 30),
        ("ACTIVE", 30, 32),
        ("HEALTHY", 32, 50),
        ("RESIZE", 50, 60),
        ("HEALTHY", 60, 70),
        ("SHUTDOWN", 70, 75),
    ]


def test_a_life_is_how_it_was_built_and_what_was_done_then(past):
    past.seen(1.5, "BUILD")
    past.seen(30, "ACTIVE/HEALTHY")
    for second in (40, 60):
        past.seen(second, "REBOOT")
        past.seen(second + 8, "ACTIVE/HEALTHY")
    life = past.life()
    assert life.seconds_to_healthy == 30
    assert [each.state for each in life.building] == ["create", "BUILD"]
    assert {state: len(times) for state, times in life.operations.items()} == {"REBOOT": 2}


def test_who_is_still_there_lives_until_now(past):
    past.seen(1.5, "ACTIVE/HEALTHY")
    past.journal(80, "closed", why="kept")
    assert past.phases()[-1] == ("HEALTHY", 1.5, 100)


def test_when_it_became_healthy_is_not_known_if_nobody_looked(past):
    past.seen(61, "ACTIVE/HEALTHY")
    assert past.phases()[1] == ("unwatched", 1, 61)
    assert past.life().seconds_to_healthy is None


def test_one_that_is_still_built_at_a_late_look_was_built_until_then(past):
    past.seen(61, "BUILD")
    past.seen(70, "ACTIVE/HEALTHY")
    assert past.phases()[1:] == [("BUILD", 1, 70), ("HEALTHY", 70, 100)]


def test_one_that_nobody_looked_at_is_unwatched(past):
    assert past.phases() == [("create", 0, 1), ("unwatched", 1, 100)]


def test_one_that_never_was_healthy_has_no_time_until_then(past):
    past.seen(1.5, "BUILD")
    past.seen(9, "ERROR")
    assert past.life().seconds_to_healthy is None
    assert past.life().operations == {}


def test_what_several_processes_see_is_one_story(past):
    past.seen(1.5, "BUILD")
    past.seen(30, "ACTIVE/HEALTHY")
    # Another one sees it for the first time, and writes before it is read.
    past.seen(29, "BUILD")
    past.seen(35, "ACTIVE/HEALTHY")
    assert past.phases()[1:] == [("BUILD", 1, 30), ("HEALTHY", 30, 100)]


def test_no_phase_ends_before_it_begins(past):
    past.seen(1.5, "BUILD")
    past.seen(200, "ACTIVE/HEALTHY")
    assert past.phases()[-1] == ("HEALTHY", 200, 200)


@pytest.mark.parametrize("why", ["refused", "deleted"])
def test_one_that_was_never_made_has_no_life(past, why):
    past.journal(2, "creating", "refused")
    past.journal(2.5, "closed", "refused", why=why)
    assert [each.name for each in timeline.lives(past.run)] == ["db"]


def test_a_line_torn_by_a_death_is_left_out(past):
    past.seen(1.5, "BUILD")
    with timeline.trail(past.run, "db").open("a") as states:
        states.write("2026-11-")
    timeline.note_wait(past.run, "a guest", 3, came=True)
    with (past.run.folder / timeline.WAITS).open("a") as waits:
        waits.write('{"label": "an')
    assert past.phases()[-1][0] == "BUILD"
    assert [wait.label for wait in timeline.waits(past.run)] == ["a guest"]


def test_the_longest_wait_is_the_first(past, monkeypatch):
    monkeypatch.setenv("PYTEST_CURRENT_TEST", "test_it (call)")
    timeline.note_wait(past.run, "short", 1, came=True)
    timeline.note_wait(past.run, "long", 9, came=False)
    long, short = timeline.waits(past.run)
    assert (long.label, long.came, long.test) == ("long", False, "test_it (call)")
    assert (short.label, short.came) == ("short", True)


def test_a_wait_tells_no_password(past):
    timeline.note_wait(past.run, f"login with {new_password()}", 1, came=True)
    assert timeline.waits(past.run)[0].label == f"login with {HIDDEN}"


def test_a_run_without_a_cloud_writes_nothing():
    run = Run.new()
    timeline.note_wait(run, "it", 1, came=True)
    assert not run.folder.exists()
    assert (timeline.waits(run), timeline.lives(run)) == ([], [])
