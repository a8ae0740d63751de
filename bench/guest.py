"""Streams between a guest and Swift, over the guest's management leg as backups take it."""

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import openstack
from openstack.connection import Connection

from bench import servers
from bench.figures import Figures
from bench.servers import NAME
from trove.tests.common import matrix
from trove.tests.common.errors import ScenarioError
from trove.tests.embedded.api import EmbeddedCloud
from trove.tests.harness.waiting import wait_for

SIZE = 128 << 20
_PROBE = Path(__file__).with_name("probe.py")


def measure(figures: Figures, names: EmbeddedCloud) -> None:
    """Have a server with the legs of a Trove guest move bytes to Swift and back."""
    connection = openstack.connect(cloud=names.admin_cloud)
    with _container(connection) as url:
        settings = {
            "url": f"{url}/{NAME}",
            "token": connection.auth_token,
            "size": SIZE,
        }
        with servers.booted(names, matrix.load().select("mysql"), _user_data(settings)) as server:
            report = wait_for(
                lambda: _report(server), "the guest has moved its bytes", 600, interval=3
            )
    if not report["same"]:
        raise ScenarioError("Swift returned to the guest other bytes than it was given.")
    figures.add("guest to Swift", report["put"], "MB/s")
    figures.add("Swift to guest", report["get"], "MB/s")


@contextmanager
def _container(connection: Connection) -> Iterator[str]:
    swift = connection.object_store
    swift.put(f"/{NAME}").raise_for_status()
    try:
        yield f"{swift.get_endpoint()}/{NAME}"
    finally:
        swift.delete(f"/{NAME}/{NAME}")
        swift.delete(f"/{NAME}")


def _user_data(settings: dict) -> str:
    first, _, rest = _PROBE.read_text().partition("\n")
    return f"{first}\nSETTINGS = {settings!r}\n{rest}"


def _report(server: servers.Server) -> dict | None:
    """Return what the probe has told the console, None while it has not."""
    found = re.search(r"^BENCH (\{.*\})", server.console(), re.MULTILINE)
    return json.loads(found[1]) if found else None
