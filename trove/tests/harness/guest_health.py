"""What guest agent and database say of errors, on the guest's console.

Both write to it (elements ``trove-guest-agent``, ``trove-container-runtime``), so the
administrator sees it through Nova, without a login to the guest.
"""

import re
import time
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import yaml
from openstack import exceptions as sdk_errors

from trove.tests.common.errors import ScenarioError
from trove.tests.harness import milestones, timeline
from trove.tests.harness.clients import Cloud
from trove.tests.harness.instances import Instance
from trove.tests.harness.kinds import GONE
from trove.tests.harness.run import Run

# How the agent writes of an error: time and logger, and what it says. A traceback is
# many lines of the same time and logger.
AGENT = re.compile(r"trove-guest-agent\[\d+\]: (\S+ \S+) \d+ (?:ERROR|CRITICAL) (\S+)(.*)")
# How MySQL and its relatives do, and PostgreSQL.
DATABASE = re.compile(r"database\[\d+\]: .*?(?:\[ERROR\]|(?:ERROR|FATAL|PANIC): )")
# Nova takes the character out that they begin with.
COLOURS = re.compile(r"\x1b?\[[0-9;]*m")
RECENT = 60  # lines
# How often, and how far apart in seconds, one waits for the rest of a traceback.
TRACEBACK_LOOKS = 5
TRACEBACK_INTERVAL = 1


class GuestErrors(ScenarioError):
    """A guest has told of errors that nobody expected."""


@dataclass(frozen=True)
class ExpectedError:
    """An error that guests tell of though all is well.

    Attributes:
        pattern: what its line has in it.
        why: how it comes to be there.
        datastores: names of those where it does; none for all.
    """

    pattern: str
    why: str
    datastores: tuple[str, ...] = ()


@cache
def expected(path: Path) -> tuple[ExpectedError, ...]:
    """Read a list of expected errors."""
    return tuple(
        ExpectedError(entry["pattern"], entry["why"], tuple(entry.get("datastores", ())))
        for entry in yaml.safe_load(path.read_text()) or ()
    )


def errors_in(lines: Iterable[str]) -> list[str]:
    """Return the errors that are told of in the lines of a console."""
    errors: list[list[str]] = []
    traced = None
    for line in lines:
        if told := AGENT.search(line):
            if told.groups()[:2] == traced:
                # The last line with words is the one that counts.
                errors[-1][1:] = [told[3].strip()] if told[3].strip() else errors[-1][1:]
            else:
                errors.append([line])
            traced = told.groups()[:2]
        elif DATABASE.search(line):
            errors.append([line])
    return [" … ".join(error) for error in errors]


class Consoles:
    """The consoles of instances, each read on from where it was read to before.

    Args:
        admin: the cloud as its administrator sees it.
        allowed: errors to pass over.
        run: which what guests tell of their beginnings is written down for.
    """

    def __init__(self, admin: Cloud, allowed: Iterable[ExpectedError], run: Run) -> None:
        self._admin = admin
        self._run = run
        self._allowed = tuple(allowed)
        self._servers: dict[str, str] = {}
        self._last: dict[str, str] = {}

    def errors(self, instance: Instance) -> list[str]:
        """Return the unexpected errors that an instance has told of since the last look.

        Of a traceback it is the first line and the last one, which names the exception.
        """
        lines = self._new_lines(instance)
        # The guest may be writing a traceback: the rest of it would be another error. One that
        # tells of an error a second isn't waited for.
        for _ in range(TRACEBACK_LOOKS):
            if not (lines and AGENT.search(lines[-1])):
                break
            time.sleep(TRACEBACK_INTERVAL)
            if not (more := self._new_lines(instance)):
                break
            lines += more
        timeline.note_milestones(self._run, instance.name, milestones.reached(lines))
        return [
            error
            for error in errors_in(lines)
            if not self._is_expected(error, instance.spec.datastore)
        ]

    def _is_expected(self, error: str, datastore: str) -> bool:
        return any(
            re.search(each.pattern, error)
            for each in self._allowed
            if not each.datastores or datastore in each.datastores
        )

    def _new_lines(self, instance: Instance) -> list[str]:
        last = self._last.get(instance.id)
        # A guest says little during one test, and of its whole console Nova makes much work.
        lines = self._lines(instance, RECENT) if last else []
        if last not in lines:
            lines = self._lines(instance)
        if lines:
            self._last[instance.id] = lines[-1]
        # Nova keeps the end of a long console: what was last read may be gone from it.
        if last in lines:
            return lines[len(lines) - lines[::-1].index(last) :]
        return lines

    def _lines(self, instance: Instance, length: int | None = None) -> list[str]:
        """Return the last lines of a console; of one that is not there, or not now, none."""
        try:
            if server := self._server_of(instance):
                answer = self._admin.compute.get_server_console_output(server, length=length)
                text = answer["output"] if isinstance(answer, dict) else str(answer)
                # The guest may be writing the last one: next time it would be another.
                return COLOURS.sub("", text[: text.rfind("\n") + 1]).splitlines()
        except (*GONE, sdk_errors.ConflictException):
            pass
        return []

    def _server_of(self, instance: Instance) -> str | None:
        if instance.id not in self._servers and (server := instance.server_id(self._admin)):
            self._servers[instance.id] = server
        return self._servers.get(instance.id)
