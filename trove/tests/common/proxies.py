"""Requests to an embedded cloud go to it directly, whatever proxy this machine is set up for."""

import os
from ipaddress import IPv4Network

# Where embedded clouds are; RFC 2544 has nobody else there, so no proxy leads to any.
EMBEDDED_CLOUDS = IPv4Network("198.18.0.0/15")
_DIRECT = (str(EMBEDDED_CLOUDS), "127.0.0.1")


def bypass() -> None:
    """Have this process, and those that it starts, ask embedded clouds without a proxy."""
    # Who heeds one of them doesn't look at the other.
    for variable in ("no_proxy", "NO_PROXY"):
        set_up = os.environ.get(variable) or os.environ.get(variable.swapcase()) or ""
        if set_up.strip() != "*":  # it stands for all, and only alone
            known = [each.strip() for each in set_up.split(",") if each.strip()]
            more = [each for each in _DIRECT if each not in known]
            os.environ[variable] = ",".join([*known, *more])
