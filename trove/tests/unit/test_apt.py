"""Packages are installed, and the machine is otherwise as it was."""

import fcntl
import os
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest

from trove.tests.common import apt, locks, paths

_INSTALL = """
import sys
from pathlib import Path
from trove.tests.common import apt
apt._POLICY = Path(sys.argv[1], "policy-rc.d")
with apt.alone() as lock:
    apt.install(["haproxy"], Path(sys.argv[1], "log"), lock)
"""
# Stands in for apt-get and dpkg. Installing takes a moment, all else none.
_PROGRAM = """#!/bin/sh
cd {folder}
case "$*" in
    *--download-only*) ;;
    install*) touch begun; sleep 1; touch installed ;;
esac
"""


@pytest.fixture
def policy(tmp_path, monkeypatch) -> Path:
    """The file that says whether packages may start their daemons; there is none."""
    monkeypatch.setattr(apt, "_POLICY", tmp_path / "policy-rc.d")
    return tmp_path / "policy-rc.d"


@pytest.fixture
def install(tmp_path, monkeypatch, policy):
    """Installs; returns what was run, and which daemons could be started meanwhile."""
    run = []

    def note(argv, **_options):
        refused = policy.exists() and policy.stat().st_mode & stat.S_IXUSR
        run.append((" ".join(argv), "refused" if refused else "started"))

    def install() -> list[tuple[str, str]]:
        with apt.alone() as lock:
            apt.install(["haproxy"], tmp_path / "log", lock)
        return run

    monkeypatch.setattr(apt, "run", note)
    monkeypatch.setattr(apt, "run_to_the_end", note)
    return install


def test_no_daemon_is_started_while_packages_are_installed(install, policy):
    assert {daemons for _, daemons in install()} == {"refused"}
    assert not policy.exists()


def test_what_a_killed_process_left_goes_and_refuses_meanwhile(install, policy):
    policy.write_text(apt._REFUSAL)
    assert {daemons for _, daemons in install()} == {"refused"}
    assert not policy.exists()


def test_it_goes_also_if_nothing_is_to_be_installed(policy):
    policy.write_text(apt._REFUSAL)
    with apt.alone():
        assert not policy.exists()


def test_the_machines_own_policy_stays(install, policy):
    policy.write_text("#!/bin/sh\nexit 101\n")
    install()
    assert policy.read_text() == "#!/bin/sh\nexit 101\n"


@pytest.fixture
def installing(tmp_path, monkeypatch):
    """A process that installs packages, begun like one of a terminal, and has got to dpkg."""
    programs = tmp_path / "programs"
    programs.mkdir()
    for name in ("apt-get", "dpkg"):
        (programs / name).write_text(_PROGRAM.format(folder=tmp_path))
        (programs / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")
    process = subprocess.Popen(
        [sys.executable, "-c", _INSTALL, tmp_path],
        cwd=paths.ROOT,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    while not (tmp_path / "begun").exists():
        assert process.poll() is None
        time.sleep(0.02)
    return process


def test_what_was_interrupted_is_brought_to_its_end_and_all_is_fetched_beforehand(install):
    configured, _updated, fetched, installed = [command for command, _ in install()]
    assert configured == "dpkg --configure -a"
    assert fetched == f"{installed} --download-only"


def test_ctrl_c_waits_until_packages_are_installed(installing, tmp_path):
    os.killpg(installing.pid, signal.SIGINT)
    _, said = installing.communicate()
    assert (tmp_path / "installed").exists()
    assert said.endswith(b"KeyboardInterrupt\n")
    assert not (tmp_path / "policy-rc.d").exists()


def test_who_comes_after_a_killed_process_waits_for_its_apt(installing, policy):
    os.killpg(installing.pid, signal.SIGKILL)
    installing.communicate()
    with pytest.raises(BlockingIOError), locks.held(policy.parent, fcntl.LOCK_EX | fcntl.LOCK_NB):
        pass
    with apt.alone():
        assert (policy.parent / "installed").exists()
        assert not policy.exists()
