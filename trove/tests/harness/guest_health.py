"""What guest agent and database say of errors, on the guest's console.

Both write to it (elements ``trove-guest-agent``, ``trove-container-runtime``), so the
administrator sees it through Nova, without a login to the guest.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import yaml
from openstack import exceptions as sdk_errors

from trove.tests.common.errors import ScenarioError
from trove.tests.harness.clients import Cloud
from trove.tests.harness.instances import Instance

# How an error begins: in the agent's log, in that of MySQL and its relatives, in PostgreSQL's.
ERROR = re.compile(
    r"trove-guest-agent\[\d+\]: \S+ \S+ \d+ (?:ERROR|CRITICAL) (?P<agent>.*)"
    r"|database\[\d+\]: .*?(?:\[ERROR\]|(?:ERROR|FATAL|PANIC): ) ?(?P<database>.*)"
)


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


class Consoles:
    """The consoles of instances, each read on from where it was read to before.

    Args:
        admin: the cloud as its administrator sees it.
        allowed: errors to pass over.
    """

    def __init__(self, admin: Cloud, allowed: Iterable[ExpectedError]) -> None:
        self._admin = admin
        self._allowed = tuple(allowed)
        self._servers: dict[str, str] = {}
        self._last: dict[str, str] = {}

    def errors(self, instance: Instance) -> list[str]:
        """Return the unexpected errors that an instance has told of since the last look."""
        return [
            line
            for line in self._new_lines(instance)
            if ERROR.search(line) and not self._is_expected(line, instance.spec.datastore)
        ]

    def _is_expected(self, line: str, datastore: str) -> bool:
        return any(
            re.search(each.pattern, line)
            for each in self._allowed
            if not each.datastores or datastore in each.datastores
        )

    def _new_lines(self, instance: Instance) -> list[str]:
        lines = self._read(instance).splitlines()
        last = self._last.get(instance.id)
        if lines:
            self._last[instance.id] = lines[-1]
        # Nova keeps the end of a long console: what was last read may be gone from it.
        if last in lines:
            return lines[len(lines) - lines[::-1].index(last) :]
        return lines

    def _read(self, instance: Instance) -> str:
        """Return the console of a server; of one that has none at the moment, nothing."""
        try:
            server = self._servers.get(instance.id) or self._server(instance)
            answer = self._admin.compute.get_server_console_output(server)
        except (sdk_errors.NotFoundException, sdk_errors.ConflictException):
            return ""
        return answer["output"] if isinstance(answer, dict) else str(answer)

    def _server(self, instance: Instance) -> str:
        shown = self._admin.trove.mgmt_instances.show(instance.id).to_dict()
        self._servers[instance.id] = shown["server"]["id"]
        return self._servers[instance.id]
