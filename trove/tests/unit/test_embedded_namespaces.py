"""What becomes of the first process of a cloud's namespaces, as far as that takes no root."""

import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from trove.tests.common.errors import ScenarioError
from trove.tests.embedded import namespaces


@pytest.fixture
def launch(tmp_path, monkeypatch) -> Callable[[str], None]:
    """Runs a shell script where the namespaces would be made; its folder is the cloud's."""
    (tmp_path / "logs").mkdir()

    def create(script: str) -> None:
        command = ["/bin/sh", "-c", f"cd {tmp_path}; {script}"]
        monkeypatch.setattr(namespaces, "bundle", lambda *_: command)
        environment = {"PATH": "/usr/bin:/bin", "LANG": "C.UTF-8"}
        namespaces.create(tmp_path, Path("python"), environment=environment)

    return create


def test_a_cloud_gets_none_of_the_callers_variables(launch, monkeypatch, tmp_path):
    monkeypatch.setenv("OS_PASSWORD", "another cloud's")
    monkeypatch.setenv("PYTHONPATH", "/another/tree")
    with pytest.raises(ScenarioError, match="namespaces could not be made"):
        launch("env > told")
    told = {line.partition("=")[0] for line in (tmp_path / "told").read_text().splitlines()}
    assert told - {"PWD", "OLDPWD", "SHLVL", "_"} == {"PATH", "LANG"}


def test_an_interrupted_start_leaves_no_process_that_is_not_the_supervisor_yet(
    launch, monkeypatch, tmp_path
):
    def interrupt(_folder: Path) -> None:
        while not (tmp_path / "pid").exists():
            time.sleep(0.01)
        raise KeyboardInterrupt

    monkeypatch.setattr(namespaces, "find_init", interrupt)
    with pytest.raises(KeyboardInterrupt):
        launch("echo $$ > part; mv part pid; exec sleep 60")
    assert not psutil.pid_exists(int((tmp_path / "pid").read_text()))
