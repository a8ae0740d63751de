"""A run that knows how long it may take."""

import pytest

from trove.tests.fixtures import options
from trove.tests.harness import clients, reaper, sweeper
from trove.tests.harness.run import Run
from trove.tests.harness.timeouts import Timeouts, of_run

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


def test_what_is_waited_for_in_vain_is_nobodys_fault_and_what_was_made_is_undone(project):
    project.pytester.makepyfile(
        test_db="""
        import time
        import pytest
        from trove.tests.common import deadline
        from trove.tests.harness.waiting import wait_for

        @pytest.fixture
        def thing(cloud, target):
            yield
            assert deadline.seconds_left() is None
            wait_for(iter([False, False, True]).__next__, "it is gone", 60, interval=0.1)

        def test_it(thing):
            deadline.set_for_all(time.monotonic() + 0.1)
            wait_for(lambda: False, "it is there", 60, interval=0.1)
        """
    )

    result = project.run("-m", "mysql", "--budget=60")

    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["Probably to blame: ENVIRONMENT"])


@pytest.mark.parametrize(("hypervisor", "factor"), [("lxc", 1), ("qemu", 2), (None, 1)])
def test_limits_suit_what_runs_the_guests(pytestconfig, hypervisor, factor):
    settings = options.read(pytestconfig)

    assert settings.timeouts(hypervisor) == Timeouts().scaled(factor)


@pytest.mark.parametrize(
    ("options", "passed", "failed"),
    [
        (["--timeout-scale=0.001"], 1, 1),
        ([], 2, 0),
        (["--timeout-scale=0.001", "--timeout=60"], 2, 0),
    ],
    ids=["scaled", "usual", "the_users"],
)
def test_the_limit_of_a_scenario_test_is_scaled_as_its_waits_are(project, options, passed, failed):
    project.pytester.makepyfile(
        """
        import time

        def test_that_takes_long(cloud, target): time.sleep(1.5)
        def test_of_no_cloud(): time.sleep(1.5)
        """
    )

    result = project.run("-m", "not mariadb and not postgresql", *options)

    result.assert_outcomes(passed=passed, failed=failed)


@pytest.mark.parametrize(("options", "factor"), [([], 1), (["--timeout-scale=3"], 3)])
def test_a_journal_tells_the_limits_of_its_run(project, options, factor):
    project.pytester.makepyfile("def test_it(shared_instance): pass")

    project.run("-m", "mysql", *options).assert_outcomes(passed=1)

    (run,) = project.runs
    assert of_run(run.journal.facts()) == Timeouts().scaled(factor)


def test_the_reaper_keeps_to_the_limits_of_its_run(monkeypatch):
    run = Run.new()
    run.journal.header(user="fake", admin="fake", hypervisor="qemu", timeout_scale=None)
    kept = []
    monkeypatch.setattr(clients, "connect", lambda name: name)
    monkeypatch.setattr(sweeper, "sweep", lambda *_, timeouts: kept.append(timeouts) or [])

    reaper.clean_up(run)

    assert kept == [Timeouts().scaled(2)]
