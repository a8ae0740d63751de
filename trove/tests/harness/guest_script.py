#!/usr/bin/python3
"""Runs in a guest: does with the image what a Trove instance would; tells the console.

cloud-init runs it where it would hand an instance its settings. It starts the agent
with settings of its own and the database's container as the agent would, and writes
a line for each stage. TASK, which comes before, has what ``verifying.task`` returns.
"""

import json
import os
import re
import socket
import subprocess
import time
from contextlib import suppress
from pathlib import Path

DOCKER = "/run/docker.sock"
TOLD = []


def tell(**report):
    """Write a line to the console, with the seconds since the guest's first process began."""
    started = int(Path("/proc/1/stat").read_text().rpartition(")")[2].split()[19])
    uptime = float(Path("/proc/uptime").read_text().split()[0])
    report["seconds"] = round(uptime - started / os.sysconf("SC_CLK_TCK"), 1)
    TOLD.append(f"\n{TASK['marker']} {json.dumps(report)}\n")  # noqa: F821
    Path("/dev/console").write_text(TOLD[-1])


def write_settings():
    """Write what Trove would have sent: the agent's settings and the database's."""
    owner = TASK["user_id"]  # noqa: F821
    for name in TASK["folders"]:  # noqa: F821
        Path(name).mkdir(parents=True, exist_ok=True)
        os.chown(name, owner, owner)
    for name, text in TASK["files"].items():  # noqa: F821
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).write_text(text)


def see_agent():
    """Wait until the agent has begun its work: the first that it does is to make a user."""
    made = re.compile(rf"^{TASK['user_name']}:", re.MULTILINE)  # noqa: F821
    while not made.search(Path("/etc/passwd").read_text()):
        time.sleep(0.2)
    tell(stage="agent")
    # Next it would look for a disk and a message queue, over and over again.
    subprocess.run(["systemctl", "stop", "trove-guest-agent"], check=False)


def run_database():
    """Start the database's container and wait until docker calls it healthy."""
    wait_for_docker()
    name = TASK["container_name"]  # noqa: F821
    with suppress(RuntimeError):
        # Of a boot that was broken off: guests that are containers may be started anew.
        docker("DELETE", f"/containers/{name}?force=1")
    docker("POST", f"/containers/create?name={name}", TASK["container"])  # noqa: F821
    tell(stage="docker")
    docker("POST", f"/containers/{name}/start")
    tell(stage="started")
    while True:
        seen = docker("GET", f"/containers/{name}/json")
        if seen["State"]["Health"]["Status"] == "healthy":
            break
        if seen["RestartCount"]:
            log = subprocess.run(["docker", "logs", "--tail=5", name], capture_output=True)
            raise RuntimeError("the container ended: " + (log.stdout + log.stderr).decode())
        time.sleep(0.2)
    tell(stage="container")


def wait_for_docker():
    """Wait until somebody listens where docker does.

    That is systemd, so the first call returns when docker is there.
    """
    while True:
        # First there is nothing, then a file that nobody listens at yet.
        with suppress(FileNotFoundError, ConnectionRefusedError):
            with socket.socket(socket.AF_UNIX) as connection:
                connection.connect(DOCKER)
            return
        time.sleep(0.1)


def docker(method, path, body=None):
    """Call docker and return its answer."""
    data = json.dumps(body).encode() if body else b""
    head = f"{method} {path} HTTP/1.0\r\nContent-Type: application/json\r\n"
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(DOCKER)
        connection.sendall(f"{head}Content-Length: {len(data)}\r\n\r\n".encode() + data)
        answer = b"".join(iter(lambda: connection.recv(1 << 16), b""))
    head, _, content = answer.partition(b"\r\n\r\n")
    if int(head.split()[1]) >= 300:
        raise RuntimeError("docker: " + content.decode())
    return json.loads(content or b"null")


def beside(work):
    """Run ``work`` in a process of its own, which cloud-init doesn't wait for."""
    if os.fork():
        return
    os.setsid()
    nothing = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(nothing, stream)
    try:
        work()
    except Exception as error:
        tell(fault=f"{type(error).__name__}: {error}")
    while True:
        # The kernel may have written into a line, and then nobody can read it.
        time.sleep(5)
        Path("/dev/console").write_text("".join(TOLD))


def main():
    """Have both done side by side, and the boot go on meanwhile."""
    tell(stage="cloud-init")
    write_settings()
    beside(see_agent)
    beside(run_database)


main()
