"""The probe for containers starts a real one, and leaves nothing of it."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from trove.tests.common import paths
from trove.tests.embedded import control_groups
from trove.tests.embedded.containers import probe
from trove.tests.functional.observing import wait_until

pytestmark = pytest.mark.skipif(
    not control_groups.present(), reason="no control groups of version 1"
)


def remains() -> Iterator[str]:
    """Find what a probe left: its folder, processes, loop devices and control groups."""
    mark = str(paths.clouds() / ".probe-")
    yield from map(str, paths.clouds().glob(".probe-*"))
    groups = control_groups.name(Path(mark))
    yield from map(str, Path("/sys/fs/cgroup").glob(f"**/{groups}*"))
    for device in Path("/sys/block").glob("loop*/loop/backing_file"):
        if mark in (file := device.read_text()):
            yield file
    for process in psutil.process_iter(["cmdline"]):
        if mark in (command := " ".join(process.info["cmdline"] or ())):
            yield command


def replace_program(monkeypatch, folder, name, script):
    """Have another program run under a name."""
    programs = folder / "bin"
    programs.mkdir()
    (programs / name).write_text(f"#!/bin/sh\n{script}\n")
    (programs / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")


@pytest.fixture(autouse=True)
def _home(tmp_path, monkeypatch) -> None:
    """A home of these tests alone: a cloud that starts meanwhile probes in its own."""
    monkeypatch.setenv("TROVE_SCENARIO_HOME", str(tmp_path))


def test_a_container_runs_and_leaves_nothing():
    assert probe.fault() is None
    assert list(remains()) == []


def test_a_container_that_takes_too_long_leaves_nothing():
    assert probe.fault(deadline=0.2) == "no container starts within 0.2 s"
    assert list(remains()) == []


def test_what_a_killed_probe_left_goes_with_the_next(monkeypatch, tmp_path):
    probing = "from trove.tests.embedded.containers import probe; probe.fault()"
    with monkeypatch.context() as patch:
        replace_program(patch, tmp_path, "mkfs.ext4", "exec sleep 600")
        killed = subprocess.Popen([sys.executable, "-c", probing], cwd=paths.ROOT)
    wait_until(lambda: any("/disks.xfs" in each for each in remains()), timeout=20)
    killed.kill()
    killed.wait()
    assert list(remains())
    assert probe.fault() is None
    assert list(remains()) == []


def test_what_is_missing_is_told(monkeypatch, tmp_path):
    replace_program(monkeypatch, tmp_path, "mkfs.xfs", "exit 1")
    assert probe.fault() == "no container starts (mkfs.xfs ended with 1)"
    assert list(remains()) == []
