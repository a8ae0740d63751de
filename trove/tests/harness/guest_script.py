#!/usr/bin/python3
"""Runs in a guest: does with the image what a Trove instance would; tells the console.

cloud-init runs it where it would hand an instance its settings. It starts the agent
with settings of its own and the database's container as the agent would, and writes
a line for each stage. TASK, which comes before, has what ``verifying.task`` returns.

The boot waits for its beginning, and all of it is part of what is measured. So it
loads next to nothing, and what one part alone needs where that runs.
"""

import os
import time

DOCKER = "/run/docker.sock"
TOLD = []


def tell(**report):
    """Write a line to the console, with the seconds since the guest's first process began."""
    started = int(content("/proc/1/stat").rpartition(")")[2].split()[19])
    uptime = float(content("/proc/uptime").split()[0])
    report["seconds"] = round(uptime - started / os.sysconf("SC_CLK_TCK"), 1)
    TOLD.append(f"\n{TASK['marker']} {report!r}\n")  # noqa: F821
    write("/dev/console", TOLD[-1])


def content(name):
    """Return what is in a file."""
    with open(name) as file:
        return file.read()


def write(name, text):
    """Write a file."""
    with open(name, "w") as file:
        file.write(text)


def write_settings():
    """Write what Trove would have sent: the agent's settings and the database's."""
    owner = TASK["user_id"]  # noqa: F821
    for name in TASK["folders"]:  # noqa: F821
        os.makedirs(name, exist_ok=True)
        os.chown(name, owner, owner)
    for name, text in TASK["files"].items():  # noqa: F821
        os.makedirs(os.path.dirname(name), exist_ok=True)
        write(name, text)


def see_agent():
    """Wait until the agent has begun its work: the first that it does is to make a user."""
    while f"\n{TASK['user_name']}:" not in content("/etc/passwd"):  # noqa: F821
        time.sleep(0.2)
    tell(stage="agent")
    # Next it would look for a disk and a message queue, over and over again.
    os.spawnvp(os.P_WAIT, "systemctl", ["systemctl", "stop", "trove-guest-agent"])


def run_database():
    """Start the database's container and wait until docker calls it healthy."""
    wait_for_docker()
    name = TASK["container_name"]  # noqa: F821
    try:
        # Of a boot that was broken off: guests that are containers may be started anew.
        docker("DELETE", f"/containers/{name}?force=1")
    except RuntimeError:
        pass
    docker("POST", f"/containers/create?name={name}", TASK["container"])  # noqa: F821
    tell(stage="docker")
    docker("POST", f"/containers/{name}/start")
    tell(stage="started")
    while True:
        seen = docker("GET", f"/containers/{name}/json")
        if seen["State"]["Health"]["Status"] == "healthy":
            break
        if seen["RestartCount"]:
            raise RuntimeError("the container ended: " + last_lines(name))
        time.sleep(0.2)
    tell(stage="container")


def last_lines(name):
    """Return the last lines that a container has written."""
    import subprocess

    argv = ["docker", "logs", "--tail=5", name]
    log = subprocess.run(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    return log.stdout.decode()


def wait_for_docker():
    """Wait until somebody listens where docker does.

    That is systemd, so the first call returns when docker is there.
    """
    import socket

    while True:
        try:
            with socket.socket(socket.AF_UNIX) as connection:
                connection.connect(DOCKER)
            return
        except (FileNotFoundError, ConnectionRefusedError):
            # First there is nothing, then a file that nobody listens at yet.
            time.sleep(0.1)


def docker(method, path, body=None):
    """Call docker and return its answer."""
    import json
    import socket

    data = json.dumps(body).encode() if body else b""
    head = f"{method} {path} HTTP/1.0\r\nContent-Type: application/json\r\n"
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(DOCKER)
        connection.sendall(f"{head}Content-Length: {len(data)}\r\n\r\n".encode() + data)
        received = b"".join(iter(lambda: connection.recv(1 << 16), b""))
    head, _, answer = received.partition(b"\r\n\r\n")
    if int(head.split()[1]) >= 300:
        raise RuntimeError("docker: " + answer.decode())
    return json.loads(answer or b"null")


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
        write("/dev/console", "".join(TOLD))


def main():
    """Have both done side by side, and the boot go on meanwhile."""
    tell(stage="cloud-init")
    write_settings()
    beside(see_agent)
    beside(run_database)


main()
