"""Kill what a cloud runs as a fault would: at once, and without a word to it beforehand."""

import contextlib
import time
from collections.abc import Iterable

import psutil

from trove.tests.embedded import namespaces
from trove.tests.embedded.cloud import Cloud
from trove.tests.embedded.supervision import Supervisor

AGENT = "trove-guestagent"
_AGENT_PROGRAM = "/opt/guest-agent-venv/bin/start-guest-agent"
_PATIENCE = 60  # seconds; a guest's agent runs a few after its server


def supervised(cloud: Cloud) -> dict[str, dict]:
    """Return the supervisor's facts by service."""
    return {process["name"]: process for process in Supervisor(cloud.supervisor).processes()}


def kill_services(cloud: Cloud, names: Iterable[str]) -> None:
    """Kill services of a cloud, each with all its workers; its supervisor starts them again."""
    running = supervised(cloud)
    inside = namespaces.members(cloud.init)
    for name in names:
        main = inside[running[name]["pid"]]
        _kill([main, *main.children(recursive=True)])


def kill_agent(cloud: Cloud, domain: str) -> None:
    """Kill the guest agent of a guest that is a container; the guest's systemd starts it again.

    Args:
        cloud: the cloud.
        domain: what libvirt calls the guest.

    Raises:
        RuntimeError: the guest has no agent.
    """
    deadline = time.monotonic() + _PATIENCE
    while not (agents := _agents(cloud, domain)):
        if time.monotonic() > deadline:
            raise RuntimeError(f"guest {domain} has no agent")
        time.sleep(0.1)
    _kill(agents)


def _agents(cloud: Cloud, domain: str) -> list[psutil.Process]:
    """Return the processes of a guest's agent; they are below the program that is its frame."""
    return [
        process
        for frame in namespaces.members(cloud.init).values()
        if domain in _words(frame) and "libvirt_lxc" in _words(frame)[0]
        for process in frame.children(recursive=True)
        if _AGENT_PROGRAM in _words(process)
    ]


def _words(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline() or [""]
    except psutil.Error:
        return [""]


def _kill(processes: Iterable[psutil.Process]) -> None:
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):  # it ended with its parent
            process.kill()
