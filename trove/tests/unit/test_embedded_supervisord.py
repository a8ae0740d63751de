"""The supervisor sleeps while nothing happens, whatever numbers its pipes have got."""

import os
import signal
import socket
import subprocess
import sys
import time
import xmlrpc.client
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest

from trove.tests.common.errors import ScenarioError
from trove.tests.embedded import supervisord
from trove.tests.embedded.supervision import Supervisor

_CONFIGURATION = """
[supervisord]
nodaemon = true
logfile = {folder}/log
pidfile = {folder}/pid
[unix_http_server]
file = {folder}/socket
[rpcinterface:supervisor]
supervisor.rpcinterface_factory = supervisor.rpcinterface:make_main_rpcinterface
[program:deaf]
command = sh -c 'exec <&-; exec sleep 60'
autostart = false
[program:absent]
command = /no/such/program
autostart = false
"""
_START = xmlrpc.client.dumps(("deaf", False), "supervisor.startProcess").encode()
_HEAD = f"POST /RPC2 HTTP/1.1\r\nContent-Type: text/xml\r\nContent-Length: {len(_START)}\r\n\r\n"


@pytest.fixture
def supervisor(tmp_path) -> Iterator[psutil.Process]:
    """A supervisor with one service, which nothing can be written to."""
    configuration = tmp_path / "supervisord.conf"
    configuration.write_text(_CONFIGURATION.format(folder=tmp_path))
    argv = [sys.executable, supervisord.__file__, "--configuration", configuration]
    with subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.STDOUT) as process:
        yield psutil.Process(process.pid)
        process.terminate()


def connected(file: Path) -> socket.socket:
    """Connect to the supervisor, as soon as it listens."""
    while True:
        client = socket.socket(socket.AF_UNIX)
        client.settimeout(10)
        with suppress(FileNotFoundError, ConnectionRefusedError):
            client.connect(str(file))
            return client
        time.sleep(0.05)


def test_a_service_whose_pipe_has_the_number_of_a_connection_costs_nothing(supervisor, tmp_path):
    clients = [connected(tmp_path / "socket") for _ in range(3)]
    time.sleep(0.5)
    # In one turn of the supervisor's loop two clients go and a service is started.
    supervisor.send_signal(signal.SIGSTOP)
    for client in clients[:2]:
        client.close()
    clients[2].sendall(_HEAD.encode() + _START)
    supervisor.send_signal(signal.SIGCONT)
    assert b"<boolean>1</boolean>" in clients[2].recv(4096)
    time.sleep(0.5)

    before = sum(supervisor.cpu_times()[:2])
    time.sleep(1)
    assert sum(supervisor.cpu_times()[:2]) - before < 0.2


def test_what_can_be_read_is_polled_on():
    reading, writing = os.pipe()
    poller = supervisord.Poller(SimpleNamespace())
    poller.register_readable(reading)
    os.write(writing, b"told")
    for _ in range(2):
        assert poller.poll(0) == ([reading], [])
    os.close(writing)
    assert poller.poll(0) == ([reading], [])
    os.close(reading)


@pytest.mark.usefixtures("supervisor")
def test_a_service_whose_program_is_not_there_is_named(tmp_path):
    connected(tmp_path / "socket").close()

    with pytest.raises(ScenarioError, match="service absent can't be started: .*no/such/program"):
        Supervisor(tmp_path / "socket").start("absent")
