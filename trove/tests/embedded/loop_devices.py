"""Loop devices that a cloud left attached.

They belong to the whole machine. Those that a cloud makes itself end with their
last user; those that nova makes for the root disks of containers don't.
"""

import json
import os
import subprocess
import time
from pathlib import Path

from trove.tests.common.errors import ScenarioError

_COLUMNS = "NAME,MAJ:MIN,BACK-MAJ:MIN,BACK-INO"


def release(disks: Path, timeout: float = 20) -> None:
    """Detach the devices of files on the file system that is in the file ``disks``.

    Nothing of it is mounted any more. With those devices its own one goes, too.

    Raises:
        ScenarioError: a device is still in use.
    """
    if not disks.exists():
        return
    deadline = time.monotonic() + timeout
    while attached := _attached(disks):
        for device in attached:
            for on_it in _devices():
                if on_it["back-maj:min"] == device["maj:min"]:
                    subprocess.run(["losetup", "--detach", on_it["name"]], check=False)
        if time.monotonic() > deadline:
            names = ", ".join(device["name"] for device in attached)
            raise ScenarioError(f"{disks} is still in use by {names}.")
        time.sleep(0.1)


def _attached(file: Path) -> list[dict[str, str]]:
    """Return the devices of a file, by its number: its path may not be what they tell."""
    status = file.stat()
    number = f"{os.major(status.st_dev)}:{os.minor(status.st_dev)}", str(status.st_ino)
    return [each for each in _devices() if (each["back-maj:min"], each["back-ino"]) == number]


def _devices() -> list[dict[str, str]]:
    listed = subprocess.run(
        ["losetup", "--list", "--json", "--output", _COLUMNS],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    devices = json.loads(listed)["loopdevices"] if listed else []
    return [{name: str(value).strip() for name, value in device.items()} for device in devices]
