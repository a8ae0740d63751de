"""The lines of a cloud's service logs that have to do with one test.

They can be read where the cloud is on this machine.
"""

import re
from collections.abc import Collection, Iterator
from datetime import datetime
from pathlib import Path

# Of each file only so much is looked at, from its end: a test is soon over.
LOOKED_AT = 16 * 2**20  # bytes
_TIME = re.compile(r"\[?(\d{4}-\d\d-\d\d)[T ]([\d ]\d:\d\d:\d\d(?:[.,]\d+)?) ?(Z|[+-]\d\d:?\d\d)?")
_REQUEST = re.compile(r"req-[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_TROUBLE = re.compile(
    r" (?:WARNING|ERROR|CRITICAL|TRACE) "  # OpenStack's services
    r"| (?:WARN|ERRO|CRIT) | gave up: "  # the supervisor
    r"|(?i:\[(?:warning|error|critical)\])"  # MariaDB, RabbitMQ, gunicorn
    r"|\|(?:WARN|ERR|EMER)\|"  # Open vSwitch, OVN
    r"| (?:warning|error) : "  # libvirt
)


def about(folder: Path, requests: Collection[str], since: datetime) -> Iterator[str]:
    """Yield what services have logged of a test, with the name of each file before its lines.

    Those are the lines of its requests, and the warnings and errors from its time: a task
    that goes on after the answer has the request's id in Trove, but not in the services
    that Trove calls.

    Args:
        folder: has a file ``<service>.log`` each.
        requests: ids of the test's requests.
        since: when the test began, in this machine's time.
    """
    beginning = since.replace(microsecond=0).astimezone()  # not all services log parts of seconds
    for file in sorted(folder.glob("*.log")):
        lines = list(_lines(file, frozenset(requests), beginning))
        if lines:
            yield f"== {file.stem}"
            yield from lines


def _lines(file: Path, requests: frozenset[str], beginning: datetime) -> Iterator[str]:
    for line in _end_of(file):
        time = _time(line)
        if time is None or time < beginning:
            continue
        if _TROUBLE.search(line) or not requests.isdisjoint(_REQUEST.findall(line)):
            yield line


def _time(line: str) -> datetime | None:
    """Return when a line was logged, None if it doesn't say; no zone means this machine's."""
    found = _TIME.match(line)
    if found is None:
        return None
    date, clock, zone = found.groups("")
    # MariaDB puts a blank before an hour of one digit.
    return datetime.fromisoformat(f"{date}T{clock.replace(' ', '0')}{zone}").astimezone()


def _end_of(file: Path) -> list[str]:
    with file.open("rb") as log:
        size = log.seek(0, 2)
        log.seek(max(0, size - LOOKED_AT))
        return log.read().decode(errors="replace").splitlines()
