"""Values on command lines."""

import argparse
import re
from datetime import timedelta

_TIMES = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


def duration(text: str) -> timedelta:
    """Return what ``30m``, ``12h``, ``30d`` or ``8w`` means.

    Raises:
        argparse.ArgumentTypeError: the text is something else.
    """
    found = re.fullmatch(rf"([0-9]{{1,6}})([{''.join(_TIMES)}])", text)
    if not found:
        raise argparse.ArgumentTypeError(f"{text!r} is no time such as 12h, 30d or 8w")
    return timedelta(**{_TIMES[found[2]]: int(found[1])})
