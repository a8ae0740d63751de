"""What a run creates, written down before it is created.

A journal is a file of JSON lines, each on disk before the call it announces, so
that it survives the run's sudden death. Several processes may write to it.
"""

import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

PREFIX = "trove-scenario-"
DELETED = "deleted"  # why a resource needs no clean-up any more
KEPT = "kept"  # why a resource needs no clean-up, though it is there
REFUSED = "refused"  # why it needs none, for it never was there


@dataclass(frozen=True)
class Entry:
    """One resource of a run.

    Attributes:
        kind: what it is, such as ``instance``.
        name: its name; with the kind, unique in the journal.
        id: its id, or none when the run ended between asking for it and
            being told.
        details: what else is needed to find it again.
        at: when it was asked for, in seconds since the epoch.
    """

    kind: str
    name: str
    id: str | None = None
    details: dict[str, str] = field(default_factory=dict)
    at: float = field(default=0, compare=False)


class Journal:
    """The journal in one file.

    Args:
        path: the file; made, with its folder, on the first line written.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def header(self, **facts: Any) -> None:
        """Write down what the run as a whole is about, such as its cloud."""
        self._write({"event": "run", **facts})

    def facts(self) -> dict[str, Any]:
        """Return what the headers say; later ones win."""
        facts: dict[str, Any] = {}
        for line in self.events():
            if line["event"] == "run":
                facts |= line
        return facts

    def creating(self, kind: str, name: str, **details: str) -> Entry:
        """Write down that a resource is about to be created."""
        self._write({"event": "creating", "kind": kind, "name": name, "details": details})
        return Entry(kind, name, details=details, at=time.time())

    def created(self, entry: Entry, id: str) -> Entry:
        """Write down the id that a resource was given."""
        self._write({"event": "created", "kind": entry.kind, "name": entry.name, "id": id})
        return replace(entry, id=id)

    def closed(self, entry: Entry, why: str = DELETED) -> None:
        """Write down that a resource needs no clean-up any more: deleted, or kept."""
        self._write({"event": "closed", "kind": entry.kind, "name": entry.name, "why": why})

    @contextmanager
    def refusable(self, *entries: Entry) -> Iterator[None]:
        """Ask a server, in this context, to create what is written down.

        Where it refuses (HTTP 4xx) there is nothing. Where it fails, or somebody before it
        answers for it, the resource may be there all the same, and is to be looked for.
        """
        try:
            yield
        except Exception as error:
            status = getattr(error, "http_status", None) or getattr(error, "status_code", None)
            if status and 400 <= status < 500:
                for entry in entries:
                    self.closed(entry, REFUSED)
            raise

    def open_entries(self) -> list[Entry]:
        """Return the resources that still need clean-up, in order of creation."""
        entries: dict[tuple[str, str], Entry] = {}
        for line in self.events():
            if line["event"] == "run":
                continue
            key = (line["kind"], line["name"])
            match line["event"]:
                case "creating":
                    entries[key] = Entry(*key, details=line["details"], at=line["at"])
                case "created" if key in entries:
                    entries[key] = replace(entries[key], id=line["id"])
                case "closed":
                    entries.pop(key, None)
        return list(entries.values())

    def kept(self) -> set[str]:
        """Return the names of the resources that were left behind on purpose."""
        last = {line["name"]: line for line in self.events() if line["event"] != "run"}
        return {name for name, line in last.items() if line.get("why") == KEPT}

    def deleted(self, kind: str) -> set[str]:
        """Return the names of the resources of a kind that were deleted."""
        last = {line["name"]: line for line in self.events() if line.get("kind") == kind}
        return {name for name, line in last.items() if line.get("why") == DELETED}

    def events(self) -> Iterator[dict[str, Any]]:
        """Yield what is written down, each with its time in seconds since 1970 as ``at``."""
        try:
            raw = self.path.read_bytes()
        except (FileNotFoundError, NotADirectoryError, PermissionError):
            return
        for line in raw.splitlines():
            try:
                yield json.loads(line)
            except ValueError:
                # Torn by the writer's death. What it announced had not begun.
                continue

    def _write(self, line: dict[str, Any]) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        text = json.dumps({"at": round(time.time(), 3), **line}) + "\n"
        flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC
        descriptor = os.open(self.path, flags, 0o600)
        try:
            end = os.lseek(descriptor, 0, os.SEEK_END)
            if end and os.pread(descriptor, 1, end - 1) != b"\n":
                text = "\n" + text
            # One write call: lines of several processes never mix.
            os.write(descriptor, text.encode())
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
