"""Whatever happens to an embedded cloud, ``down`` leaves this machine as it was."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import openstack
import psutil
import pytest

from trove.tests.common import paths
from trove.tests.embedded import lifecycle, links, namespaces
from trove.tests.embedded.cloud import Cloud
from trove.tests.embedded.hypervisor import KINDS
from trove.tests.embedded.supervision import RUNNING, Supervisor

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs_root: namespaces are made")

TRIAL = Cloud("trial")
_BRING_UP = """
import sys
from trove.tests.embedded import cli, lifecycle
from trove.tests.embedded.cloud import Cloud
cli.end_on_signals()
lifecycle.up(Cloud("trial"), sys.argv[1])
"""
_RUN_CONTAINER = """
import sys
from pathlib import Path
from trove.tests.embedded.containers import probe
probe.run_container(Path(sys.argv[1]))
"""


@dataclass(frozen=True)
class Machine:
    """What of this machine a cloud could change."""

    processes: frozenset[str]
    mounts: frozenset[str]
    links: frozenset[str]
    routes: frozenset[str]
    namespaces: frozenset[str]
    loop_devices: frozenset[str]
    control_groups: frozenset[str]
    files: frozenset[str]


def _lines(*argv: str) -> frozenset[str]:
    return frozenset(
        subprocess.run(argv, capture_output=True, text=True, check=True).stdout.splitlines()
    )


def _files() -> Iterator[str]:
    ours = str(paths.home())
    for top in ("/etc", "/run", "/var/lib", "/var/log", "/dev/shm", str(Path.home() / ".config")):
        for folder, _, names in os.walk(top):
            if not folder.startswith(ours):
                yield from (f"{folder}/{name}" for name in names)


def _processes() -> Iterator[str]:
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if str(TRIAL.folder) in " ".join(process.cmdline()):
                yield process.name()


def _namespaces() -> Iterator[str]:
    for process in psutil.process_iter():
        for kind in ("net", "pid", "mnt", "uts", "ipc"):
            with contextlib.suppress(OSError):
                yield os.readlink(f"/proc/{process.pid}/ns/{kind}")  # noqa: PTH115


def look() -> Machine:
    """Take a picture of the machine."""
    return Machine(
        processes=frozenset(_processes()),
        mounts=frozenset(Path("/proc/self/mounts").read_text().splitlines()),
        links=_lines("ip", "-o", "-brief", "link"),
        routes=_lines("ip", "route", "show", "table", "all"),
        namespaces=frozenset(_namespaces()),
        loop_devices=_lines("losetup", "--all"),
        control_groups=frozenset(map(str, Path("/sys/fs/cgroup").glob("**/trove-cloud*"))),
        files=frozenset(_files()),
    )


@pytest.fixture
def machine(tmp_path, monkeypatch) -> Iterator[Machine]:
    """The machine before the test; afterwards it must look the same."""
    monkeypatch.setenv("OS_CLIENT_CONFIG_FILE", str(tmp_path / "openstack" / "clouds.yaml"))
    links.raise_fence()  # the one thing that stays, on purpose
    lifecycle.down(TRIAL)
    before = look()
    yield before
    lifecycle.down(TRIAL)
    after = look()
    assert after == before
    assert not TRIAL.folder.exists()
    assert not (tmp_path / "openstack").exists()


def bring_up(hypervisor: str = "qemu") -> subprocess.Popen:
    """Begin to bring the trial cloud up, in a process of its own."""
    return subprocess.Popen([sys.executable, "-c", _BRING_UP, hypervisor])


def run_container() -> None:
    """Have a container run in the trial cloud, its root attached as nova does it."""
    command = [sys.executable, "-c", _RUN_CONTAINER, TRIAL.disks]
    subprocess.run(namespaces.enter(TRIAL.init, command), check=True, timeout=60)


def wait_until(condition, timeout: float) -> None:
    """Wait for something on this machine."""
    deadline = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < deadline, f"not within {timeout} s"
        time.sleep(0.2)


def half_started() -> bool:
    """Tell whether the trial cloud has processes but is not complete."""
    return TRIAL.log("mariadb").exists() and TRIAL.settings is None


def supervised(name: str) -> dict:
    """Return the supervisor's facts on one service."""
    processes = Supervisor(TRIAL.folder / "supervisor.sock").processes()
    return next(process for process in processes if process["name"] == name)


def seen_from_here(pid: int) -> psutil.Process:
    """Return the process that the trial cloud's own PID namespace numbers ``pid``."""
    for process in TRIAL.init.children(recursive=True):
        status = Path(f"/proc/{process.pid}/status").read_text()
        numbers = next(line for line in status.splitlines() if line.startswith("NSpid:"))
        if numbers.split()[-1] == str(pid):
            return process
    raise AssertionError(f"no process {pid} in the cloud")


def attach_a_volume() -> None:
    """Have the trial cloud make a device of a volume, as for a guest."""
    volumes = openstack.connect(cloud=TRIAL.user_cloud).block_storage
    volume = volumes.wait_for_status(volumes.create_volume(size=1), interval=1)
    volumes.create_attachment(volume.id, connector={"host": "embedded"})


@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_start_leaves_nothing_at_once(machine, ending):
    starting = bring_up()
    wait_until(half_started, timeout=60)
    starting.send_signal(ending)
    assert starting.wait(timeout=60) != 0
    assert look() == machine


def test_a_killed_start_leaves_nothing_once_it_is_down(machine):
    starting = bring_up()
    wait_until(half_started, timeout=60)
    starting.kill()
    starting.wait()
    assert TRIAL.init is not None
    lifecycle.down(TRIAL)
    assert look() == machine


@pytest.mark.timeout(400)
@pytest.mark.parametrize("hypervisor", ["qemu", "lxc"])
def test_a_whole_life(machine, hypervisor):
    if fault := KINDS[hypervisor].fault():
        pytest.skip(f"needs_{hypervisor}: {fault}")
    assert bring_up(hypervisor).wait(timeout=300) == 0

    # A killed service is started again.
    before = supervised("keystone")
    seen_from_here(before["pid"]).kill()
    wait_until(
        lambda: (
            supervised("keystone")["statename"] == RUNNING
            and supervised("keystone")["pid"] != before["pid"]
        ),
        timeout=60,
    )

    # While it is up its addresses lead into it, and from nowhere out.
    assert TRIAL.net.link in " ".join(_lines("ip", "route", "get", str(TRIAL.net.api)))

    if hypervisor == "lxc":
        run_container()

    # With the supervisor everything ends, the devices of attached volumes, too.
    attach_a_volume()
    assert _lines("losetup", "--all") - machine.loop_devices
    TRIAL.init.kill()
    wait_until(lambda: not list(_processes()), timeout=30)
    lifecycle.down(TRIAL)
    gone = subprocess.run(
        ["ip", "route", "get", str(TRIAL.net.api)], capture_output=True, check=False
    )
    assert gone.returncode != 0
