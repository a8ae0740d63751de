"""What to keep of a failure: everything that tells why, in one folder."""

import json
import re
import traceback
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from trove.tests.harness import service_logs
from trove.tests.harness.clients import Cloud
from trove.tests.harness.guest_health import COLOURS
from trove.tests.harness.instances import Instance
from trove.tests.harness.journal import Entry
from trove.tests.harness.paging import every
from trove.tests.harness.redaction import redact
from trove.tests.harness.run import Run
from trove.tests.harness.timeline import trail

CONSOLE_LINES = 5000
# Each file's meaning, for the README of a bundle; in an instance's folder those below.
MEANINGS = {
    "failure.json": "the test, where in it, whose fault it probably is, when, and how long it took",
    "error.txt": "the failure as pytest tells it",
    "requests.log": "the last requests of the tests' user: time, address, status, seconds, id",
    "requests-admin.log": "the same of the administrator",
    "services.log": "what services logged of those requests, and all their warnings meanwhile",
    "instance.json": "what Trove tells its administrator, with the fault",
    "states.log": "every state that the tests have seen it in",
    "server.json": "what Nova tells of its server",
    "ports.json": "what Neutron tells of its ports",
    "volumes.json": "what Cinder tells of its volumes",
    "console.log": "the serial console: the boot, and all that follows",
    "guest-agent.log": "the guest agent's lines of it",
    "container.log": "those of docker and containerd",
    "database.log": "those of the database's container",
}
# Who writes which lines of the console; systemd puts the name before each.
_WRITERS = {
    "guest-agent.log": "trove-guest-agent",
    "container.log": "dockerd|docker|containerd",
    "database.log": "database",
}
# With it goes all that Trove sends a guest, and so the password of its message queue.
_SECRET_FIELDS = ("user_data", "admin_password")


@dataclass(frozen=True)
class Failure:
    """A test's failure.

    Attributes:
        test: the test's id.
        when: ``setup``, ``call`` or ``teardown``.
        culprit: whose fault it probably is.
        error: the failure as pytest tells it.
        began: when the test began, in this machine's time.
        seconds: how long the failed part took.
    """

    test: str
    when: str
    culprit: str
    error: str
    began: datetime
    seconds: float


def collect(
    folder: Path,
    failure: Failure,
    run: Run,
    user: Cloud,
    admin: Cloud,
    handled: Iterable[Instance] = (),
) -> str:
    """Write all that is known of a failure to ``folder``; return a short account.

    A piece that can't be had says why in its file, and the account where there can be no
    files.

    Args:
        folder: where to write; made here.
        failure: what failed.
        run: the run, whose living instances are looked at.
        user: the cloud as the tests see it.
        admin: the cloud as its administrator sees it.
        handled: instances that the tests work with; one may be of an earlier run.
    """
    try:
        return _collect(folder, failure, run, user, admin, handled)
    except OSError as error:
        return f"no more evidence can be written: {error}"


def _collect(
    folder: Path,
    failure: Failure,
    run: Run,
    user: Cloud,
    admin: Cloud,
    handled: Iterable[Instance],
) -> str:
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    # Copies first: looking at instances makes requests of its own.
    requests, requests_admin = list(user.requests), list(admin.requests)
    facts = asdict(failure) | {"run": run.id, "cloud": user.name}
    facts.pop("error")
    _write(folder / "failure.json", lambda: _json(facts))
    _write(folder / "error.txt", lambda: failure.error)
    _write(folder / "requests.log", lambda: "\n".join(requests))
    _write(folder / "requests-admin.log", lambda: "\n".join(requests_admin))
    if logs := run.journal.facts().get("logs"):
        ids = [line.rpartition(" ")[2] for line in requests + requests_admin]
        about = service_logs.about
        _write(folder / "services.log", lambda: "\n".join(about(Path(logs), ids, failure.began)))
    account = _collect_instances(folder, run, admin, handled)
    _write(folder / "README.md", lambda: _readme(folder))
    return account


def _collect_instances(folder: Path, run: Run, admin: Cloud, handled: Iterable[Instance]) -> str:
    """Write what there is of each living instance to a folder of its own."""
    known = [each for each in run.journal.open_entries() if each.kind == "instance" and each.id]
    known += [Entry("instance", each.name, each.id) for each in handled]
    entries = list({entry.id: entry for entry in known}.values())
    if not entries:
        return ""
    with ThreadPoolExecutor() as asking:
        parts = _Parts(admin, asking)
        written = [
            asking.submit(_collect_instance, folder / entry.name, entry, run, admin, parts)
            for entry in entries
        ]
        return "\n".join(each.result() for each in written)


class _Parts:
    """What instances consist of, each kind listed once for all of them.

    Of a single one Trove would ask its guest, and wait for one that is dead.
    """

    def __init__(self, admin: Cloud, asking: ThreadPoolExecutor) -> None:
        self.instances = asking.submit(lambda: every(admin.trove.mgmt_instances.list))
        self.servers = asking.submit(lambda: list(admin.compute.servers(all_projects=True)))
        self.ports = asking.submit(lambda: list(admin.network.ports()))
        self.volumes = asking.submit(lambda: list(admin.block_storage.volumes(all_projects=True)))


def _collect_instance(folder: Path, entry: Entry, run: Run, admin: Cloud, parts: _Parts) -> str:
    folder.mkdir(exist_ok=True)
    shown: dict[str, Any] = {}

    def show() -> str:
        shown.update(_with(parts.instances.result(), "id", entry.id)[0].to_dict())
        return _json(shown)

    def servers() -> list[Any]:
        return _with(parts.servers.result(), "name", entry.name)

    def ids() -> list[str]:
        return [server.id for server in servers()]

    def volumes() -> list[Any]:
        attached = {part["id"] for server in servers() for part in server.attached_volumes}
        return [each for each in parts.volumes.result() if each.id in attached]

    _write(folder / "instance.json", show)
    _write(folder / "states.log", trail(run, entry.name).read_text)
    _write(folder / "server.json", lambda: _json(map(_plain, servers())))
    _write(
        folder / "ports.json",
        lambda: _json(_plain(each) for each in parts.ports.result() if each.device_id in ids()),
    )
    _write(folder / "volumes.json", lambda: _json(map(_plain, volumes())))
    _write(folder / "console.log", lambda: "\n".join(_console(admin, each) for each in ids()))
    _divide(folder / "console.log")
    fault = (shown.get("fault") or {}).get("message")
    status = shown.get("operating_status") or shown.get("status") or "unknown to Trove"
    return redact(f"{entry.name}: {status}" + (f"; fault: {fault}" if fault else ""))


def _with(resources: Iterable[Any], attribute: str, value: Any) -> list[Any]:
    return [each for each in resources if getattr(each, attribute) == value]


def _plain(resource: Any) -> dict[str, Any]:
    known = resource.to_dict()
    return {key: value for key, value in known.items() if key not in _SECRET_FIELDS and value}


def _console(admin: Cloud, server: str) -> str:
    answer = admin.compute.get_server_console_output(server, length=CONSOLE_LINES)
    return answer["output"] if isinstance(answer, dict) else str(answer)


def _divide(console: Path) -> None:
    """Write each writer's lines of a console to a file of their own."""
    lines = COLOURS.sub("", console.read_text()).splitlines()
    for name, writers in _WRITERS.items():
        writer = re.compile(rf"\b(?:{writers})\[\d+\]: ")
        if theirs := [line for line in lines if writer.search(line)]:
            (console.parent / name).write_text("\n".join(theirs) + "\n")


def _readme(folder: Path) -> str:
    names = sorted({file.name for file in folder.rglob("*") if file.is_file()}, key=_place)
    lines = [f"- `{name}`: {MEANINGS[name]}." for name in names if name in MEANINGS]
    return "\n".join(["# What is known of this failure", "", *lines, ""]) + (
        "\nEach folder is an instance that was there when the test failed. A piece that could"
        "\nnot be had says so in its file. Passwords are hidden.\n"
    )


def _place(name: str) -> int:
    return list(MEANINGS).index(name) if name in MEANINGS else len(MEANINGS)


def _json(thing: Any) -> str:
    whole = thing if isinstance(thing, dict) else list(thing)
    return json.dumps(whole, indent=2, default=str)


def _write(file: Path, make: Callable[[], str]) -> None:
    try:
        text = make()
    except Exception:
        text = f"could not be had:\n{traceback.format_exc()}"
    file.write_text(redact(text))
