"""Lists of Trove come in pages; this reads them all."""

from collections.abc import Callable
from typing import Any


def every(listing: Callable[..., Any], *args: Any) -> list[Any]:
    """Return all items of a python-troveclient ``list`` call, page after page."""
    page = listing(*args)
    items = list(page)
    while marker := getattr(page, "next", None):
        page = listing(*args, marker=marker)
        items += page
    return items
