"""The bundle of namespaces a cloud lives in.

The supervisor is the init of the PID namespace: when it ends, the kernel ends
every process of the cloud, and with the last one go its mounts and links.
"""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import psutil

from trove.tests.common.commands import tail
from trove.tests.common.errors import ScenarioError

_KINDS = ("--net", "--pid", "--mount", "--uts", "--ipc")


def bundle(argv: Sequence[str | Path], *options: str) -> list[str]:
    """Return the command line that runs ``argv`` as init of new namespaces.

    Args:
        argv: program and arguments.
        options: further options of unshare(1).
    """
    words = [str(word) for word in argv]
    fixed = ("--fork", "--mount-proc", "--propagation", "private")
    return ["unshare", *_KINDS, *fixed, *options, "--", *words]


def find_init(folder: Path) -> psutil.Process | None:
    """Return the first process of the cloud in ``folder``, or None if it is down.

    It is found by what it runs, so that a stale PID file can't mislead.
    """
    configuration = str(folder / "supervisord.conf")
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            if configuration in process.cmdline() and _is_init(process.pid):
                return process
    return None


def _is_init(pid: int) -> bool:
    numbers = _numbers(pid)
    return len(numbers) == 2 and numbers[-1] == 1


def _numbers(pid: int) -> list[int]:
    """Return the numbers of a process, from this namespace's to its innermost one's."""
    status = Path(f"/proc/{pid}/status").read_text()
    line = next(line for line in status.splitlines() if line.startswith("NSpid:"))
    return [int(number) for number in line.split()[1:]]


def create(
    folder: Path,
    python: Path,
    *,
    environment: Mapping[str, str],
    control_group: str | None = None,
    timeout: float = 20,
) -> psutil.Process:
    """Create the namespaces with the supervisor as their init.

    Args:
        folder: the cloud's folder; supervisord.conf and etc/ lie in it.
        python: the services' interpreter, which is to run the supervisor.
        environment: all variables that the cloud's processes get of this one.
        control_group: name of the groups that the cloud's processes are in, None
            to leave them where they are.
        timeout: seconds until the supervisor must run.

    Raises:
        ScenarioError: the kernel or the file system refused something.
    """
    log = folder / "logs" / "init.log"
    script = Path(__file__).with_name("init.py")
    socket = folder / "supervisor.sock"
    socket.unlink(missing_ok=True)  # that of one who has ended tells nothing
    with log.open("ab") as output:
        launcher = subprocess.Popen(
            bundle(
                [
                    *(sys.executable, "-I", script, folder, python),
                    *([control_group] if control_group else []),
                ],
                # What it has launched can't be found before it has become the supervisor.
                "--kill-child",
            ),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=environment,
            start_new_session=True,
        )
    init = None
    try:
        init = _launched(launcher, folder, socket, timeout)
    finally:
        if init is None:
            launcher.kill()
            launcher.wait()
    if init:
        return init
    raise ScenarioError(
        "The embedded cloud's namespaces could not be made; this needs root with all"
        f" capabilities, or set OS_CLOUD to use another cloud. From {log}:\n{tail(log)}"
    )


def _launched(
    launcher: subprocess.Popen, folder: Path, socket: Path, timeout: float
) -> psutil.Process | None:
    """Return the supervisor once it answers; None if it has ended or takes too long."""
    deadline = time.monotonic() + timeout
    while time.monotonic() < deadline and launcher.poll() is None:
        init = find_init(folder)
        if init and socket.is_socket():
            return init
        time.sleep(0.05)
    return None


def destroy(init: psutil.Process, timeout: float = 30) -> None:
    """End the cloud's first process, and with it all others, and wait for that."""
    numbers = [process.pid for process in members(init).values()]
    init.send_signal(signal.SIGKILL)
    deadline = time.monotonic() + timeout
    while any(psutil.pid_exists(pid) for pid in [init.pid, *numbers]):
        if time.monotonic() > deadline:
            raise ScenarioError(f"Processes of the embedded cloud survive: {numbers}.")
        time.sleep(0.05)


def members(init: psutil.Process) -> dict[int, psutil.Process]:
    """Return the cloud's processes by the numbers they have inside it."""
    own = _namespace(init.pid)
    found = {}
    for process in psutil.process_iter():
        with contextlib.suppress(OSError):
            if own == _namespace(process.pid):
                found[_numbers(process.pid)[-1]] = process
    return found


def _namespace(pid: int) -> str | None:
    try:
        return os.readlink(f"/proc/{pid}/ns/pid")  # noqa: PTH115
    except OSError:
        return None


def processor_seconds(init: psutil.Process) -> float:
    """Return the seconds of processor time that the cloud's processes have used."""
    times = [process.cpu_times() for process in members(init).values()]
    return sum(time.user + time.system for time in times)


def enter(init: psutil.Process, argv: Sequence[str | Path]) -> list[str]:
    """Return the command line that runs ``argv`` inside the cloud."""
    words = [str(word) for word in argv]
    return ["nsenter", "--target", str(init.pid), *_KINDS, "--wdns=/", "--", *words]
