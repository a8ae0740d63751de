"""What is told of a running cloud."""

import subprocess
from collections.abc import Iterator

import psutil
import pytest

from trove.tests.embedded import inspection, namespaces
from trove.tests.embedded.cloud import Cloud


@pytest.fixture
def init() -> Iterator[psutil.Process]:
    """A process that has started another one."""
    with subprocess.Popen(["sh", "-c", "sleep 60 & echo; wait"], stdout=subprocess.PIPE) as shell:
        shell.stdout.readline()
        init = psutil.Process(shell.pid)
        family = [init, *init.children()]
        yield init
        for process in family:
            process.kill()


def test_memory_of_guests_that_are_containers_is_the_clouds(init, monkeypatch):
    monkeypatch.setattr(Cloud, "init", init)
    monkeypatch.setattr(namespaces, "members", lambda _init: {1: init})
    monkeypatch.setattr(inspection, "_memory", lambda some: {"pss": len(some), "rss": len(some)})
    assert inspection.describe(Cloud())["memory"] == {"pss": 2, "rss": 2}
