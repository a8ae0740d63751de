#!/usr/bin/python3
"""libvirt's hook for containers: what nova leaves to do at the steps of their lives.

libvirt calls ``lxc DOMAIN OPERATION …`` with the domain's description on standard
input. It runs inside the cloud, with the standard library alone.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

# Where cloud-init looks for the content of a config drive beside drives.
SEED = "var/lib/cloud/seed/config_drive"
CONTROL_GROUPS = Path("/sys/fs/cgroup")


def unpack_config_drive(domain: ElementTree.Element) -> None:
    """Put the content of the config drive into the root: nova makes one, but attaches none."""
    root = next(
        Path(each.find("source").get("dir"))
        for each in domain.iterfind("devices/filesystem")
        if each.find("target").get("dir") == "/"
    )
    drive = root.with_name("disk.config")
    if drive.exists():
        seed = root / SEED
        shutil.rmtree(seed, ignore_errors=True)
        seed.mkdir(parents=True)
        subprocess.run(["bsdtar", "-x", "-f", str(drive), "-C", str(seed)], check=True)
        seed.chmod(0o700)


def remove_control_groups(domain: ElementTree.Element) -> None:
    """Remove the groups that the guest made for itself; libvirt knows of others only."""
    suffix = f"-{domain.findtext('name')}.libvirt-lxc"
    for group in list(CONTROL_GROUPS.glob(f"*/**/*{suffix}")):
        for below, _, _ in os.walk(group, topdown=False):
            Path(below).rmdir()


OPERATIONS = {
    "prepare": unpack_config_drive,
    "release": remove_control_groups,
}


def main() -> None:
    """Do what the operation is for, if any."""
    action = OPERATIONS.get(sys.argv[2])
    if action:
        action(ElementTree.parse(sys.stdin).getroot())


if __name__ == "__main__":
    main()
