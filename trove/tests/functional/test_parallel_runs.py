"""A run of four workers on the embedded cloud: what they share is made once."""

import collections
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from trove.tests.common import paths
from trove.tests.embedded import api, lifecycle
from trove.tests.embedded.cloud import Cloud
from trove.tests.harness.run import Run

# Some on the shared instance, and some on none: for more than one worker.
TESTS = "mysql and (databases or catalogue)"


@pytest.fixture
def cloud(tmp_path, monkeypatch) -> Iterator[None]:
    """The embedded cloud, which the run starts if it isn't up; then it ends with the test.

    It may have been up before, and then stays, with its entry in this test's clouds.yaml.
    """
    monkeypatch.setenv("OS_CLIENT_CONFIG_FILE", str(tmp_path / "clouds.yaml"))
    was_up = api.is_up()
    yield
    if not was_up:
        lifecycle.down(Cloud())


@pytest.mark.timeout(1800)
def test_four_workers_make_one_of_each_and_leave_nothing(cloud):
    command = [sys.executable, "-m", "pytest", "-m", TESTS, "-n", "4", "-v"]
    done = subprocess.run(command, cwd=paths.ROOT, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stdout[-5000:]
    folder = Path(re.search(r"^journal and logs: (.+)", done.stdout, re.MULTILINE)[1])
    run = Run(folder.name, folder)
    made = collections.Counter(
        event["kind"] for event in run.journal.events() if event["event"] == "created"
    )
    assert made["instance"] == 1
    # An earlier run may have left them for all.
    assert max(made["image"] // 3, made["datastore_version"], made["flavor"]) <= 1
    assert done.stdout.count("disk mysql") <= 2  # it begins, and it is done
    assert len({line[:5] for line in done.stdout.splitlines() if line.startswith("[gw")}) > 1
    assert run.journal.open_entries() == []
