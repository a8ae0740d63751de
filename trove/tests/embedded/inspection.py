"""What a running cloud consists of, measured: processes, memory, ports."""

import contextlib
import os
import re
import time
from collections.abc import Collection, Iterable
from pathlib import Path

import psutil

from trove.tests.embedded import lease, namespaces
from trove.tests.embedded.cloud import Cloud
from trove.tests.embedded.supervision import RUNNING, Supervisor

_LISTENING = "0A"
_UNSUPERVISED = "others"


def describe(cloud: Cloud) -> dict:
    """Return the facts on a cloud, fit for JSON.

    ``state`` is ``up`` (complete, every service runs), ``faulty`` (complete, some
    service doesn't run), ``starting`` (not complete) or ``down``. Memory is in bytes:
    ``pss`` counts a shared page in parts, ``rss`` wholly in each process. Times are in
    seconds; ``lease`` is for how long the cloud may lie idle, None for ever.
    """
    init, settings = cloud.init, cloud.settings
    facts: dict = {"name": cloud.name, "folder": str(cloud.folder), "state": "down", "services": []}
    if init is None:
        return facts
    facts["services"] = _services(cloud, init)
    complete = all(service["state"] == RUNNING for service in facts["services"])
    facts["state"] = ("up" if complete else "faulty") if settings else "starting"
    facts["memory"] = {
        kind: sum(service[kind] for service in facts["services"]) for kind in ("pss", "rss")
    }
    left = lease.remaining(cloud)
    facts["lease"] = None if left == float("inf") else round(left)
    if settings:
        facts |= {
            "series": settings.series,
            "hypervisor": settings.hypervisor,
            "components": list(settings.components),
            "clouds": [cloud.user_cloud, cloud.admin_cloud],
        }
    return facts


def _services(cloud: Cloud, init: psutil.Process) -> list[dict]:
    inside = namespaces.members(init)
    listeners = _listeners(init.pid)
    found, counted = [], set()
    try:
        supervised = Supervisor(cloud.supervisor).processes()
    except OSError:  # not there yet, or no longer
        supervised = []
    for facts in sorted(supervised, key=lambda facts: facts["name"]):
        family = _family(inside.get(facts["pid"]))
        counted.update(process.pid for process in family)
        running = facts["statename"] == RUNNING
        found.append(
            {
                "name": facts["name"],
                "state": facts["statename"],
                "pid": family[0].pid if family else None,
                "uptime": int(time.time() - facts["start"]) if running else None,
                **_memory(family),
                "ports": _ports(family, listeners),
            }
        )
    # Guests, and the supervisor itself. What runs in a container is no member of the
    # cloud's own PID namespace, but a descendant of its first process.
    others = [process for process in _family(init) if process.pid not in counted]
    found.append(
        {"name": _UNSUPERVISED, "state": RUNNING, "pid": init.pid}
        | {"uptime": int(time.time() - init.create_time()), **_memory(others), "ports": []}
    )
    return found


def _family(process: psutil.Process | None) -> list[psutil.Process]:
    """Return a process and all that it started."""
    with contextlib.suppress(psutil.Error):
        return [process, *process.children(recursive=True)] if process else []
    return []


def _memory(processes: Iterable[psutil.Process]) -> dict[str, int]:
    total = {"pss": 0, "rss": 0}
    for process in processes:
        with contextlib.suppress(psutil.Error):
            used = process.memory_full_info()
            total["pss"] += used.pss
            total["rss"] += used.rss
    return total


def _listeners(pid: int) -> dict[str, int]:
    """Return the TCP ports that are listened on where process ``pid`` is, by socket number."""
    found = {}
    for table in ("tcp", "tcp6"):
        with contextlib.suppress(OSError):
            for line in Path(f"/proc/{pid}/net/{table}").read_text().splitlines()[1:]:
                columns = line.split()
                if columns[3] == _LISTENING:
                    found[columns[9]] = int(columns[1].rpartition(":")[2], 16)
    return found


def _ports(processes: Collection[psutil.Process], listeners: dict[str, int]) -> list[int]:
    ports = set()
    for process in processes:
        with contextlib.suppress(OSError):
            for descriptor in Path(f"/proc/{process.pid}/fd").iterdir():
                with contextlib.suppress(OSError):
                    socket = re.fullmatch(r"socket:\[(\d+)\]", os.readlink(descriptor))  # noqa: PTH115
                    if socket and socket[1] in listeners:
                        ports.add(listeners[socket[1]])
    return sorted(ports)
