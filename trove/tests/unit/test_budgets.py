"""A run that knows how long it may take."""

import pytest

from trove.tests.fixtures import options
from trove.tests.harness.timeouts import Timeouts

SLOW = """
    from trove.tests.fixtures.budgets import OVER

    def test_first(cloud, target, pytestconfig):
        assert pytestconfig.stash[OVER] > 0
        pytestconfig.stash[OVER] = 1.0  # as if it had taken all day

    def test_second(cloud, target): pass
    def test_third(cloud, target): pass

    def test_of_no_cloud(): pass
"""


@pytest.mark.parametrize("workers", [[], ["-n1"]])
def test_what_there_is_no_time_for_is_skipped_and_all_is_told(project, workers):
    project.pytester.makepyfile(test_db=SLOW)

    result = project.run(
        "-m", "not mariadb and not postgresql", "--budget=60", "--junitxml=report.xml", *workers
    )

    result.assert_outcomes(passed=2, skipped=2)
    result.stdout.fnmatch_lines(["skipped, by reason: 2 out_of_time"])
    assert "out_of_time" in (project.pytester.path / "report.xml").read_text()
    assert project.cloud.all("instance") == []


@pytest.mark.parametrize(("hypervisor", "factor"), [("lxc", 1), ("qemu", 2), (None, 1)])
def test_limits_suit_what_runs_the_guests(pytestconfig, hypervisor, factor):
    settings = options.read(pytestconfig)

    assert settings.timeouts(hypervisor) == Timeouts().scaled(factor)
