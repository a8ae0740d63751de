"""Verify a guest image by booting it, without any cloud."""

import ast
import json
import os
import re
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from trove.tests.common import commands, machine, paths, progress, qemu, scratch
from trove.tests.common.errors import ScenarioError
from trove.tests.common.matrix import Target
from trove.tests.harness import guest_agent, sql
from trove.tests.harness.images import GuestImage
from trove.tests.harness.redaction import new_password, redact
from trove.tests.harness.waiting import State, WaitError, wait_for

MARKER = "VERIFY"
# What the guest tells of, and what is then seen from outside.
STAGES = ("cloud-init", "agent", "docker", "started", "container", "sql")
TIMEOUT = 600  # seconds; an emulated guest on a quiet machine takes a ninth of it

_PROCESSORS = 2
_RAM_MB = 1536
_PROGRAMS = ("qemu-system-x86_64", "genisoimage", "setpriv")
_SCRIPT = Path(__file__).with_name("guest_script.py")
# What a kernel says before it does nothing more, but start anew where it is told to. It may
# once: with two emulated processors, QEMU now and then runs code that has just been changed.
_PANIC = "Kernel panic - not syncing"
_PANICS_AT_MOST = 1
_PROCESSOR = {"kvm": "host", "tcg": f"max,{qemu.EMULATED_WITHOUT}"}


@dataclass(frozen=True)
class Verified:
    """What a boot of a guest image has shown.

    Attributes:
        seconds: from power-on to each of ``STAGES``: ``agent``, the guest agent is
            loaded and at work; ``container``, docker calls the database healthy;
            ``sql``, it has kept what a client outside gave it; and those between.
        accelerator: ``kvm``, or ``tcg`` where the processor was emulated.
    """

    seconds: dict[str, float]
    accelerator: str

    def __str__(self) -> str:
        stages = ", ".join(f"{stage} after {took:.0f} s" for stage, took in self.seconds.items())
        return f"verified by {self.accelerator}: {stages}"


def verify(
    image: GuestImage,
    target: Target,
    *,
    timeout: float = TIMEOUT,
    logs: Path | None = None,
    accelerator: str | None = None,
) -> Verified:
    """Boot an image, have it run its database, and talk to that from outside.

    The guest writes to a throw-away layer over the image, and dies with this process.
    Needs no root where QEMU and genisoimage are installed.

    Args:
        image: the image, complete.
        target: what it was built for.
        timeout: seconds from power-on to the last stage.
        logs: folder for the guest's console; by default the one for all logs.
        accelerator: ``kvm`` or ``tcg``; by default KVM where a probe guest runs on it.

    Raises:
        ScenarioError: a stage was not reached; the text says which, and has the
            console's last lines and its path.
    """
    _require_programs()
    accelerator = accelerator or ("tcg" if qemu.kvm_fault() else "kvm")
    log = (logs or paths.home() / "logs") / f"verify-{image.name}.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    password = new_password()
    with (
        progress.step(f"verification of guest image {image.name} by {accelerator} (log: {log})"),
        scratch.folder("verify", paths.home()) as folder,
    ):
        drive = config_drive(folder, user_data(target, password))
        port = _free_port()
        argv = command(image, accelerator, drive, {port: target.datastore.port})
        with _running(argv, image.name, folder, log) as guest:
            guest.wait_for_stages(timeout)
            _talk(guest, target, port, password, timeout)
    return Verified(guest.seconds, accelerator)


def task(target: Target, password: str) -> dict[str, Any]:
    """Return what the guest is to do, as ``guest_script.py`` takes it.

    Args:
        target: the cell of the matrix that the guest was built for.
        password: what the database's administrator shall have.
    """
    database, manager = guest_agent.database(target), target.datastore.manager
    # There is no data volume here, and the agent must not find another disk in its place.
    settings = (
        f"[DEFAULT]\nguest_id = verification\ndatastore_manager = {manager}\n"
        f"[{manager}]\ndevice_path = /dev/none\n"
    )
    return {
        "marker": MARKER,
        "user_id": guest_agent.USER_ID,
        "user_name": guest_agent.USER_NAME,
        "container_name": guest_agent.CONTAINER_NAME,
        "folders": [*database.mounts, database.data],
        "files": {
            "/etc/trove/conf.d/verification.conf": settings,
            **guest_agent.files(target, _RAM_MB),
        },
        "container": guest_agent.container(target, password),
    }


def user_data(target: Target, password: str) -> str:
    """Return the user data that has a guest of an image do its ``task``.

    cloud-init runs a boot hook when it would write an instance's settings: long before
    scripts, and in guests of any image, whatever modules they have cloud-init run.
    """
    first, _, rest = _SCRIPT.read_text().partition("\n")
    return f"#cloud-boothook\n{first}\nTASK = {task(target, password)!r}\n{rest}"


def config_drive(folder: Path, data: str) -> Path:
    """Write a config drive such as nova's into ``folder``; return its path.

    Args:
        folder: a folder that nobody else can read.
        data: the user data, which may hold secrets.

    Raises:
        ScenarioError: genisoimage failed.
    """
    tree, drive = folder / "drive", folder / "drive.iso"
    latest = tree / "openstack" / "latest"
    latest.mkdir(parents=True)
    facts = {"uuid": "verification", "name": "verification", "hostname": "verification"}
    (latest / "meta_data.json").write_text(json.dumps(facts))
    drive.touch(mode=0o600)
    (latest / "user_data").touch(mode=0o600)
    (latest / "user_data").write_text(data)
    names = ["-ldots", "-allow-lowercase", "-allow-multidot", "-l", "-J", "-r"]
    argv = ["genisoimage", "-quiet", *names, "-V", "config-2", "-o", drive, tree]
    commands.run(argv, log=folder / "genisoimage.log", what="Writing the config drive")
    shutil.rmtree(tree)
    return drive


def command(image: GuestImage, accelerator: str, drive: Path, ports: dict[int, int]) -> list[str]:
    """Return the command that boots an image, leaves it unchanged and dies with its parent.

    The guest's console is its standard output.

    Args:
        image: the image.
        accelerator: ``kvm`` or ``tcg``.
        drive: the config drive.
        ports: port on this machine's loopback to the guest's port it leads to.
    """
    forwarded = "".join(f",hostfwd=tcp:127.0.0.1:{here}-:{there}" for here, there in ports.items())
    # Nothing of the disk outlives the guest, so it waits for no disk.
    disk = f"file={image.disk},format={image.disk_format},if=virtio,snapshot=on,cache=unsafe"
    argv = [
        "qemu-system-x86_64",
        *("-machine", "pc", "-accel", accelerator, "-cpu", _PROCESSOR[accelerator]),
        *("-smp", str(_PROCESSORS), "-m", str(_RAM_MB)),
        *("-nodefaults", "-no-user-config", "-display", "none", "-serial", "stdio"),
        *("-drive", disk),
        *("-drive", f"file={drive},format=raw,if=ide,media=cdrom,readonly=on"),
        # The guest reaches nothing but who calls it.
        *("-netdev", f"user,id=net,restrict=on{forwarded}"),
        *("-device", "virtio-net-pci,netdev=net"),
    ]
    if image.kernel:
        argv += ["-kernel", image.kernel, "-append", image.kernel_command_line]
    if image.ramdisk:
        argv += ["-initrd", image.ramdisk]
    return [str(word) for word in commands.dying_with_us(argv)]


@dataclass
class _Guest:
    """A guest that runs.

    Attributes:
        name: of its image.
        process: its QEMU.
        console: file with what it has written to its console.
        begun: when it was switched on, by ``time.monotonic``.
        seconds: from then to each stage, as far as seen.
        panics: of its kernel, as far as seen.
    """

    name: str
    process: subprocess.Popen
    console: Path
    begun: float = field(default_factory=time.monotonic)
    seconds: dict[str, float] = field(default_factory=dict)
    panics: int = 0

    def wait_for_stages(self, timeout: float) -> None:
        """Wait until the guest has told of all its stages, at most ``timeout`` from power-on."""

        def look() -> State:
            for report in reports_in(self._console()):
                if fault := report.get("fault"):
                    return State("failed", False, fault)
                self.reach(report["stage"])
            missing = [stage for stage in STAGES[:-1] if stage not in self.seconds]
            return State(f"not yet {' and '.join(missing)}" if missing else "there", not missing)

        self.wait(look, timeout, interval=0.2)

    def wait(self, look: Callable[[], State], timeout: float, interval: float) -> None:
        """Wait for what ``look`` looks for; say what the console said if it doesn't come."""

        def look_while_it_runs() -> State:
            state = look()
            if not state and self.process.poll() is not None:
                return State("ended", False, f"QEMU ended with {self.process.returncode}")
            if not state and self.panics > _PANICS_AT_MOST:
                return State("failed", False, "its kernel panicked again")
            return state

        left = self.begun + timeout - time.monotonic()
        what = f"guest image {self.name}"
        try:
            wait_for(look_while_it_runs, what, left, interval=interval, failing=("failed", "ended"))
        except WaitError as error:
            missing = next(stage for stage in STAGES if stage not in self.seconds)
            raise ScenarioError(
                f"Stage {missing!r} was not reached: {redact(str(error))}. "
                f"Last lines of {self.console}:\n{redact(commands.tail(self.console))}"
            ) from None

    def _console(self) -> str:
        """Return what the guest has written since its kernel began, or began anew."""
        *before, console = self.console.read_text(errors="replace").split(_PANIC)
        if len(before) > self.panics:
            self.panics = len(before)
            self.seconds.clear()
            progress.say("  its kernel panicked, and starts anew")
        return console

    def reach(self, stage: str) -> None:
        """Note, the first time, that a stage is reached."""
        if stage not in self.seconds:
            self.seconds[stage] = round(time.monotonic() - self.begun, 1)
            progress.say(f"  {stage}: after {self.seconds[stage]:.1f} s")


def reports_in(console: str) -> list[dict[str, Any]]:
    """Return what ``guest_script.py`` has told the console, as far as the lines are complete."""
    reports = []
    for line in re.findall(rf"{MARKER} (\{{.*\}})\r?\n", console):
        # The kernel may have written in between.
        with suppress(SyntaxError, ValueError):
            reports.append(ast.literal_eval(line))
    return reports


def _talk(guest: _Guest, target: Target, port: int, password: str, timeout: float) -> None:
    """Have the database keep and return a value."""
    dialect = sql.dialect(target.datastore.client_driver)
    server = sql.Server("127.0.0.1", port, timeout=30)
    login = sql.Login(guest_agent.database(target).administrator, password)

    def look() -> State:
        try:
            with dialect.connect(server, login, None) as client:
                kept = _keep(client)
        except (sql.CannotConnectError, sql.AccessRefusedError) as error:
            return State("no login", False, str(error))
        except Exception as error:  # each driver has its own, and a database in order causes none
            return State("failed", False, f"{type(error).__name__}: {error}")
        return State("there", True) if kept == 42 else State("failed", False, f"42 became {kept}")

    guest.wait(look, timeout, interval=0.5)
    guest.reach("sql")


def _keep(client: sql.Connection) -> Any:
    client.run("CREATE SCHEMA IF NOT EXISTS verification")
    client.run("CREATE TABLE IF NOT EXISTS verification.kept (value INT)")
    client.run("INSERT INTO verification.kept VALUES (%s)", 42)
    return client.run("SELECT value FROM verification.kept")


@contextmanager
def _running(argv: list[str], name: str, folder: Path, log: Path) -> Iterator[_Guest]:
    """Run a guest for as long as the block."""
    with log.open("wb") as output:
        # The layer over the image goes to TMPDIR, as a file without a name.
        process = subprocess.Popen(
            argv,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env={**os.environ, "TMPDIR": str(folder)},
        )
    try:
        yield _Guest(name, process, log)
    finally:
        process.kill()
        process.wait()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def _require_programs() -> None:
    def missing() -> list[str]:
        return [name for name in _PROGRAMS if not shutil.which(name)]

    if missing() and os.geteuid() == 0:
        machine.install_packages("image")
    if lacking := missing():
        raise ScenarioError(
            f"Verifying a guest image needs {' and '.join(lacking)}: install what"
            " integration/bindep.txt lists for the profile image."
        )
