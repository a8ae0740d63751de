"""What a run's machinery costs is told from what its tests do."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType

import pytest

from bench import runs, sampling
from bench.figures import Figures
from trove.tests.common.errors import ScenarioError

JOURNAL = "trove.tests.harness.journal"
DIAGNOSTICS = "trove.tests.fixtures.diagnostics"


def called(module: str, call: Callable[[], FrameType], function: str = "work") -> FrameType:
    """Return the innermost frame of a call that goes through a function of a module."""
    module_globals: dict[str, object] = {"__name__": module, "call": call}
    exec(f"def {function}(): return call()", module_globals)
    return module_globals[function]()


@pytest.mark.parametrize("module", [JOURNAL, DIAGNOSTICS, sampling.CLEAN_UP])
def test_what_the_machinery_calls_is_done_for_it(module):
    assert sampling.at_work(called(module, sys._getframe)) == module


def test_a_test_is_no_machinery():
    assert sampling.at_work(sys._getframe()) == ""


def test_the_first_of_the_machinery_pays_for_all_that_it_calls_but_the_clean_up():
    def journal() -> FrameType:
        return called(JOURNAL, sys._getframe)

    def clean_up() -> FrameType:
        return called(sampling.CLEAN_UP, sys._getframe)

    assert sampling.at_work(called(DIAGNOSTICS, journal)) == DIAGNOSTICS
    assert sampling.at_work(called(DIAGNOSTICS, clean_up)) == sampling.CLEAN_UP


def test_what_another_fixture_sets_up_is_not_laid_to_who_asked_for_it():
    def set_up() -> FrameType:
        return called("_pytest.fixtures", sys._getframe, "call_fixture_func")

    assert sampling.at_work(called(DIAGNOSTICS, set_up)) == ""


def test_modules_of_the_machinery_exist():
    for name in sampling.MACHINERY | {sampling.CLEAN_UP}:
        __import__(name)


@pytest.fixture
def pytest_writes(monkeypatch) -> Callable[..., list[list[str]]]:
    """Have a run that ends with a code write samples; return the commands that were run."""

    def arrange(code: int = 0, **samples: dict) -> list[list[str]]:
        ran: list[list[str]] = []

        def run(argv: list[str], *, env: dict[str, str], **_: object) -> object:
            ran.append(argv)
            assert not [name for name in env if name.startswith("OS_")]
            for name, seen in samples.items():
                (Path(env[sampling.FOLDER]) / f"{name}.json").write_text(json.dumps(seen))
            return subprocess.CompletedProcess(argv, code)

        monkeypatch.setattr(runs.subprocess, "run", run)
        return ran

    return arrange


def test_the_share_counts_controller_and_the_average_worker(pytest_writes, monkeypatch):
    monkeypatch.setenv("OS_CLOUD", "another")
    ran = pytest_writes(
        controller={"whole": 100.0, "modules": {JOURNAL: 0.5}, "aside": 0.25},
        gw0={"whole": 90.0, "modules": {JOURNAL: 1.0, sampling.CLEAN_UP: 8.0}, "aside": 0},
        gw1={"whole": 90.0, "modules": {DIAGNOSTICS: 0.5}, "aside": 0},
    )
    figures = Figures()

    runs.measure(figures, "mysql")

    assert "mysql and smoke" in ran[0]
    assert figures.values == {
        "run of tests (mysql)": [100.0],
        "run of tests (mysql): clean-up": [4.0],
        "run of tests (mysql): fixtures.diagnostics": [0.25],
        "run of tests (mysql): harness.journal": [1.0],
        "run of tests (mysql): beside": [0.25],
        "run of tests (mysql): share of its machinery": [1.5],
    }


def test_a_run_that_fails_is_no_measurement(pytest_writes):
    pytest_writes(code=1)

    with pytest.raises(ScenarioError, match="ended with 1"):
        runs.measure(Figures(), "mysql")


def test_a_process_of_a_run_writes_what_it_saw(pytester, monkeypatch):
    monkeypatch.setenv(sampling.FOLDER, str(pytester.path))
    pytester.makepyfile("import time\ndef test_waits(): time.sleep(0.3)")

    # Modules of this tree are found as in a run of it.
    monkeypatch.setenv("PYTHONPATH", str(runs.paths.ROOT))
    plugins = ("trove.tests.fixtures.options", "trove.tests.fixtures.runs", "bench.sampling")
    argv = [word for name in plugins for word in ("-p", name)]
    pytester.runpytest_subprocess(*argv).assert_outcomes(passed=1)

    seen = json.loads((pytester.path / "controller.json").read_text())
    assert seen["whole"] >= 0.3
    assert sum(seen["modules"].values()) < 0.2
