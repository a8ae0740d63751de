"""Packages are installed, and the machine is otherwise as it was."""

import stat
from pathlib import Path

import pytest

from trove.tests.common import apt


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
        with apt.alone():
            apt.install(["haproxy"], tmp_path / "log")
        return run

    monkeypatch.setattr(apt, "run", note)
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
