"""A cloud that nobody uses ends itself.

A cloud's file ``lease`` says how many seconds it may lie idle; the file's time is
when a verb or a test run last used the cloud. Requests to its APIs count too: the
proxy in front of them logs each, and the services themselves go past it.

The watcher is a small process outside the cloud. It could not clean up from
inside, where it would end with the cloud: here it turns into the
``trove-cloud expire`` that removes processes, links, clouds.yaml entries and the
folder, as ``down`` does. When the cloud ends otherwise, it ends by itself.
"""

import contextlib
import os
import re
import subprocess
import sys
from pathlib import Path

import psutil

from trove.tests.common import paths
from trove.tests.common.errors import ScenarioError
from trove.tests.embedded import clouds_yaml, watcher
from trove.tests.embedded.cloud import Cloud

VARIABLE = "TROVE_CLOUD_LEASE"
USUAL = "12h"
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_WATCHER = str(Path(watcher.__file__))


def seconds(text: str | None = None) -> float:
    """Return the seconds that ``8h``, ``30m``, ``90s`` or ``2d`` mean; 0 is no end.

    Args:
        text: the duration; without it that of the environment, else the usual one.

    Raises:
        ScenarioError: the text is something else.
    """
    text = (text or os.environ.get(VARIABLE) or USUAL).strip()
    match = re.fullmatch(r"(\d+(?:\.\d+)?)([smhd])", text)
    if text != "0" and not match:
        raise ScenarioError(f"A lease of {text!r} is no duration: write 8h, 30m, or 0 for no end.")
    return float(match[1]) * _UNITS[match[2]] if match else 0


def grant(cloud: Cloud, duration: float) -> None:
    """Let a cloud lie idle for this many seconds, from now on; 0 for ever."""
    (cloud.folder / "lease").write_text(f"{duration}\n")


def renew(cloud: Cloud) -> None:
    """Note that the cloud is used now, if there is one."""
    with contextlib.suppress(OSError):
        os.utime(cloud.folder / "lease")


def remaining(cloud: Cloud) -> float:
    """Return for how many seconds more the cloud may lie idle."""
    return watcher.remaining(cloud.folder)


def watch(cloud: Cloud) -> None:
    """Have a watcher end the cloud with its lease, unless there is one already."""
    init = cloud.init
    if init is None or _watchers(cloud) or remaining(cloud) == float("inf"):
        return
    subprocess.Popen(
        [sys.executable, "-I", _WATCHER, cloud.name, str(cloud.folder), str(init.pid)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        cwd="/",
        env={**os.environ, **_wherever()},
        start_new_session=True,
    )


def _wherever() -> dict[str, str]:
    """Return variables that name what a watcher needs, whichever folder it is in."""
    modules = (str(paths.ROOT), os.environ.get("PYTHONPATH"))
    return {
        "TROVE_SCENARIO_HOME": str(paths.home()),
        clouds_yaml.VARIABLE: str(clouds_yaml.location()),
        "PYTHONPATH": os.pathsep.join(filter(None, modules)),
    }


def unwatch(cloud: Cloud) -> None:
    """Wait for the watcher of a cloud that has ended."""
    psutil.wait_procs(_watchers(cloud), timeout=5)


def _watchers(cloud: Cloud) -> list[psutil.Process]:
    expected = [_WATCHER, cloud.name, str(cloud.folder)]
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if process.cmdline()[2:5] == expected:
                found.append(process)
    return found
