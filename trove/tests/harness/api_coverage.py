"""Which operations of Trove's API a run really called, and got the answer it wanted.

Every process of a run appends to one file of the run's folder what its sessions asked
Trove, a name a line, and the test and its phase that it was asked in. Nothing else is
kept: no addresses, no bodies, no secrets. To sum up several runs::

    python -m trove.tests.harness.api_coverage RUNFOLDER...
"""

import argparse
import json
import os
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import SplitResult, parse_qs, urlsplit

import requests

from trove.tests.harness import api_operations
from trove.tests.harness.api_operations import Exchange, Operation

RECORD = "operations.log"
REPORT = "api-coverage.txt"
VERSION = "/v1.0"
PORTS = {"http": 80, "https": 443}

_record: Path | None = None


@contextmanager
def recording(file: Path) -> Iterator[None]:
    """Write down in ``file`` what watched sessions ask Trove meanwhile.

    Raises:
        ScenarioError: the list of operations is wrong.
    """
    global _record
    api_operations.load()  # now, and not in the middle of a request
    before, _record = _record, file
    try:
        yield
    finally:
        _record = before


def watch(session: requests.Session, endpoint: str) -> None:
    """Have the answers that a session gets from Trove looked at.

    Args:
        session: of one user, who may also talk to other services with it.
        endpoint: Trove's address as the catalogue has it.
    """
    address = Address(endpoint)

    def look(response: requests.Response, *_args: Any, **_kwargs: Any) -> None:
        if _record is None:
            return
        path = address.path(response.request.url or "")
        if path is not None:
            _note(_record, _exchange(path, response))

    session.hooks["response"].append(look)


@dataclass
class Calls:
    """What runs asked of Trove.

    Attributes:
        counted: how often, by names of operations, and of other requests.
        tests: the tests that asked, by the same names.
        in_setup: which of these names were asked for in the set-up of any test.
        ran: the tests that asked for anything in their own body.
    """

    counted: Counter[str] = field(default_factory=Counter)
    tests: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    in_setup: set[str] = field(default_factory=set)
    ran: set[str] = field(default_factory=set)

    def note(self, name: str, test: str, phase: str) -> None:
        """Count that a test asked for something in one of its phases."""
        self.counted[name] += 1
        self.tests[name].add(test)
        if phase == "setup":
            self.in_setup.add(name)
        elif phase == "call":
            self.ran.add(test)

    def not_called_by(self, operation: Operation) -> list[str]:
        """Return the tests that an operation names and that ran, but did not call it."""
        # What is shared or asked for ahead is made in the set-up of whichever test comes first.
        if operation.name in self.in_setup:
            return []
        return sorted((set(operation.tests) & self.ran) - self.tests[operation.name])


def read(folders: Iterable[Path]) -> Calls:
    """Return what runs called, from their folders."""
    calls = Calls()
    for folder in folders:
        if (record := folder / RECORD).exists():
            for line in record.read_text().splitlines():
                name, _, asked_in = line.partition("\t")
                test, _, phase = asked_in.partition("\t")
                calls.note(name, test, phase)
    return calls


def count(calls: Calls) -> str:
    """Return how many operations were called: those of which every part was."""
    rows = api_operations.load().rows
    called = sum(all(calls.counted[part.name] for part in row.parts) for row in rows)
    return f"{called} of {len(rows)} operations called and answered"


def report(calls: Calls, runs: str = "this run") -> list[str]:
    """Return the lines of a table of all operations, of what is amiss, and a summary."""
    return [*_table(calls), *_others(calls), *_lies(calls), "", _summary(calls, runs)]


def main(arguments: list[str] | None = None) -> None:
    """Print the report on what several runs called together."""
    parser = argparse.ArgumentParser(
        prog="python -m trove.tests.harness.api_coverage",
        description="Print which operations of Trove's API test runs called, taken together.",
    )
    parser.add_argument("folders", nargs="+", type=Path, metavar="RUNFOLDER")
    parser.add_argument(
        "--by-test", action="store_true", help="name the tests that called each, instead"
    )
    options = parser.parse_args(arguments)
    folders = options.folders
    for folder in folders:
        if not (folder / RECORD).exists():
            parser.error(f"{folder} is no folder of a run that asked Trove anything")
    runs = "this run" if len(folders) == 1 else f"these {len(folders)} runs"
    calls = read(folders)
    print(*(_callers(calls) if options.by_test else report(calls, runs)), sep="\n")


class Address:
    """Where a Trove is: tells its requests from all others."""

    def __init__(self, endpoint: str) -> None:
        url = urlsplit(endpoint)
        self._server = _server(url)
        # There may be a proxy's prefix before the version, and no project behind it.
        self._prefix, _, _ = f"{url.path}/".rpartition(f"{VERSION}/")

    def path(self, url: str) -> str | None:
        """Return a request's path as ``Exchange`` has it; None if it goes elsewhere."""
        asked = urlsplit(url)
        if _server(asked) != self._server or not asked.path.startswith(self._prefix):
            return None
        path = asked.path.removeprefix(self._prefix).rstrip("/")
        if path in ("", VERSION):
            return path or "/"
        return path.removeprefix(VERSION) if path.startswith(f"{VERSION}/") else None


def _server(url: SplitResult) -> tuple[str, str | None, int | None]:
    return url.scheme, url.hostname, url.port or PORTS.get(url.scheme)


def _exchange(path: str, response: requests.Response) -> Exchange:
    request = response.request
    test, phase = _current_test()
    return Exchange(
        method=request.method or "",
        path=path,
        query=parse_qs(urlsplit(request.url or "").query, keep_blank_values=True),
        body=_document(request.body),
        status=response.status_code,
        test=test,
        phase=phase,
    )


def _document(body: Any) -> Any:
    try:
        return json.loads(body)
    except (TypeError, ValueError):
        return None


def _current_test() -> tuple[str, str]:
    """Return the test that this process is at, and its phase, as pytest notes for programs."""
    id, _, phase = os.environ.get("PYTEST_CURRENT_TEST", "").rpartition(" ")
    return id.partition("[")[0].rpartition("/")[2], phase.strip("()")


def _note(record: Path, exchange: Exchange) -> None:
    match = api_operations.load().match(exchange)
    if match is None:
        return
    names = [one.name for one in match.operations] or [f"{match.route} {exchange.status}"]
    # One write for all: lines of several processes never mix.
    # On a full disk there are still things to be asked for: deletions.
    with suppress(OSError), record.open("a") as lines:
        lines.write("".join(f"{name}\t{exchange.test}\t{exchange.phase}\n" for name in names))


def _table(calls: Calls) -> Iterator[str]:
    listed = api_operations.load().listed
    width = max(len(one.name) for one in listed)
    yield f"row  {'operation':{width}}  calls  tests, or the reason for none"
    for one in listed:
        grounds = f"{_words(one.reason)}: {one.text}" if one.reason else ", ".join(one.tests)
        yield f"{one.row:>3}  {one.name:{width}}  {calls.counted[one.name]:>5}  {grounds}"


def _others(calls: Calls) -> Iterator[str]:
    names = {one.name for one in api_operations.load().listed}
    others = sorted((what, times) for what, times in calls.counted.items() if what not in names)
    if others:
        yield from ("", "Requests that are none of these, with the status of the answer:")
        yield from (f"{times:>5}  {what}" for what, times in others)


def _lies(calls: Calls) -> Iterator[str]:
    lies = {one.name: calls.not_called_by(one) for one in api_operations.load().listed}
    if any(lies.values()):
        yield from ("", "Tests that an operation names, that ran and did not call it:")
        yield from (f"  {name}: {', '.join(tests)}" for name, tests in lies.items() if tests)


def _callers(calls: Calls) -> Iterator[str]:
    for one in api_operations.load().listed:
        yield f"{one.row:>3}  {one.name}: {', '.join(sorted(calls.tests[one.name])) or '-'}"


def _summary(calls: Calls, runs: str) -> str:
    """Tell how many operations were called, and how many have a test.

    An operation has one if every part has; else the first of ``REASONS`` counts.
    """
    reasons = [row.reason for row in api_operations.load().rows]
    by_type = Counter(reason for reason in reasons if reason)
    types = ", ".join(f"{times} {_words(reason)}" for reason, times in by_type.most_common())
    return (
        f"{count(calls)} in {runs}; {reasons.count(None)} listed with a test, "
        f"{by_type.total()} with a reason ({types or 'none'})"
    )


def _words(reason: str) -> str:
    return reason.replace("_", " ")


if __name__ == "__main__":
    main()
