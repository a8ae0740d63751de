"""First process of the embedded cloud's namespaces; it becomes the supervisor.

Runs as a script with the standard library alone:
``init.py CLOUD PYTHON [CONTROL_GROUP]``.
Inside, /etc is the host's with the cloud's configuration laid over it; /run and
/var are the cloud's own; nothing of that is visible outside.
"""

import ctypes
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

HOST_NAME = "embedded"
SUPERVISOR = Path(__file__).with_name("supervisord.py")
KERNEL_SETTINGS = {
    "ip_forward": 1,
    # Guests' devices are in the namespace itself. For a guest's question about one
    # of the cloud's addresses only the network that the address is in has the answer.
    "conf/all/arp_ignore": 1,
}
NETWORK = Path("/proc/sys/net")
OWN_TREES = ("run", "var")
CONTROL_GROUPS = Path("/sys/fs/cgroup")
_NEW_CONTROL_GROUP_VIEW = 0x02000000  # CLONE_NEWCGROUP of linux/sched.h
EXPECTED_FOLDERS = (
    "run/lock",
    "run/openvswitch",
    "run/ovn",
    "var/cache",
    "var/lib/home",
    "var/lib/libvirt",
    "var/log",
    "var/tmp",
)


def mount(*arguments: str) -> None:
    """Call mount(8)."""
    subprocess.run(["mount", *arguments], check=True)


def arrange_mounts(cloud: Path) -> None:
    """Lay the cloud's own trees over the host's."""
    mount("--make-rprivate", "/")
    # The cloud's folder may lie below a tree that is about to be covered.
    descriptor = os.open(cloud, os.O_PATH)
    held = f"/proc/{os.getpid()}/fd/{descriptor}"
    # What the host has mounted there stays in view otherwise, and libvirt takes it
    # for usable: its control groups above all.
    subprocess.run(["umount", "--recursive", "--lazy", "/sys"], check=True)
    mount("-t", "sysfs", "sysfs", "/sys")
    work = cloud / "etc.work"
    work.mkdir(exist_ok=True)
    layers = f"lowerdir=/etc,upperdir={cloud}/etc,workdir={work}"
    mount("-t", "overlay", "overlay", "-o", layers, "/etc")
    for folder in EXPECTED_FOLDERS:
        (cloud / folder).mkdir(parents=True, exist_ok=True)
    (cloud / "var/tmp").chmod(0o1777)
    (cloud / "var/run").symlink_to("/run")
    (cloud / "var/lock").symlink_to("/run/lock")
    for tree in OWN_TREES:
        mount("--bind", f"{held}/{tree}", f"/{tree}")
    if not (cloud / "etc").is_dir():
        cloud.mkdir(parents=True)
        mount("--bind", held, str(cloud))
    os.close(descriptor)


def enter_control_groups(name: str) -> None:
    """Have groups of that name, version 1, in all hierarchies and see nothing above them.

    Whatever is started afterwards, guests that are containers included, is in
    groups below: nothing of the cloud is in a group whose name the host can't tell.
    """
    mount("-t", "tmpfs", "-o", "mode=755", "cgroup", str(CONTROL_GROUPS))
    hierarchies = list(_hierarchies())
    for folder, options, own in hierarchies:
        folder.mkdir()
        mount("-t", "cgroup", "-o", options, "cgroup", str(folder))
        _join(folder / own.lstrip("/"), name)
        subprocess.run(["umount", str(folder)], check=True)
    # From Python 3.12 on that is os.unshare.
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(_NEW_CONTROL_GROUP_VIEW) != 0:
        raise OSError(ctypes.get_errno(), "no namespace of control groups")
    for folder, options, _ in hierarchies:
        mount("-t", "cgroup", "-o", options, "cgroup", str(folder))


def _hierarchies() -> Iterator[tuple[Path, str, str]]:
    """Return of each hierarchy of version 1 its folder, mount options and this process's group."""
    for line in Path("/proc/self/cgroup").read_text().splitlines():
        _, controllers, group = line.split(":", 2)
        if controllers:
            named = controllers.startswith("name=")
            folder = CONTROL_GROUPS / controllers.removeprefix("name=")
            yield folder, f"none,{controllers}" if named else controllers, group


def _join(parent: Path, name: str) -> None:
    group = parent / name
    group.mkdir(exist_ok=True)
    # Nothing can run in a group of this kind before it has these.
    for setting in ("cpuset.cpus", "cpuset.mems"):
        if (parent / setting).exists():
            (group / setting).write_text((parent / setting).read_text())
    (group / "cgroup.procs").write_text("0")  # the process that writes


def set_up_network() -> None:
    """Give the network namespace its settings, before it has a device with an address."""
    for setting, value in KERNEL_SETTINGS.items():
        (NETWORK / "ipv4" / setting).write_text(f"{value}\n")
    # The fence around guests is one of IPv4, and the kernel by itself gives each of their
    # devices an address of IPv6.
    for devices in ("all", "default"):
        disabled = NETWORK / "ipv6/conf" / devices / "disable_ipv6"
        if disabled.exists():  # not so where the kernel has no IPv6
            disabled.write_text("1\n")


def main() -> None:
    """Arrange mounts, host name and loopback, then become the supervisor."""
    cloud, python, *control_group = sys.argv[1:]
    cloud = Path(cloud)
    arrange_mounts(cloud)
    if control_group:
        enter_control_groups(*control_group)
    socket.sethostname(HOST_NAME)
    set_up_network()
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    os.chdir("/")
    configuration = str(cloud / "supervisord.conf")
    os.execv(python, [python, "-I", str(SUPERVISOR), "--configuration", configuration])


if __name__ == "__main__":
    main()
