"""What this process asks Trove to change: for other changes nobody has to look."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import requests

READING = frozenset({"GET", "HEAD"})
# What of an instance has addresses of its own in Trove's API.
DATABASES, USERS, ROOT = "databases", "users", "root"
ANYTHING = "anything"

_PART = re.compile(rf"/instances/[^/]+/({DATABASES}|{USERS}|{ROOT})(?:/|$)")
_collecting: list[set[str]] = []


@contextmanager
def asked() -> Iterator[set[str]]:
    """Collect what Trove is asked to change meanwhile, by whichever user of this process.

    That is ``databases``, ``users`` or ``root`` of an instance, and ``anything`` else. Also
    what is refused counts.
    """
    collected: set[str] = set()
    _collecting.append(collected)
    try:
        yield collected
    finally:
        _collecting[:] = [each for each in _collecting if each is not collected]


def watch(session: requests.Session, endpoint: str) -> None:
    """Have what a session asks Trove collected.

    Args:
        session: of one user, who may also talk to other services with it.
        endpoint: Trove's address as the catalogue has it.
    """

    def look(response: requests.Response, *_args: Any, **_kwargs: Any) -> None:
        request = response.request
        if request.method not in READING and (request.url or "").startswith(endpoint):
            note(request.path_url)

    session.hooks["response"].append(look)


def note(path: str) -> None:
    """Take down that a change was asked for at a path of Trove's API."""
    found = _PART.search(path.partition("?")[0])
    for collected in _collecting:
        collected.add(found[1] if found else ANYTHING)
