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
apt._UNITS = Path(sys.argv[1], "system")
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
# Links to units that packages make while they are installed.
BROUGHT = {
    "multi-user.target.wants/haproxy.service": "haproxy.service",
    "multi-user.target.wants/ssh.service": "ssh.service",
    "openvswitch-switch.service.requires/record.service": "record.service",
    "sockets.target.wants/epmd.socket": "epmd.socket",
    "ovn-nb.service": "ovn-ovsdb-server-nb.service",
    "sshd.service": "ssh.service",
    "masked.service": "/dev/null",
}


@pytest.fixture
def policy(tmp_path, monkeypatch) -> Path:
    """The file that says whether packages may start their daemons; there is none."""
    monkeypatch.setattr(apt, "_POLICY", tmp_path / "policy-rc.d")
    return tmp_path / "policy-rc.d"


@pytest.fixture
def units(tmp_path, monkeypatch) -> Path:
    """The folder that has what systemd starts."""
    monkeypatch.setattr(apt, "_UNITS", tmp_path / "system")
    return tmp_path / "system"


def enable(link: Path, unit: str) -> None:
    """Make a link to a unit, as a package or an administrator does."""
    link.parent.mkdir(parents=True, exist_ok=True)
    if not link.is_symlink():
        link.symlink_to(Path("/lib/systemd/system", unit))


@pytest.fixture
def install(tmp_path, monkeypatch, policy, units):
    """Installs; returns what was run, and whether daemons could be started meanwhile."""
    run = []

    def note(argv, **_options):
        for link, unit in BROUGHT.items():
            enable(units / link, unit)
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


def test_no_unit_is_enabled_that_was_not_before(install, units):
    enable(units / "getty.target.wants/getty@tty1.service", "getty@.service")
    enable(units / "multi-user.target.wants/ssh.service", "ssh.service")
    install()
    assert {str(each.relative_to(units)) for each in units.rglob("*") if not each.is_dir()} == {
        "getty.target.wants/getty@tty1.service",
        "multi-user.target.wants/ssh.service",
        "sshd.service",
        "masked.service",
    }


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
