"""Programs are run to their end, and a failure tells its story."""

import subprocess

import pytest

from trove.tests.common import commands
from trove.tests.common.errors import ScenarioError

RUNNERS = pytest.mark.parametrize("run", [commands.run, commands.run_to_the_end])


@pytest.fixture
def log(tmp_path):
    return tmp_path / "logs" / "log"


@RUNNERS
def test_output_gets_into_the_log_and_variables_to_the_program(run, log):
    run(["sh", "-c", "echo out; echo $MORE >&2"], log=log, what="Telling", env={"MORE": "error"})
    assert log.read_text() == "out\nerror\n"


@RUNNERS
def test_a_failure_has_the_last_lines(run, log):
    with pytest.raises(ScenarioError, match=r"Failing: sh ended with 3\. Last lines of .*:\nwhy$"):
        run(["sh", "-c", "echo why; exit 3"], log=log, what="Failing")


@RUNNERS
def test_a_program_that_is_not_installed_is_named(run, log):
    with pytest.raises(ScenarioError, match="Running: the program no-such is not installed"):
        run(["no-such"], log=log, what="Running")


def test_what_takes_too_long_is_ended(log):
    with pytest.raises(ScenarioError, match="Sleeping: no end after 0 s"):
        commands.run(["sh", "-c", "echo $$; exec sleep 60"], log=log, what="Sleeping", timeout=0.2)
    with pytest.raises(subprocess.CalledProcessError):
        subprocess.run(["kill", "-0", log.read_text().strip()], check=True, capture_output=True)


def test_what_has_to_get_to_its_end_outlives_the_runs_time(monkeypatch, log):
    monkeypatch.setattr(commands.deadline, "_end", 0)
    commands.run_to_the_end(["sh", "-c", "sleep 0.1; echo done"], log=log, what="Going on")
    assert log.read_text() == "done\n"
