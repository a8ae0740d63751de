"""What to keep of a failure: everything that tells why, in one folder."""

import json
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

from trove.tests.harness.clients import Cloud
from trove.tests.harness.instances import trail
from trove.tests.harness.journal import Entry
from trove.tests.harness.redaction import redact
from trove.tests.harness.run import Run

CONSOLE_LINES = 2000


def collect(folder: Path, run: Run, user: Cloud, admin: Cloud, error: str) -> str:
    """Write all that is known of a failure to ``folder``; return a short account.

    Never raises: a piece that can't be had says why in its file.

    Args:
        folder: where to write; made here.
        run: the run, whose living instances are looked at.
        user: the cloud as the tests see it.
        admin: the cloud as its administrator sees it.
        error: the failure as pytest tells it.
    """
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    _write(folder / "error.txt", lambda: error)
    # Copies first: looking at instances makes requests of its own.
    _write(folder / "requests.log", lambda: "\n".join(list(user.requests)))
    _write(folder / "requests-admin.log", lambda: "\n".join(list(admin.requests)))
    account = []
    for entry in run.journal.open_entries():
        if entry.kind == "instance" and entry.id:
            account.append(_collect_instance(folder / entry.name, entry, run, admin))
    return "\n".join(account)


def _collect_instance(folder: Path, entry: Entry, run: Run, admin: Cloud) -> str:
    folder.mkdir(exist_ok=True)
    shown: dict[str, Any] = {}

    def show() -> str:
        shown.update(admin.trove.mgmt_instances.show(entry.id).to_dict())
        return json.dumps(shown, indent=2, default=str)

    _write(folder / "instance.json", show)
    _write(folder / "states.log", trail(run, entry.name).read_text)
    server = (shown.get("server") or {}).get("id") or shown.get("server_id")
    if server:
        _write(folder / "console.log", lambda: _console(admin, server))
        _write(folder / "server.json", lambda: _server(admin, server))
    fault = (shown.get("fault") or {}).get("message")
    status = shown.get("operating_status") or shown.get("status") or "unknown to Trove"
    return redact(f"{entry.name}: {status}" + (f"; fault: {fault}" if fault else ""))


def _console(admin: Cloud, server: str) -> str:
    answer = admin.compute.get_server_console_output(server, length=CONSOLE_LINES)
    return answer["output"] if isinstance(answer, dict) else str(answer)


def _server(admin: Cloud, server: str) -> str:
    return json.dumps(admin.compute.get_server(server).to_dict(), indent=2, default=str)


def _write(file: Path, make: Callable[[], str]) -> None:
    try:
        text = make()
    except Exception:
        text = f"could not be had:\n{traceback.format_exc()}"
    file.write_text(redact(text))
