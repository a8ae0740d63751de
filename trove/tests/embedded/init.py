"""First process of the embedded cloud's namespaces; it becomes the supervisor.

Runs as a script with the standard library alone: ``init.py CLOUD SUPERVISORD``.
Inside, /etc is the host's with the cloud's configuration laid over it; /run and
/var are the cloud's own; nothing of that is visible outside.
"""

import os
import socket
import subprocess
import sys
from pathlib import Path

HOST_NAME = "embedded"
KERNEL_SETTINGS = {
    "ip_forward": 1,
    # Guests' devices are in the namespace itself. For a guest's question about one
    # of the cloud's addresses only the network that the address is in has the answer.
    "conf/all/arp_ignore": 1,
}
OWN_TREES = ("run", "var")
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


def main() -> None:
    """Arrange mounts, host name and loopback, then become the supervisor."""
    cloud, supervisord = Path(sys.argv[1]), sys.argv[2]
    arrange_mounts(cloud)
    socket.sethostname(HOST_NAME)
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    for setting, value in KERNEL_SETTINGS.items():
        Path("/proc/sys/net/ipv4", setting).write_text(f"{value}\n")
    os.chdir("/")
    configuration = str(cloud / "supervisord.conf")
    os.execv(supervisord, [supervisord, "--configuration", configuration])


if __name__ == "__main__":
    main()
