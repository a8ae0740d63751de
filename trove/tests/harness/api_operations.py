"""The operations of Trove's API, and which of them a request was.

``operations.yaml`` beside the scenario tests lists them; its head tells how to read
and change it. ``api-routes.txt`` has all routes of the pinned server.
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from itertools import groupby
from pathlib import Path
from typing import Any

import jsonschema
import yaml

from trove.tests.common import paths
from trove.tests.common.errors import ScenarioError

OPERATIONS = paths.ROOT / "trove/tests/scenario/operations.yaml"
SCHEMA = OPERATIONS.with_suffix(".schema.json")
ROUTES = paths.RELEASE / "api-routes.txt"
ANY = "ANY"
# Why an operation has no test. Of several in one row the first here counts.
REASONS = (
    "not_tested_yet",
    "needs_registry_image",
    "needs_multiple_hosts",
    "client_side",
    "not_supported_by_server",
)


@dataclass(frozen=True)
class Exchange:
    """A request to Trove and how it was answered.

    Attributes:
        method: such as ``GET``.
        path: below ``/v1.0``; of the versions themselves it is ``/`` or ``/v1.0``.
        query: what stands after the question mark.
        body: the JSON document sent, or None.
        status: of the answer.
        test: the test that made it, as ``test_file.py::test_name``; empty outside of tests.
        phase: of that test: ``setup``, ``call`` or ``teardown``.
    """

    method: str
    path: str
    query: Mapping[str, Sequence[str]]
    body: Any
    status: int
    test: str = ""
    phase: str = ""


@dataclass(frozen=True)
class Route:
    """A method and a template of paths.

    Attributes:
        method: such as ``GET``, or ``ANY``.
        template: the path, with names in braces for what differs.
    """

    method: str
    template: str

    @classmethod
    def parse(cls, text: str) -> "Route":
        """Read a route as it is written in files."""
        return cls(*text.split())

    def __str__(self) -> str:
        return f"{self.method} {self.template}"

    def takes(self, method: str, path: str) -> bool:
        """Tell whether a request goes this way."""
        steps = path.split("/")
        return (
            self.method in (ANY, method)
            and len(steps) == len(self._steps)
            and all(
                _is_name(own) or own == step for own, step in zip(self._steps, steps, strict=True)
            )
        )

    @property
    def exactness(self) -> tuple[bool, ...]:
        """The larger, the fewer paths it takes: a word counts more than a name in braces."""
        return (*(not _is_name(step) for step in self._steps), self.method != ANY)

    @cached_property
    def _steps(self) -> list[str]:
        return self.template.split("/")


@dataclass(frozen=True)
class Condition:
    """Something that must hold for a request to be an operation.

    Attributes:
        part: ``body``, ``absent`` or ``query``.
        key: what must be there, or must not; of a body with dots between its levels.
        values: what may be there, in ``_text``'s form; empty if anything may.
    """

    part: str
    key: str
    values: frozenset[str] = frozenset()

    def holds(self, exchange: Exchange) -> bool:
        """Tell whether it holds for a request."""
        if self.part == "query":
            found = list(exchange.query.get(self.key, ()))
        else:
            found = list(_found(exchange.body, self.key.split(".")))
        if self.part == "absent":
            return not found
        return any(not self.values or _text(each) in self.values for each in found)


@dataclass(frozen=True)
class Operation:
    """One operation, or the part of one that has a route of its own.

    Attributes:
        row: number of the operation; parts of one have the same.
        name: a few words that no other has.
        route: where the request goes.
        conditions: what else makes a request this operation.
        status: of the answer that is wanted: ``2xx``, or for a refusal ``4xx`` or a number.
        by_test: the request alone doesn't tell; it counts in the tests named, and only there.
        tests: the tests that check it, as ``test_file.py::test_name``.
        reason: why there are none, one of ``REASONS``.
        text: the reason in words.
    """

    row: int
    name: str
    route: Route
    conditions: frozenset[Condition]
    status: str
    by_test: bool
    tests: tuple[str, ...]
    reason: str | None
    text: str

    def was(self, exchange: Exchange) -> bool:
        """Tell whether a request that went this route was this operation, and answered so."""
        return (
            all(condition.holds(exchange) for condition in self.conditions)
            and (not self.by_test or exchange.test in self.tests)
            and self._wants(exchange.status)
        )

    def _wants(self, status: int) -> bool:
        if self.status.endswith("xx"):
            return status // 100 == int(self.status[0])
        return status == int(self.status)


@dataclass(frozen=True)
class Row:
    """An operation with all its parts.

    Attributes:
        number: its number.
        parts: one, or one for each route or form of the request.
    """

    number: int
    parts: tuple[Operation, ...]

    @property
    def reason(self) -> str | None:
        """Why not all parts have a test; None if they have."""
        return min(
            (part.reason for part in self.parts if part.reason), key=REASONS.index, default=None
        )


@dataclass(frozen=True)
class Match:
    """What a request was.

    Attributes:
        route: the server's route that it took.
        operations: the operations that it was; none for what isn't listed.
    """

    route: Route
    operations: tuple[Operation, ...]


@dataclass(frozen=True)
class Operations:
    """The whole list.

    Attributes:
        listed: every operation, in the order of the file.
        other_routes: routes that belong to no operation, and why.
        routes: all routes of the server.
    """

    listed: tuple[Operation, ...]
    other_routes: dict[Route, str]
    routes: frozenset[Route]

    @cached_property
    def rows(self) -> list[Row]:
        """The operations with their parts together."""
        return [
            Row(number, tuple(parts)) for number, parts in groupby(self.listed, lambda one: one.row)
        ]

    def match(self, exchange: Exchange) -> Match | None:
        """Return what a request was; None if the server has no such route.

        A request can be several operations, such as the creation of an instance with
        databases and with modules. Where one operation asks for all that another one
        does and for more, only the first counts.
        """
        ways = [route for route in self.routes if route.takes(exchange.method, exchange.path)]
        if not ways:
            return None
        route = max(ways, key=lambda way: way.exactness)
        fitting = [one for one in self.listed if one.route == route and one.was(exchange)]
        return Match(route, tuple(_most_specific(fitting)))


@cache
def load(path: Path = OPERATIONS, routes: Path = ROUTES) -> Operations:
    """Read the list and check it.

    Raises:
        ScenarioError: an entry is wrong; the text names it and says what is wrong.
    """
    try:
        data = yaml.safe_load(path.read_text(encoding="utf-8"))
    except yaml.YAMLError as error:
        raise ScenarioError(f"{path} is not valid YAML: {error}") from None
    _check(path, data)
    operations = Operations(
        listed=tuple(map(_operation, data["operations"])),
        other_routes={Route.parse(one["route"]): one["text"] for one in data["other_routes"]},
        routes=frozenset(map(Route.parse, _lines(routes))),
    )
    _check_together(path, operations)
    return operations


def _check(path: Path, data: Any) -> None:
    schema = json.loads(SCHEMA.read_text(encoding="utf-8"))
    errors = jsonschema.Draft202012Validator(schema).iter_errors(data)
    wrong = jsonschema.exceptions.best_match(errors)
    if wrong is None:
        return
    place = list(wrong.absolute_path)
    entry: Any = data
    for step in place[:2]:
        entry = entry[step]
    name = entry.get("name") or entry.get("route") if isinstance(entry, dict) else None
    which = f"{name!r}" if name else ".".join(map(str, place[:2])) or "the file"
    rest = "".join(f" {step}:" for step in place[2:])
    raise ScenarioError(f"{path}: {which}:{rest} {wrong.message}.")


def _check_together(path: Path, operations: Operations) -> None:
    """Check what a schema can't: names and their order, routes, and a test or a reason."""
    names: set[str] = set()
    row = 0
    for one in operations.listed:
        wrong = None
        if one.name in names:
            wrong = "there is another one of this name"
        elif one.row not in (row, row + 1):
            wrong = f"row {one.row} comes after row {row}"
        elif one.route not in operations.routes:
            wrong = f"the server has no route {one.route}"
        elif bool(one.tests) == bool(one.reason):
            wrong = "it must have either tests or a reason"
        if wrong:
            raise ScenarioError(f"{path}: {one.name!r}: {wrong}.")
        names.add(one.name)
        row = one.row


def _operation(entry: dict[str, Any]) -> Operation:
    reason = entry.get("reason", {})
    return Operation(
        row=entry["row"],
        name=entry["name"],
        route=Route.parse(entry["route"]),
        conditions=frozenset(_conditions(entry)),
        status=str(entry.get("status", "2xx")),
        by_test=entry.get("by_test", False),
        tests=tuple(entry.get("tests", ())),
        reason=reason.get("type"),
        text=reason.get("text", ""),
    )


def _conditions(entry: dict[str, Any]) -> Iterator[Condition]:
    for part in ("body", "absent", "query"):
        for item in entry.get(part, ()):
            if isinstance(item, str):
                yield Condition(part, item)
                continue
            for key, values in item.items():
                # Asking for a value is asking for the key, too, and for more.
                yield Condition(part, key)
                values = values if isinstance(values, list) else [values]
                yield Condition(part, key, frozenset(map(_text, values)))


def _lines(file: Path) -> list[str]:
    lines = file.read_text(encoding="utf-8").splitlines()
    return [line for line in lines if line and not line.startswith("#")]


def _is_name(step: str) -> bool:
    return step.startswith("{")


def _found(document: Any, steps: Sequence[str]) -> Iterator[Any]:
    """Yield what stands at a place of a document; of a list its items, of an empty one the list."""
    if isinstance(document, list) and document:
        for item in document:
            yield from _found(item, steps)
    elif not steps:
        yield document
    elif isinstance(document, dict) and steps[0] in document:
        yield from _found(document[steps[0]], steps[1:])


def _text(value: Any) -> str:
    """Return a value as it is compared: clients send ``true`` as JSON, and as ``True``."""
    return (value if isinstance(value, str) else json.dumps(value)).lower()


def _most_specific(operations: Iterable[Operation]) -> Iterator[Operation]:
    fitting = list(operations)
    for one in fitting:
        if not any(one.conditions < other.conditions for other in fitting):
            yield one
