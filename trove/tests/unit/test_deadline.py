import time

import pytest
from filelock import FileLock

from trove.tests.common import commands, deadline
from trove.tests.common.errors import ScenarioError
from trove.tests.harness import building


@pytest.fixture
def nearly_over(monkeypatch):
    """A run that has a moment left."""
    monkeypatch.setattr(deadline, "_end", time.monotonic() + 0.3)


def test_without_a_budget_nothing_is_cut_short():
    assert deadline.seconds_left() is None
    assert deadline.seconds_left(60) == 60


def test_a_limit_is_no_longer_than_what_is_left(nearly_over):
    assert 0 < deadline.seconds_left(60) < 1
    assert deadline.seconds_left(0.01) == 0.01


def test_what_is_left_is_never_less_than_nothing(monkeypatch):
    monkeypatch.setattr(deadline, "_end", time.monotonic() - 60)
    assert deadline.seconds_left() == 0


def test_a_program_ends_with_the_run(nearly_over, tmp_path):
    with pytest.raises(ScenarioError, match="Sleeping: no end after"):
        commands.run(["sleep", "60"], log=tmp_path / "log", what="Sleeping")


def test_nobody_waits_longer_than_the_run_for_what_another_process_makes(nearly_over, tmp_path):
    with (
        FileLock(tmp_path / "image.lock"),
        pytest.raises(ScenarioError, match="still making image, and the run's time is over"),
    ):
        building.made_once(tmp_path / "image", lambda _folder: None)
