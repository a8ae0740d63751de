"""Which operations of Trove's API a run really called, and got the answer it wanted.

Every process of a run appends to one file of the run's folder what its sessions asked
Trove, a name a line. Nothing else is kept: no addresses, no bodies, no secrets. To sum
up several runs::

    python -m trove.tests.harness.api_coverage RUNFOLDER...
"""

import argparse
import json
import os
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import SplitResult, parse_qs, urlsplit

import requests

from trove.tests.harness import api_operations
from trove.tests.harness.api_operations import Exchange

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
    address = _Address(endpoint)

    def look(response: requests.Response, *_args: Any, **_kwargs: Any) -> None:
        if _record is None:
            return
        path = address.path(response.request.url or "")
        if path is not None:
            _note(_record, _exchange(path, response))

    session.hooks["response"].append(look)


def read(folders: Iterable[Path]) -> Counter[str]:
    """Return how often runs called what: names of operations, and other requests."""
    calls: Counter[str] = Counter()
    for folder in folders:
        if (record := folder / RECORD).exists():
            calls.update(record.read_text().splitlines())
    return calls


def count(calls: Counter[str]) -> str:
    """Return how many operations were called: those of which every part was."""
    rows = api_operations.load().rows
    called = sum(all(calls[part.name] for part in row.parts) for row in rows)
    return f"{called} of {len(rows)} operations called and answered"


def report(calls: Counter[str], runs: str = "this run") -> list[str]:
    """Return the lines of a table of all operations, of other requests, and a summary."""
    return [*_table(calls), *_others(calls), "", _summary(calls, runs)]


def main(arguments: list[str] | None = None) -> None:
    """Print the report on what several runs called together."""
    parser = argparse.ArgumentParser(
        prog="python -m trove.tests.harness.api_coverage",
        description="Print which operations of Trove's API test runs called, taken together.",
    )
    parser.add_argument("folders", nargs="+", type=Path, metavar="RUNFOLDER")
    folders = parser.parse_args(arguments).folders
    for folder in folders:
        if not (folder / RECORD).exists():
            parser.error(f"{folder} is no folder of a run that asked Trove anything")
    runs = "this run" if len(folders) == 1 else f"these {len(folders)} runs"
    print(*report(read(folders), runs), sep="\n")


class _Address:
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
    return Exchange(
        method=request.method or "",
        path=path,
        query=parse_qs(urlsplit(request.url or "").query, keep_blank_values=True),
        body=_document(request.body),
        status=response.status_code,
        test=_current_test(),
    )


def _document(body: Any) -> Any:
    try:
        return json.loads(body)
    except (TypeError, ValueError):
        return None


def _current_test() -> str:
    """Return the test that this process is at, from what pytest notes for programs to read."""
    test, _, _ = os.environ.get("PYTEST_CURRENT_TEST", "").partition("[")
    return test.split(" (")[0].rpartition("/")[2]


def _note(record: Path, exchange: Exchange) -> None:
    match = api_operations.load().match(exchange)
    if match is None:
        return
    names = [one.name for one in match.operations] or [f"{match.route} {exchange.status}"]
    # One write for all: lines of several processes never mix.
    with record.open("a") as lines:
        lines.write("".join(f"{name}\n" for name in names))


def _table(calls: Counter[str]) -> Iterator[str]:
    listed = api_operations.load().listed
    width = max(len(one.name) for one in listed)
    yield f"row  {'operation':{width}}  calls  tests, or the reason for none"
    for one in listed:
        grounds = f"{_words(one.reason)}: {one.text}" if one.reason else ", ".join(one.tests)
        yield f"{one.row:>3}  {one.name:{width}}  {calls[one.name]:>5}  {grounds}"


def _others(calls: Counter[str]) -> Iterator[str]:
    names = {one.name for one in api_operations.load().listed}
    others = sorted((what, times) for what, times in calls.items() if what not in names)
    if others:
        yield from ("", "Requests that are none of these, with the status of the answer:")
        yield from (f"{times:>5}  {what}" for what, times in others)


def _summary(calls: Counter[str], runs: str) -> str:
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
