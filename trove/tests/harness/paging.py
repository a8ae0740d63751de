"""Lists of Trove come in pages; this reads them all."""

from collections.abc import Callable
from typing import Any


def every(listing: Callable[..., Any], *args: Any, marker: str | None = None) -> list[Any]:
    """Return all items of a python-troveclient ``list`` call, page after page.

    Args:
        listing: the call.
        args: its arguments.
        marker: where to begin, as an earlier page says; None for the beginning.
    """
    page = listing(*args, marker=marker) if marker else listing(*args)
    items = list(page)
    while marker := getattr(page, "next", None):
        page = listing(*args, marker=marker)
        items += page
    return items
