"""What is measured is summed up rightly."""

import pytest

from bench.figures import Figures, Goal


@pytest.mark.parametrize(("goal", "good", "bad"), [(Goal(90), 90, 91), (Goal(50, True), 50, 49)])
def test_a_goal_is_a_limit_from_one_side(goal, good, bad):
    assert goal.met_by(good)
    assert not goal.met_by(bad)


def test_the_summary_has_median_extremes_and_goal():
    figures = Figures()
    for value in (70, 40, 60):
        figures.add("Swift put", value, "MB/s")

    summary = figures.summary()["Swift put"]

    assert (summary["median"], summary["min"], summary["max"]) == (60, 40, 70)
    assert summary["goal"] == "≥ 50"


def test_a_measurement_that_fails_leaves_no_value():
    figures = Figures()

    with pytest.raises(OSError, match="gone"), figures.seconds("attach"):
        raise OSError("gone")

    assert figures.summary() == {}
