"""What of this machine a cloud could change, seen before and after."""

import contextlib
import hashlib
import os
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil

from trove.tests.common import paths
from trove.tests.embedded import control_groups
from trove.tests.embedded.cloud import Cloud

TRIAL = Cloud("trial")
# Where a machine's timers, sessions and journal write whenever they like.
_OF_THE_SYSTEM = (
    *("/run/systemd", "/run/udev", "/run/user"),
    *("/var/lib/apt", "/var/lib/systemd", "/var/log/journal"),
)


@dataclass(frozen=True)
class Machine:
    """What of this machine a cloud could change; other clouds may come and go."""

    processes: frozenset[str]
    mounts: frozenset[str]
    links: frozenset[str]
    routes: frozenset[str]
    routing_rules: frozenset[str]
    packet_filter: frozenset[str]
    kernel_settings: frozenset[str]
    inside: frozenset[str]
    loop_devices: frozenset[str]
    control_groups: frozenset[str]
    files: frozenset[str]
    configuration: frozenset[str]


def look() -> Machine:
    """Take a picture of the machine."""
    others = [alias.parent.name for alias in _aliases_of_other_clouds()]

    def ours(lines: frozenset[str]) -> frozenset[str]:
        return frozenset(line for line in lines if not any(link in line for link in others))

    return Machine(
        processes=frozenset(processes()),
        mounts=frozenset(Path("/proc/self/mounts").read_text().splitlines()),
        links=ours(lines("ip", "-o", "-brief", "link")),
        routes=ours(lines("ip", "route", "show", "table", "all")),
        routing_rules=ours(lines("ip", "rule", "list")),
        packet_filter=lines("iptables-save") | lines("ip6tables-save"),
        kernel_settings=ours(frozenset(_kernel_settings())),
        inside=frozenset(_inside()),
        loop_devices=frozenset(_loop_devices()),
        control_groups=frozenset(
            str(group)
            for group in Path("/sys/fs/cgroup").glob("**/trove-cloud*")
            if group.name == control_groups.name(TRIAL.folder)
        ),
        files=frozenset(_files()),
        configuration=frozenset(_configuration()),
    )


def lines(*argv: str) -> frozenset[str]:
    """Return the lines that a program prints, comments left out."""
    text = subprocess.run(argv, capture_output=True, text=True, check=True).stdout
    return frozenset(line for line in text.splitlines() if not line.startswith("#"))


def processes() -> Iterator[str]:
    """Name the processes that have to do with the trial cloud."""
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if str(TRIAL.folder) in " ".join(process.cmdline()):
                yield process.name()


def wait_until(condition: Callable[[], object], timeout: float) -> None:
    """Wait for something on this machine."""
    deadline = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < deadline, f"not within {timeout} s"
        time.sleep(0.2)


def _aliases_of_other_clouds() -> list[Path]:
    """Return the files that tell where the network links of the machine's other clouds lead."""
    aliases = Path("/sys/class/net").glob("trove-cloud*/ifalias")
    return [alias for alias in aliases if alias.read_text().strip() != str(TRIAL.folder)]


def _loop_devices() -> Iterator[str]:
    folders = [alias.read_text().strip() for alias in _aliases_of_other_clouds()]
    for line in lines("losetup", "--all"):
        if not any(f"{folder}/" in line for folder in folders):
            yield line


def _kernel_settings() -> Iterator[str]:
    for file in Path("/proc/sys/net").rglob("*"):
        with contextlib.suppress(OSError):
            if file.is_file() and "count" not in file.name:
                yield f"{file} {file.read_text().strip()}"


def _inside() -> Iterator[str]:
    """Name the processes that see the trial cloud's mounts, whatever their own names are."""
    for process in psutil.process_iter():
        with contextlib.suppress(OSError, psutil.Error):
            if f"upperdir={TRIAL.folder}" in Path(f"/proc/{process.pid}/mounts").read_text():
                yield process.name()


def _files() -> Iterator[str]:
    elsewhere = (str(paths.home()), *_OF_THE_SYSTEM)
    for top in ("/etc", "/run", "/var/lib", "/var/log", "/dev/shm", str(Path.home() / ".config")):
        for folder, _, names in os.walk(top):
            if not folder.startswith(elsewhere):
                yield from (f"{folder}/{name}" for name in names)


def _configuration() -> Iterator[str]:
    for folder, _, names in os.walk("/etc"):
        for name in names:
            file = Path(folder, name)
            if file.is_file():
                yield f"{file} {hashlib.sha256(file.read_bytes()).hexdigest()}"
