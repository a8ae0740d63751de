"""Streams between a guest and Swift, over the guest's management leg as backups take it."""

import base64
import json
import re
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import openstack
from openstack.connection import Connection

from bench.figures import Figures
from trove.tests.common.errors import ScenarioError
from trove.tests.embedded.api import EmbeddedCloud
from trove.tests.embedded.seeding import MANAGEMENT_NETWORK
from trove.tests.harness import clients, flavors, images, loading, matrix
from trove.tests.harness.flavors import FlavorSpec
from trove.tests.harness.run import Run
from trove.tests.harness.timeouts import Timeouts
from trove.tests.harness.waiting import wait_for

SIZE = 64 << 20
NAME = "bench"
_PROBE = Path(__file__).with_name("probe.py")


def measure(figures: Figures, names: EmbeddedCloud) -> None:
    """Have a server with the legs of a Trove guest move bytes to Swift and back."""
    connection = openstack.connect(cloud=names.admin_cloud)
    with _container(connection) as url, ExitStack() as made:
        settings = {
            "url": f"{url}/{NAME}",
            "token": connection.auth_token,
            "size": SIZE,
        }
        server = _boot(connection, names, settings, made)
        report = wait_for(
            lambda: _report(connection, server), "the guest has moved its bytes", 600, interval=3
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


def _boot(connection: Connection, names: EmbeddedCloud, settings: dict, made: ExitStack) -> str:
    """Boot the guest image with the probe as its user data; return the server's id."""
    admin, run = clients.connect(names.admin_cloud), Run.new()
    target = matrix.load().select("mysql")
    with run.own():
        image = images.ensure_image(target)
        loaded = loading.find_image(admin, target, image.key) or loading.upload(
            admin, target, image, run.journal, Timeouts()
        )
        flavor = flavors.ensure(admin, FlavorSpec(), run.journal)
    ports = []
    for network in (names.network, MANAGEMENT_NETWORK):
        id = connection.network.find_network(network, ignore_missing=False).id
        ports.append(connection.network.create_port(name=NAME, network_id=id))
        made.callback(connection.network.delete_port, ports[-1])
    first, _, rest = _PROBE.read_text().partition("\n")
    script = f"{first}\nSETTINGS = {settings!r}\n{rest}"
    server = connection.compute.create_server(
        name=NAME,
        image_id=loaded,
        flavor_id=flavor,
        networks=[{"port": port.id} for port in ports],
        user_data=base64.b64encode(script.encode()).decode(),
    )
    made.callback(connection.compute.wait_for_delete, server)
    made.callback(connection.compute.delete_server, server)
    return server.id


def _report(connection: Connection, server: str) -> dict | None:
    """Return what the probe has told the console, None while it has not."""
    status = connection.compute.get_server(server).status
    if status == "ERROR":
        raise ScenarioError("The server of the measurement could not be booted.")
    if status != "ACTIVE":
        return None
    output = connection.compute.get_server_console_output(server, length=100)["output"]
    found = re.search(r"^BENCH (\{.*\})", output or "", re.MULTILINE)
    return json.loads(found[1]) if found else None
