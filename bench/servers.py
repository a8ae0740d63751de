"""Servers of guest images on the embedded cloud, which tell their console what they found."""

import base64
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

import openstack
from openstack.connection import Connection

from trove.tests.common.errors import ScenarioError
from trove.tests.common.matrix import Target
from trove.tests.embedded.api import EmbeddedCloud
from trove.tests.embedded.seeding import MANAGEMENT_NETWORK
from trove.tests.harness import clients, flavors, images, loading
from trove.tests.harness.run import Run
from trove.tests.harness.timeouts import Timeouts

NAME = "bench"


@dataclass(frozen=True)
class Server:
    """A server that boots or runs.

    Attributes:
        connection: the administrator's, to the cloud.
        id: its id.
    """

    connection: Connection
    id: str

    def console(self) -> str:
        """Return the last lines of its console; nothing before it is active.

        Raises:
            ScenarioError: nova could not boot it.
        """
        compute = self.connection.compute
        status = compute.get_server(self.id).status
        if status == "ERROR":
            raise ScenarioError("The server of the measurement could not be booted.")
        if status != "ACTIVE":
            return ""
        return compute.get_server_console_output(self.id, length=100)["output"] or ""


@contextmanager
def booted(names: EmbeddedCloud, target: Target, user_data: str) -> Iterator[Server]:
    """Boot a target's image with the legs of a Trove guest; delete the server in the end."""
    connection = openstack.connect(cloud=names.admin_cloud)
    image, flavor = _prepare(names, target)
    with ExitStack() as made:
        ports = []
        for network in (names.network, MANAGEMENT_NETWORK):
            id = connection.network.find_network(network, ignore_missing=False).id
            ports.append(connection.network.create_port(name=NAME, network_id=id))
            made.callback(connection.network.delete_port, ports[-1])
        server = connection.compute.create_server(
            name=NAME,
            image_id=image,
            flavor_id=flavor,
            networks=[{"port": port.id} for port in ports],
            user_data=base64.b64encode(user_data.encode()).decode(),
        )
        made.callback(connection.compute.wait_for_delete, server)
        made.callback(connection.compute.delete_server, server)
        yield Server(connection, server.id)


def _prepare(names: EmbeddedCloud, target: Target) -> tuple[str, str]:
    """Return the ids of the image in Glance and of the flavor."""
    admin, run = clients.connect(names.admin_cloud), Run.new()
    with run.own():
        image = images.ensure_image(target)
        loaded = loading.ensure_uploaded(admin, target, image, run.journal, Timeouts())
        size = flavors.suited(names.hypervisor)
        return loaded, flavors.ensure(admin, size, run.journal)
