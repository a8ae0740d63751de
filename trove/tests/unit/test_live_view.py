"""What a user sees of a run's workers on a terminal."""

import os
import pty
import sys
from types import SimpleNamespace

from trove.tests.fixtures import live_view
from trove.tests.fixtures.runs import RUN

TESTS = """
    import time
    import pytest
    from trove.tests.harness.waiting import State, wait_for

    @pytest.mark.parametrize("number", range(2))
    def test_slow(cloud, target, number):
        end = time.monotonic() + 4
        wait_for(lambda: State("BUILD", time.monotonic() > end), "x is healthy", 60, interval=0.5)
"""


def shown_on_a_terminal(project, *args):
    """Return what a run shows on a terminal of its own, and its exit code."""
    screen, terminal = pty.openpty()
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *args]
    process = project.pytester.popen(command, stdin=terminal, stdout=terminal, stderr=terminal)
    os.close(terminal)
    shown = b""
    # A terminal that nobody has any more is an error to read from.
    try:
        while part := os.read(screen, 65536):
            shown += part
    except OSError:
        pass
    return shown.decode(), process.wait()


def test_each_worker_has_a_line(project, monkeypatch):
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "150")
    monkeypatch.delenv("CI", raising=False)
    project.pytester.makepyfile(test_db=TESTS)

    shown, exit_code = shown_on_a_terminal(project, "-n2", "--dist=load", "-m", "mysql")

    assert exit_code == 0
    assert "gw0" in shown
    assert "test_slow[mysql-9.7-debian-trixie-" in shown
    assert "x is healthy: BUILD" in shown
    assert "2 passed" in shown.splitlines()[-1]


def test_a_worker_that_has_ended_has_no_line(tmp_path):
    live = tmp_path / "live"
    live.mkdir()
    for worker in ("gw0", "gw1"):
        (live / f"{worker}.json").write_text("{}")
    config = SimpleNamespace(stash={RUN: SimpleNamespace(folder=tmp_path)})

    live_view.pytest_testnodedown(SimpleNamespace(config=config, workerinput={"workerid": "gw0"}))

    assert [file.name for file in live.iterdir()] == ["gw1.json"]


def test_without_a_terminal_there_are_lines_alone(project):
    project.pytester.makepyfile(test_db=TESTS)

    result = project.run("-n2", "-m", "mysql")

    result.assert_outcomes(passed=2)
    result.stdout.no_fnmatch_line("gw0 *")
    (run,) = project.runs
    assert not (run.folder / "live").exists()
