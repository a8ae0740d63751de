"""Clouds come up and go down, as far as that takes neither root nor a cloud."""

import fcntl
import os
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from trove.tests.common import locks, machine, paths
from trove.tests.common.errors import ScenarioError
from trove.tests.embedded import (
    cli,
    clouds_yaml,
    configuration,
    launch,
    lease,
    lifecycle,
    links,
    packages,
    services,
    snapshots,
    startup,
)
from trove.tests.embedded.cloud import NAME_VARIABLE, Cloud, Settings
from trove.tests.embedded.units import Service, Task

EXCLUSIVE = fcntl.LOCK_EX | fcntl.LOCK_NB


@pytest.mark.parametrize("name", ["..", "a/b", ".probe-x2k", "Mine", "-x", "a b"])
def test_a_folder_outside_or_of_something_else_is_no_clouds(name, monkeypatch):
    monkeypatch.setenv(NAME_VARIABLE, name)
    with pytest.raises(ScenarioError, match="can't be named .*: use small letters, digits and hy"):
        Cloud()


def test_a_probe_that_goes_on_is_no_cloud():
    for name in ("mine", "another-1", ".probe-x2k"):
        (paths.clouds() / name).mkdir(parents=True)
    (paths.clouds() / "mine.lock").touch()
    assert lifecycle.known() == [Cloud("another-1"), Cloud("mine")]


@pytest.fixture
def done(monkeypatch) -> list[str]:
    """What a start has done until it needs the package index, which does not answer."""
    done = []

    def fail(_log):
        with pytest.raises(BlockingIOError), locks.held(packages.environments(), EXCLUSIVE):
            pass  # nobody may prune meanwhile
        raise ScenarioError("no package index")

    monkeypatch.setattr(machine, "require_root", lambda *_: None)
    monkeypatch.setattr(machine, "require", lambda *_, **__: done.append("required"))
    monkeypatch.setattr(machine, "install_packages", lambda *_: done.append("installed"))
    monkeypatch.setattr(lifecycle, "remove", lambda _cloud: done.append("removed"))
    monkeypatch.setattr(packages, "services_environment", fail)
    return done


def test_programs_that_end_a_cloud_are_installed_before_one_is_replaced(done):
    with pytest.raises(ScenarioError, match="no package index"):
        lifecycle.up(Cloud())
    assert done == ["required", "installed", "removed"]


def test_where_those_programs_are_missing_a_cloud_is_down_as_well(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    cloud = Cloud()
    cloud.make_folders()
    lifecycle.down(cloud)
    assert not cloud.folder.exists()


def test_a_cloud_whose_entries_cant_be_written_takes_no_room_any_more(monkeypatch):
    def fail(_cloud):
        raise ScenarioError("the disk is full")

    monkeypatch.setattr(clouds_yaml, "remove", fail)
    cloud = Cloud()
    cloud.make_folders()
    with pytest.raises(ScenarioError, match="the disk is full"):
        lifecycle.down(cloud)
    assert not cloud.folder.exists()


def test_a_file_for_its_entries_that_cant_be_read_is_told_before_a_cloud_is_started(done):
    clouds_yaml.location().write_text("clouds: [")
    with pytest.raises(ScenarioError, match=r"clouds.yaml can't be read"):
        lifecycle.up(Cloud())
    assert done == []


@pytest.mark.parametrize("home", ["/var/lib/scenario", "/run/scenario", "/var/run/scenario"])
def test_a_home_that_services_could_not_see_is_refused_before_anything_is_done(
    done, monkeypatch, home
):
    monkeypatch.setenv("TROVE_SCENARIO_HOME", home)
    with pytest.raises(ScenarioError, match=r"can't use /.* of its own: name another folder in T"):
        lifecycle.up(Cloud())
    assert done == []
    assert not Path(home).exists()


def test_a_tree_that_services_could_not_see_is_refused(done, monkeypatch):
    monkeypatch.setattr(paths, "ROOT", Path("/var/src/trove"))
    with pytest.raises(ScenarioError, match=r"/var/src/trove, .* a /var of its own: put this tree"):
        lifecycle.up(Cloud())
    assert done == []


def test_without_root_a_start_names_the_way_out(monkeypatch):
    monkeypatch.setattr(machine.os, "geteuid", lambda: 1000)
    with pytest.raises(ScenarioError, match=r"needs root: .* or set OS_CLOUD to test another"):
        lifecycle.up(Cloud())
    assert not paths.home().exists()


class FakeSupervisor:
    """Knows in which state each service is; a service that is started runs when asked again."""

    def __init__(self) -> None:
        self.states = {"mariadb": "FATAL", "nova": "FATAL", "glance": "RUNNING"}
        self.started: list[str] = []

    def processes(self) -> list[dict]:
        """See ``Supervisor``."""
        return [{"name": name, "statename": state} for name, state in self.states.items()]

    def start(self, name: str) -> None:
        """See ``Supervisor``."""
        self.started.append(name)
        self.states[name] = "STARTING"

    def lacking(self, name: str) -> str | None:
        """See ``Supervisor``."""
        if self.states[name] == "STARTING":
            self.states[name] = "RUNNING"
            return "it is STARTING"
        return None if self.states[name] == "RUNNING" else f"it is {self.states[name]}"

    def hopeless(self, name: str) -> str | None:
        """See ``Supervisor``."""
        return "it is FATAL" if self.states[name] == "FATAL" else None


@pytest.fixture
def supervisor(monkeypatch) -> FakeSupervisor:
    """The supervisor of a complete cloud of this tree; two of its services have ended."""
    supervisor = FakeSupervisor()
    for module in (lifecycle, launch, startup):
        monkeypatch.setattr(module, "Supervisor", lambda _socket: supervisor)
    units = [
        Service(name="nova", after=("schema", "glance"), command=("nova",), ready=lambda: None),
        Service(name="glance", after=("mariadb",), command=("glance",), ready=lambda: None),
        Task(name="schema", after=("mariadb",), commands=(("migrate",),)),
        Service(name="mariadb", command=("mariadbd",), ready=lambda: None),
    ]
    monkeypatch.setattr(services, "units", lambda *_: units)
    monkeypatch.setattr(startup, "_POLL", 0.01)
    monkeypatch.setattr(machine, "require_root", lambda *_: None)
    monkeypatch.setattr(clouds_yaml, "add", lambda _cloud: None)
    monkeypatch.setattr(lease, "watch", lambda _cloud: None)
    monkeypatch.setattr(Cloud, "init", SimpleNamespace(pid=1))
    venv = str(packages.location())
    cloud = Cloud()
    cloud.make_folders()
    cloud.mark_ready(Settings("2026.2", configuration.key(), venv, hypervisor="qemu"))
    return supervisor


def test_services_that_have_ended_are_started_before_a_cloud_is_up(supervisor):
    lifecycle.up(Cloud())
    assert supervisor.started == ["mariadb", "nova"]
    assert set(supervisor.states.values()) == {"RUNNING"}


def test_of_a_cloud_whose_services_run_none_is_started(supervisor, monkeypatch):
    supervisor.states = dict.fromkeys(supervisor.states, "RUNNING")
    monkeypatch.delattr(launch, "services_again")
    lifecycle.up(Cloud())
    assert supervisor.started == []


def test_a_cloud_whose_services_dont_start_again_is_not_up(supervisor, monkeypatch):
    monkeypatch.setattr(supervisor, "start", lambda _name: None)
    told = r"is faulty; trove-cloud reset .*, trove-cloud down .* mariadb did not start: it is F"
    with pytest.raises(ScenarioError, match=told):
        lifecycle.up(Cloud())


def test_a_cloud_whose_supervisor_does_not_answer_is_not_up(supervisor, monkeypatch):
    def refuse() -> list[dict]:
        raise ConnectionRefusedError("connection refused")

    monkeypatch.setattr(supervisor, "processes", refuse)
    with pytest.raises(ScenarioError, match=r"trove-cloud down ends it\. connection refused"):
        lifecycle.up(Cloud())


@pytest.fixture
def trove_cloud(monkeypatch) -> Callable[..., int]:
    """Runs a verb as root would; returns the exit code."""

    def call(*words: str) -> int:
        monkeypatch.setattr(sys, "argv", ["trove-cloud", *words])
        return cli.main()

    monkeypatch.setattr(machine.os, "geteuid", lambda: 0)
    monkeypatch.setattr(cli, "end_on_signals", lambda: None)
    return call


@pytest.mark.parametrize(
    "words",
    ["up", "down", "down --all", "status", "logs nova", "shell", "enter x", "reset", "prune"],
)
def test_without_root_every_verb_says_so_in_one_sentence(words, trove_cloud, monkeypatch, capsys):
    monkeypatch.setattr(machine.os, "geteuid", lambda: 1000)
    assert trove_cloud(*words.split()) == 1
    said = capsys.readouterr().err
    assert said == "trove-cloud: The embedded cloud needs root: run this as root.\n"


def test_a_shell_means_the_cloud_whatever_another_ones_variables_say(
    trove_cloud, monkeypatch, capfd
):
    for name in ("OS_AUTH_URL", "OS_PASSWORD", "OS_CLOUD", "OS_REGION_NAME"):
        monkeypatch.setenv(name, "another cloud's")
    monkeypatch.setattr(Cloud, "require_up", lambda _cloud: (None, None))
    assert trove_cloud("shell", "--", "env") == 0
    told = [line for line in capfd.readouterr().out.splitlines() if line.startswith("OS_")]
    assert sorted(told) == [
        f"OS_CLIENT_CONFIG_FILE={clouds_yaml.location()}",
        "OS_CLOUD=trove-embedded",
    ]


@pytest.fixture
def resetting(monkeypatch) -> list[str]:
    """What is done to a complete cloud that is being reset, step by step."""
    steps = []

    def note(step: str) -> Callable:
        return lambda *_: steps.append(step)

    cloud = Cloud()
    cloud.make_folders(slot=3)
    cloud.mark_ready(Settings("2026.2", configuration.key(), "/venv", hypervisor="qemu"))
    monkeypatch.setattr(lifecycle, "_end", note("ended"))
    monkeypatch.setattr(links, "claim", lambda _folder, slots: steps.append(f"claimed {slots}"))
    monkeypatch.setattr(snapshots, "restore", note("restored"))
    monkeypatch.setattr(launch, "again", note("started"))
    return steps


def test_a_reset_gives_its_addresses_up_for_no_longer_than_it_must(resetting):
    lifecycle.reset(Cloud())
    assert resetting == ["ended", "claimed [3]", "restored", "started"]


def test_a_reset_whose_state_cant_be_restored_ends_the_cloud(resetting, monkeypatch):
    def fail(_cloud: Cloud) -> None:
        raise ScenarioError("the disk is full")

    monkeypatch.setattr(snapshots, "restore", fail)
    with pytest.raises(ScenarioError, match="the disk is full"):
        lifecycle.reset(Cloud())
    assert resetting == ["ended", "claimed [3]", "ended"]


def test_of_all_clouds_those_end_that_can(trove_cloud, monkeypatch, capsys):
    def fail(cloud):
        if cloud.name == "first":
            raise ScenarioError("the first one's entries stay")

    monkeypatch.setattr(clouds_yaml, "remove", fail)
    for name in ("first", "second"):
        Cloud(name).make_folders()
    assert trove_cloud("down", "--all") == 1
    assert capsys.readouterr().err == "trove-cloud: the first one's entries stay\n"
    assert lifecycle.known() == []


@pytest.fixture
def handlers() -> Iterator[None]:
    """Whatever heeds requests to end heeds them again after the test."""
    before = {each: signal.getsignal(each) for each in (signal.SIGTERM, signal.SIGHUP)}
    yield
    for each, handler in before.items():
        signal.signal(each, handler)


def test_who_interrupts_a_clouds_removal_waits_for_it(trove_cloud, monkeypatch, capsys):
    removed = []

    def interrupt(cloud: Cloud) -> None:
        os.kill(os.getpid(), signal.SIGINT)
        removed.append(cloud.name)

    Cloud().make_folders()
    monkeypatch.setattr(clouds_yaml, "remove", interrupt)
    assert trove_cloud("down") == 130
    assert removed == ["embedded"]
    assert capsys.readouterr().err == "trove-cloud: interrupted; nothing was left behind.\n"


def test_of_a_cloud_that_is_still_there_nobody_says_that_nothing_was_left(
    trove_cloud, monkeypatch, capsys
):
    def interrupt(_cloud: Cloud) -> None:
        raise KeyboardInterrupt

    Cloud().make_folders()
    monkeypatch.setattr(lifecycle, "locked", interrupt)
    assert trove_cloud("down") == 130
    assert capsys.readouterr().err == "trove-cloud: interrupted.\n"


@pytest.mark.parametrize("request_to_end", [signal.SIGTERM, signal.SIGHUP])
def test_who_is_asked_politely_undoes_what_was_begun(handlers, request_to_end):
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    cli.end_on_signals()
    with pytest.raises(KeyboardInterrupt):
        signal.raise_signal(request_to_end)


def test_who_is_to_outlive_the_terminal_does(handlers):
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    cli.end_on_signals()
    signal.raise_signal(signal.SIGHUP)
