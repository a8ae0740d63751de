"""How far a guest has come while it is built, from what it says on its console."""

import re
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

# Begun with what is named so: the guest's boot, its agent, the database's container.
BOOT, AGENT, CONTAINER = "boot", "agent", "container"


def _of_agent(text: str) -> datetime:
    return datetime.strptime(text, "%Y-%m-%d %H:%M:%S,%f").replace(tzinfo=UTC)


_TIME_OF_AGENT = r"trove-guest-agent\[\d+\]: (\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3})"
# The line that tells of each, and how it gives the time.
_SIGNS: dict[str, tuple[re.Pattern[str], Callable[[str], datetime]]] = {
    BOOT: (
        re.compile(r"Cloud-init v\. \S+ running 'init-local' at (.+ \+0000)\."),
        parsedate_to_datetime,
    ),
    # Its first words: it is loaded, and has its settings.
    AGENT: (re.compile(_TIME_OF_AGENT), _of_agent),
    CONTAINER: (re.compile(_TIME_OF_AGENT + r".*Creating docker container"), _of_agent),
}


def reached(lines: Iterable[str]) -> dict[str, float]:
    """Return what has begun for the first time in the lines of a console, and when.

    The moments are seconds since 1970, by the guest's clock; boots are told in whole ones.
    """
    found: dict[str, float] = {}
    for line in lines:
        for milestone, (sign, time_of) in _SIGNS.items():
            if milestone not in found and (told := sign.search(line)):
                found[milestone] = time_of(told[1]).timestamp()
    return found
