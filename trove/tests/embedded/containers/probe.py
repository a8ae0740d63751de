"""Start a tiny container the way guests are started, to see whether this machine can.

Run as a program it is the first process of namespaces like a cloud's own.
"""

import os
import subprocess
import sys
import time
from pathlib import Path

from trove.tests.common import commands, paths, scratch
from trove.tests.embedded import control_groups, init, loop_devices, namespaces

_DOMAIN = """
<domain type="lxc">
  <name>probe</name>
  <memory unit="MiB">64</memory>
  <os>
    <type>exe</type>
    <init>/usr/bin/sh</init>
    <initarg>-c</initarg>
    <initarg>unshare --cgroup touch /ran &amp;&amp; exec sleep 600</initarg>
  </os>
  <devices>
    <filesystem><source dir="{root}"/><target dir="/"/></filesystem>
    <filesystem><source dir="/usr"/><target dir="/usr"/><readonly/></filesystem>
    <console type="pty"/>
  </devices>
</domain>
"""
_DRIVER = "*/libvirt/connection-driver/libvirt_driver_lxc.so"
_LIBVIRT = ("virsh", "--quiet", "--connect", "lxc:///system")


def fault(deadline: float = 20) -> str | None:
    """Start a real container; return what is wrong, None if it ran.

    Its root is a loop device on XFS, libvirt starts it, and it makes a view of
    control groups of its own, all as guests do. Nothing of it is left.

    Args:
        deadline: seconds it has; a quiet machine needs one or two.
    """
    if not control_groups.present():
        return "there are no control groups of version 1 for containers"
    with scratch.folder(".probe", paths.clouds(), _release) as folder:
        program = [sys.executable, "-m", __name__, folder, control_groups.name(folder)]
        try:
            probe = subprocess.run(
                commands.dying_with_us(namespaces.bundle(program, "--kill-child")),
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=deadline,
                check=False,
            )
        except subprocess.TimeoutExpired:
            return f"no container starts within {deadline:g} s"
    if probe.returncode == 0:
        return None
    said = probe.stderr.strip().splitlines() or [f"the probe ended with {probe.returncode}"]
    return f"no container starts ({said[-1]})"


def _release(folder: Path) -> None:
    control_groups.remove(folder)
    loop_devices.release(_disks_file(folder))


def _disks_file(folder: Path) -> Path:
    return folder / "disks.xfs"


def _run(*argv: str | Path) -> str:
    return subprocess.run(
        argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True, check=True
    ).stdout


def _make_disks(folder: Path) -> Path:
    """Return a folder on XFS, as the one of guests' disks is."""
    disks = folder / "disks"
    disks.mkdir()
    _run("truncate", "--size=1G", _disks_file(folder))
    _run("mkfs.xfs", "-q", _disks_file(folder))
    _run("mount", "-o", "loop", _disks_file(folder), disks)
    return disks


def _make_root(disks: Path) -> Path:
    """Return a container's root folder: a file system in a file, attached as nova does it."""
    file, root = disks / "root.raw", disks / "root"
    _run("truncate", "--size=16M", file)
    _run("mkfs.ext4", "-q", file)
    root.mkdir()
    _run("mount", _run("losetup", "--find", "--show", file).strip(), root)
    for name in ("bin", "lib", "lib64", "sbin"):
        (root / name).symlink_to(f"usr/{name}")
    return root


def _start_libvirt(folder: Path) -> None:
    """Start libvirt with its driver of containers and no other."""
    configuration, drivers = folder / "libvirtd.conf", folder / "drivers"
    configuration.write_text('auth_unix_rw = "none"\n')
    drivers.mkdir()
    for driver in Path("/usr/lib").glob(_DRIVER):
        (drivers / driver.name).symlink_to(driver)
    daemon = subprocess.Popen(
        ["libvirtd", "--config", configuration],
        stderr=subprocess.DEVNULL,
        env={**os.environ, "LIBVIRT_DRIVER_DIR": str(drivers)},
    )
    while subprocess.run([*_LIBVIRT, "list"], capture_output=True, check=False).returncode:
        if daemon.poll() is not None:
            raise SystemExit(f"libvirtd ended with {daemon.returncode}")
        time.sleep(0.1)


def run_container(disks: Path) -> None:
    """Start a container with the libvirt that answers here, and return when it runs.

    Args:
        disks: folder on XFS, for the container's root and description.
    """
    root = _make_root(disks)
    domain = disks / "probe.xml"
    domain.write_text(_DOMAIN.format(root=root))
    _run(*_LIBVIRT, "create", domain)
    while not (root / "ran").exists():
        time.sleep(0.05)


def main() -> None:
    """Run a container in new namespaces; the caller ends what takes too long."""
    folder, control_group = Path(sys.argv[1]), sys.argv[2]
    (folder / "etc").mkdir()
    init.arrange_mounts(folder)
    init.enter_control_groups(control_group)
    _start_libvirt(folder)
    try:
        run_container(_make_disks(folder))
    except subprocess.CalledProcessError as error:
        raise SystemExit(f"{error.cmd[0]} ended with {error.returncode}") from None


if __name__ == "__main__":
    main()
