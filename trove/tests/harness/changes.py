"""What this process asks Trove to change of instances: for other changes nobody has to look."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import requests

from trove.tests.harness.api_coverage import Address

_READING = frozenset({"GET", "HEAD"})
# What of an instance has addresses of its own in Trove's API.
DATABASES, USERS, ROOT = "databases", "users", "root"
# The instance itself: it is restarted, resized, rebuilt, deleted, or given a configuration.
ALL = frozenset({DATABASES, USERS, ROOT})

_INSTANCE = re.compile(r"/instances/[^/]+(?:/action)?$")
_PART = re.compile(rf"/instances/[^/]+/({'|'.join(ALL)})(?:/|$)")
_collecting: list[set[str]] = []


@contextmanager
def asked() -> Iterator[set[str]]:
    """Collect what Trove is asked to change meanwhile, by whichever user of this process.

    That is ``databases``, ``users`` or ``root`` of an instance, or all of them: whoever is
    let in as root can change the others, and an instance that is restarted might lose them.
    Also what is refused counts.
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
    address = Address(endpoint)

    def look(response: requests.Response, *_args: Any, **_kwargs: Any) -> None:
        request = response.request
        path = address.path(request.url or "")
        if path and request.method not in _READING:
            note(path)

    session.hooks["response"].append(look)


def note(path: str) -> None:
    """Take down that a change was asked for at a path of Trove's API."""
    part = _PART.search(path)
    if part and part[1] != ROOT:
        parts = {part[1]}
    else:
        parts = ALL if part or _INSTANCE.search(path) else set()
    for collected in _collecting:
        collected.update(parts)
