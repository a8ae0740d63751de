"""Readiness probes: each returns None when ready, else a word on what is missing."""

import re
import socket
from collections.abc import Callable
from pathlib import Path

import amqp
import requests

from trove.tests.embedded import namespaces

Probe = Callable[[], str | None]


def answers_http(url: str, authority: Path) -> Probe:
    """Ready when the URL answers with anything but a server error.

    Args:
        url: what to ask for.
        authority: certificate of who must vouch for the answer.
    """

    def probe() -> str | None:
        try:
            status = requests.get(url, timeout=10, verify=authority).status_code
        except requests.RequestException as error:
            return f"{url}: {type(error).__name__}"
        return f"{url} answers {status}" if status >= 500 else None

    return probe


def accepts_tcp(host: str, port: int) -> Probe:
    """Ready when the port accepts a connection."""

    def probe() -> str | None:
        try:
            socket.create_connection((host, port), timeout=5).close()
        except OSError as error:
            return f"{host}:{port}: {error}"
        return None

    return probe


def listens(folder: Path, port: int) -> Probe:
    """Ready when the cloud in ``folder`` has a listener on this port of its own loopback.

    Nothing outside the cloud can connect to it.
    """
    wanted = re.compile(rf":{port:04X} 00000000:0000 0A ")

    def probe() -> str | None:
        init = namespaces.find_init(folder)
        sockets = Path(f"/proc/{init.pid}/net/tcp").read_text() if init else ""
        return None if wanted.search(sockets) else f"nothing listens on port {port}"

    return probe


def accepts_local(path: Path) -> Probe:
    """Ready when the Unix socket accepts a connection."""

    def probe() -> str | None:
        with socket.socket(socket.AF_UNIX) as client:
            try:
                client.connect(str(path))
            except OSError as error:
                return f"{path}: {error}"
        return None

    return probe


def consumes(host: str, password: str, queue: str) -> Probe:
    """Ready when somebody takes messages from the queue; for workers without a port."""

    def probe() -> str | None:
        try:
            with amqp.Connection(host, userid="openstack", password=password) as connection:
                declared = connection.channel().queue_declare(queue, passive=True)
        except (OSError, amqp.AMQPError) as error:
            return f"queue {queue}: {type(error).__name__}"
        return None if declared.consumer_count else f"nobody takes messages from queue {queue}"

    return probe


def logs(path: Path, pattern: str) -> Probe:
    """Ready when the log has a line that matches; for workers that show nothing else."""
    wanted = re.compile(pattern)

    def probe() -> str | None:
        try:
            found = wanted.search(path.read_text(errors="replace"))
        except FileNotFoundError:
            found = None
        return None if found else f"no line like {pattern!r} in {path}"

    return probe


def answers_ovn(folder: Path) -> Probe:
    """Ready when ovn-controller listens on its control socket in ``folder``.

    It names the socket after its process, and offers no option for that; one that was
    killed leaves its socket there.
    """

    def probe() -> str | None:
        sockets = folder.glob("ovn-controller.*.ctl")
        if any(accepts_local(path)() is None for path in sockets):
            return None
        return f"no control socket of ovn-controller in {folder} answers"

    return probe
