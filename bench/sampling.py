"""A pytest plugin that samples what a run is at: how much of it goes to looking after itself.

``-p bench.sampling``, with the folder for the samples in ``TROVE_BENCH_SAMPLES``. Each
process of the run writes a file of its own there.
"""

import json
import os
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from types import FrameType
from typing import Any

import psutil
import pytest

from trove.tests.fixtures.runs import RUN, is_worker
from trove.tests.harness import reaper

FOLDER = "TROVE_BENCH_SAMPLES"
CONTROLLER = "controller"
INTERVAL = 0.01  # seconds
# Modules that are there so that a run is fast, leaves nothing behind and can be explained.
# What tests need themselves, their cloud and its instances and to undo what they have made,
# is none of it.
MACHINERY = {
    *(f"trove.tests.fixtures.{name}" for name in ("budgets", "capacity", "diagnostics")),
    *(f"trove.tests.fixtures.{name}" for name in ("html_report", "junit", "live_view")),
    *(f"trove.tests.fixtures.{name}" for name in ("reporting", "runs", "scheduling", "timeline")),
    *(f"trove.tests.harness.{name}" for name in ("evidence", "html_report", "journal")),
    *(f"trove.tests.harness.{name}" for name in ("leftovers", "milestones", "reaper")),
    *(f"trove.tests.harness.{name}" for name in ("redaction", "timeline", "vault")),
}
CLEAN_UP = "trove.tests.harness.sweeper"
SAMPLER = pytest.StashKey["Sampler"]()


class Sampler:
    """Looks at regular intervals at what the process's main thread is at.

    Attributes:
        found: how often a module of the machinery, or the clean-up, was at work.
        aside: processor seconds that others used for it meanwhile.
    """

    def __init__(self) -> None:
        self.found: Counter[str] = Counter()
        self.aside = 0.0
        self._looks = 0
        self._begun = time.monotonic()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)
        self._thread.start()

    def stop(self) -> dict[str, Any]:
        """Look no more; return the seconds of the whole, and of each module."""
        whole = time.monotonic() - self._begun
        self._ended.set()
        self._thread.join()
        each = whole / max(self._looks, 1)
        modules = {name: looks * each for name, looks in self.found.items()}
        return {"whole": whole, "modules": modules, "aside": self.aside}

    def _look(self) -> None:
        main = threading.main_thread().ident
        while not self._ended.wait(INTERVAL):
            self._looks += 1
            if module := at_work(sys._current_frames()[main]):
                self.found[module] += 1


def at_work(frame: FrameType | None) -> str:
    """Return which module a thread is at work for, by its innermost frame; empty for no such.

    What a hook of the machinery calls is done for it. What a fixture sets up is not, though
    it may be the first to ask for another one. A wrapper that waits for what it wraps has
    no frame.
    """
    module = ""
    for each in reversed(list(_frames(frame))):
        name = each.f_globals.get("__name__", "")
        if each.f_code.co_name == "call_fixture_func":
            module = ""
        elif name == CLEAN_UP or (not module and name in MACHINERY):
            module = name
    return module


def _frames(frame: FrameType | None) -> Iterator[FrameType]:
    while frame:
        yield frame
        frame = frame.f_back


def pytest_configure(config: pytest.Config) -> None:
    """Begin to look."""
    config.stash[SAMPLER] = Sampler()


@pytest.hookimpl(tryfirst=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Ask the reaper, and what the controller does beside its main thread, what they have used."""
    config = session.config
    if not is_worker(config):
        config.stash[SAMPLER].aside = _of_reaper(config.stash[RUN].folder) + _of_threads()


@pytest.hookimpl(trylast=True)
def pytest_unconfigure(config: pytest.Config) -> None:
    """Write down what was seen."""
    name = config.workerinput["workerid"] if is_worker(config) else CONTROLLER
    file = Path(os.environ[FOLDER]) / f"{name}.json"
    file.write_text(json.dumps(config.stash[SAMPLER].stop()))


def _of_threads() -> float:
    main = threading.main_thread().native_id
    threads = (each for each in psutil.Process().threads() if each.id != main)
    return sum(each.user_time + each.system_time for each in threads)


def _of_reaper(folder: Path) -> float:
    for process in psutil.process_iter(["cmdline"]):
        if (process.info["cmdline"] or [])[-2:] == [reaper.MODULE, str(folder)]:
            used = process.cpu_times()
            return used.user + used.system
    return 0.0
