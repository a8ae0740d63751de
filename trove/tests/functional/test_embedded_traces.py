"""Whatever happens to an embedded cloud, this machine is afterwards as it was before.

The clouds here have keystone and the daemons alone: what could be left behind is
the same, and they are up in seconds.
"""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import openstack
import pytest

from trove.tests.common import paths
from trove.tests.embedded import addresses, lease, lifecycle, namespaces
from trove.tests.embedded.hypervisor import KINDS
from trove.tests.embedded.init import HOST_NAME
from trove.tests.functional.conftest import TROVE_CLOUD, trove_cloud, verb
from trove.tests.functional.observing import TRIAL, lines, look, processes, wait_until

SMALL = ("up", "--hypervisor", "qemu", "--services", "keystone")
_WITHOUT_ASKING_FOR_ROOM = """
import sys
from trove.tests.embedded import cli, lifecycle
lifecycle.DISK_NEEDED = 0
sys.exit(cli.main())
"""
_RUN_CONTAINER = """
import sys
from pathlib import Path
from trove.tests.embedded.containers import probe
probe.run_container(Path(sys.argv[1]))
"""
_WITHOUT_IPV6 = """
set -eu
for scope in all default; do echo 1 > /proc/sys/net/ipv6/conf/$scope/disable_ipv6; done
ip link set lo up
"$@" up --hypervisor qemu --services keystone
"$@" shell -- {python} -c 'import openstack; print(openstack.connect().auth_token[:3])'
"$@" down
test -z "$(ip -brief link show type veth)"
"""


def half_started() -> bool:
    """Tell whether the trial cloud has processes but is not complete."""
    return TRIAL.log("mariadb").exists() and TRIAL.settings is None


def leads_to_the_cloud() -> bool:
    """Tell whether the trial cloud's addresses are reached by its own link."""
    return TRIAL.net.link in " ".join(lines("ip", "route", "get", str(TRIAL.net.api)))


def attach_a_volume() -> None:
    """Have the trial cloud make a device of a volume, as for a guest."""
    volumes = openstack.connect(cloud=TRIAL.user_cloud).block_storage
    volume = volumes.wait_for_status(volumes.create_volume(size=1), interval=1)
    volumes.create_attachment(volume.id, connector={"host": HOST_NAME})


def run_container() -> None:
    """Have a container run in the trial cloud, its root attached as nova does it."""
    command = [sys.executable, "-c", _RUN_CONTAINER, TRIAL.disks]
    subprocess.run(namespaces.enter(TRIAL.init, command), check=True, timeout=60)


@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_start_leaves_nothing_at_once(machine, ending):
    starting = trove_cloud(*SMALL)
    wait_until(half_started, timeout=60)
    starting.send_signal(ending)
    assert starting.wait(timeout=60) != 0
    assert look() == machine


def test_a_killed_start_leaves_nothing_once_it_is_down(machine):
    starting = trove_cloud(*SMALL)
    wait_until(half_started, timeout=60)
    starting.kill()
    starting.wait()
    assert TRIAL.init is not None
    lifecycle.down(TRIAL)
    assert look() == machine


@pytest.mark.timeout(400)
def test_two_starts_at_once_give_one_cloud(machine):
    starts = [trove_cloud(*SMALL, stderr=subprocess.PIPE) for _ in range(2)]
    said = [start.communicate(timeout=300)[1] for start in starts]
    assert [start.returncode for start in starts] == [0, 0]
    assert sum("waiting" in text for text in said) == 1
    assert sum("keystone-bootstrap" in text for text in said) == 1
    assert leads_to_the_cloud()


@pytest.mark.timeout(400)
@pytest.mark.parametrize("hypervisor", ["qemu", "lxc"])
def test_with_its_supervisor_everything_ends(machine, hypervisor):
    if fault := KINDS[hypervisor].fault():
        pytest.skip(f"needs_{hypervisor}: {fault}")
    assert verb("up", "--hypervisor", hypervisor, "--services", "cinder").returncode == 0
    attach_a_volume()
    if hypervisor == "lxc":
        run_container()
    assert look().loop_devices - machine.loop_devices
    address = str(TRIAL.net.api)
    TRIAL.init.kill()
    wait_until(lambda: not list(processes()), timeout=30)
    assert verb("status").returncode == 1
    lifecycle.down(TRIAL)
    # Its addresses lead nowhere, least of all out.
    gone = subprocess.run(["ip", "route", "get", address], capture_output=True, check=False)
    assert gone.returncode != 0


@pytest.mark.timeout(400)
def test_after_a_reboot_it_starts_again(machine):
    assert verb(*SMALL).returncode == 0
    TRIAL.init.kill()
    wait_until(lambda: not list(processes()), timeout=30)
    fence = ["unreachable", str(addresses.RANGE), "metric", "4000"]
    subprocess.run(["ip", "route", "delete", *fence], check=True)
    # What a dead cloud wrote of itself must not pass for a running one.
    assert TRIAL.settings is not None
    assert TRIAL.supervisor.is_socket()
    (TRIAL.folder / "supervisord.pid").write_text(f"{os.getpid()}\n")
    assert verb(*SMALL).returncode == 0
    assert leads_to_the_cloud()
    assert lines("ip", "route", "show", "type", "unreachable")


@pytest.mark.timeout(400)
def test_a_full_disk_is_told_in_one_sentence(machine, tmp_path):
    disk = tmp_path / "disk"
    disk.mkdir()
    home = {**os.environ, "TROVE_SCENARIO_HOME": str(disk)}
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=48m", "tmpfs", str(disk)], check=True)
    try:
        early = verb(*SMALL, env=home)
        assert early.returncode == 1
        assert "needs 12 GiB" in early.stderr

        (disk / "services").symlink_to(paths.home() / "services")
        late = subprocess.run(
            [sys.executable, "-c", _WITHOUT_ASKING_FOR_ROOM, "--name", TRIAL.name, *SMALL],
            env=home,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        assert late.returncode == 1
        told = late.stderr.splitlines()[-1]
        assert told.startswith("trove-cloud: The disk")
        assert str(disk) in told
        assert not [
            line
            for line in Path("/proc/mounts").read_text().splitlines()
            if "overlay" in line and str(disk) in line
        ]
        verb("down", env=home)
    finally:
        subprocess.run(["umount", "--recursive", str(disk)], check=True)


@pytest.mark.timeout(400)
def test_without_ipv6_it_is_a_cloud_as_well(machine):
    done = subprocess.run(
        [
            *("unshare", "--net", "sh", "-c", _WITHOUT_IPV6.format(python=sys.executable), "sh"),
            *(*TROVE_CLOUD, "--name", TRIAL.name),
        ],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "gAA" in done.stdout


@pytest.mark.timeout(400)
def test_a_cloud_that_nobody_uses_ends_itself(machine):
    assert verb(*SMALL, "--lease", "6s").returncode == 0
    # Requests count as use, ...
    until = time.monotonic() + 10
    while time.monotonic() < until:
        lines("curl", "--silent", "--cacert", str(TRIAL.authority), TRIAL.url("keystone"))
        time.sleep(1)
    assert TRIAL.init is not None
    # ... and verbs do.
    assert verb("status").returncode == 0
    assert lease.remaining(TRIAL) > 3
    wait_until(lambda: not TRIAL.folder.exists(), timeout=60)
    wait_until(lambda: look() == machine, timeout=10)
