"""What a guest reaches: its agent's counterparts, and nothing else of any cloud or of the host.

The guest here is a network namespace on ports of the cloud's own networks, plugged in as
nova plugs a server's devices in; so it can try whatever a taken-over guest could.
"""

import contextlib
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import openstack
import psutil
import pytest
from openstack.network.v2.port import Port

from trove.tests.common.commands import run
from trove.tests.embedded import lifecycle
from trove.tests.embedded.addresses import DNS_PORT
from trove.tests.embedded.cloud import Cloud
from trove.tests.embedded.components import COMPONENTS
from trove.tests.embedded.init import HOST_NAME
from trove.tests.embedded.namespaces import enter
from trove.tests.embedded.seeding import MANAGEMENT_NETWORK, TENANT_NETWORK

pytestmark = pytest.mark.timeout(600)

RABBITMQ = 5672
REACHED, REFUSED, LOST = "reached", "refused", "lost"
_CONNECT = f"""
import socket, sys
try:
    with socket.create_connection((sys.argv[1], int(sys.argv[2])), timeout=3) as connection:
        # Refused just when Python looks, a connection may seem made; but it has no peer.
        connection.getpeername()
    print("{REACHED}")
except ConnectionRefusedError:
    print("{REFUSED}")
except OSError:
    print("{LOST}")
"""


@dataclass(frozen=True)
class Guest:
    """A network namespace inside the cloud that stands for a server's one leg."""

    cloud: Cloud
    name: str

    def connect(self, address: object, port: int) -> str:
        """Return what becomes of a TCP connection from this guest."""
        python = f"{self.cloud.settings.venv}/bin/python"
        argv = ["ip", "netns", "exec", self.name, python, "-c", _CONNECT, str(address), str(port)]
        log = self.cloud.log(f"guest-{self.name}")
        run(enter(self.cloud.init, argv), log=log, what="Trying to connect")
        return log.read_text().splitlines()[-1]


@contextlib.contextmanager
def plugged(cloud: Cloud, network_name: str, routes: dict[str, str]) -> Iterator[Guest]:
    """Plug a guest into one of the cloud's networks.

    Args:
        cloud: a running cloud.
        network_name: name of the network.
        routes: destinations the guest sends elsewhere, with the next hop.
    """
    with openstack.connect(cloud=cloud.admin_cloud) as admin:
        network = admin.network.find_network(network_name, ignore_missing=False)
        port = admin.network.create_port(
            network_id=network.id,
            binding_host_id=HOST_NAME,
            device_owner="compute:nova",
            project_id=network.project_id,
        )
        name = f"probe-{port.id[:8]}"
        try:
            _plug(cloud, name, port, routes)
            yield Guest(cloud, name)
        finally:
            log = cloud.log(f"guest-{name}")
            device = f"tap{port.id[:11]}"
            for argv in (
                ["ovs-vsctl", "--if-exists", "del-port", "br-int", device],
                ["ip", "netns", "delete", name],
            ):
                run(enter(cloud.init, argv), log=log, what="Unplugging a guest")
            admin.network.delete_port(port)


def _plug(cloud: Cloud, name: str, port: Port, routes: dict[str, str]) -> None:
    device, address = f"tap{port.id[:11]}", port.fixed_ips[0]["ip_address"]
    inside = ["ip", "-netns", name]
    commands = [
        ["ip", "netns", "add", name],
        f"ip link add {device} type veth peer name eth0 netns {name}".split(),
        ["ip", "link", "set", device, "up"],
        [*inside, *f"link set eth0 address {port.mac_address} mtu 1442 up".split()],
        [*inside, *f"address add {address}/24 dev eth0".split()],
        *([*inside, *f"route add {where} via {hop}".split()] for where, hop in routes.items()),
        [
            *("ovs-vsctl", "add-port", "br-int", device, "--", "set", "interface", device),
            f"external_ids:iface-id={port.id}",
            f'external_ids:attached-mac="{port.mac_address}"',
            "external_ids:iface-status=active",
        ],
    ]
    for argv in commands:
        run(enter(cloud.init, argv), log=cloud.log(f"guest-{name}"), what="Plugging a guest in")


@pytest.fixture(scope="module")
def clouds_file(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A clouds.yaml of these tests alone."""
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("isolation") / "openstack"
        patch.setenv("OS_CLIENT_CONFIG_FILE", str(folder / "clouds.yaml"))
        yield


@pytest.fixture(scope="module")
def cloud(clouds_file) -> Iterator[Cloud]:
    """A cloud with networks, and what guests' agents talk to."""
    cloud = Cloud("isolation")
    services = ("neutron", "swift", "cinder")
    lifecycle.up(cloud, lifecycle.Wanted(hypervisor="qemu", services=services))
    yield cloud
    lifecycle.down(cloud)


@pytest.fixture(scope="module")
def neighbour(clouds_file) -> Iterator[Cloud]:
    """Another cloud on the same machine."""
    cloud = Cloud("isolation-neighbour")
    lifecycle.up(cloud, lifecycle.Wanted(hypervisor="qemu", services=["keystone"]))
    yield cloud
    lifecycle.down(cloud)


@pytest.fixture(scope="module")
def agent_leg(cloud) -> Iterator[Guest]:
    """A guest's leg in the management network, sending everything to the controller."""
    with plugged(cloud, MANAGEMENT_NETWORK, {"default": str(cloud.net.controller)}) as guest:
        wait_until_plugged(guest, cloud)
        yield guest


@pytest.fixture(scope="module")
def tenant_leg(cloud) -> Iterator[Guest]:
    """A guest's leg in the tenant's network, with the router as its way out."""
    with plugged(cloud, TENANT_NETWORK, {"default": str(cloud.net.tenant[1])}) as guest:
        wait_until_plugged(guest, cloud)
        yield guest


def wait_until_plugged(guest: Guest, cloud: Cloud) -> None:
    """Wait until the switch knows the guest: what is sent before that is lost."""
    assert any(guest.connect(cloud.net.api, RABBITMQ) != LOST for _ in range(10))


@pytest.fixture(scope="module")
def host_service() -> Iterator[int]:
    """Port of a service of this machine that listens on all its addresses."""
    with socket.create_server(("0.0.0.0", 0)) as server:  # noqa: S104 -- that is the point
        threading.Thread(target=_accept, args=(server,), daemon=True).start()
        yield server.getsockname()[1]


def _accept(server: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while True:
            server.accept()[0].close()


def host_addresses() -> list[str]:
    """Return the IPv4 addresses of this machine, its ends of the clouds' links among them."""
    return [
        address.address
        for name, addresses in psutil.net_if_addrs().items()
        for address in addresses
        if address.family == socket.AF_INET and name != "lo"
    ]


def accepted_here(address: object, port: int) -> bool:
    """Tell whether this machine itself can connect."""
    try:
        socket.create_connection((str(address), port), timeout=3).close()
    except OSError:
        return False
    return True


@pytest.mark.parametrize("service", ["keystone", "swift"])
def test_an_agent_reaches_what_backups_and_logs_need(cloud, agent_leg, service):
    assert agent_leg.connect(cloud.net.api, COMPONENTS[service].port) == REACHED


def test_no_guest_can_go_round_the_fence_by_ipv6(cloud, agent_leg, tenant_leg):
    """Every device inside, those of the two guests included, has IPv4 alone."""
    log = cloud.log("addresses")
    run(enter(cloud.init, ["ip", "-oneline", "-6", "address"]), log=log, what="Listing addresses")
    assert log.read_text() == ""


def test_an_agent_reaches_its_message_queue(cloud, agent_leg):
    assert agent_leg.connect(cloud.net.controller, RABBITMQ) == REACHED


def test_an_agent_reaches_the_name_server(cloud, agent_leg):
    assert agent_leg.connect(cloud.net.api, DNS_PORT) == REACHED


@pytest.mark.parametrize("service", ["neutron", "cinder"])
def test_an_agent_reaches_no_other_api(cloud, agent_leg, service):
    assert accepted_here(cloud.net.api, COMPONENTS[service].port)
    assert agent_leg.connect(cloud.net.api, COMPONENTS[service].port) != REACHED


@pytest.mark.parametrize("leg", ["agent_leg", "tenant_leg"])
def test_no_guest_reaches_another_cloud(cloud, neighbour, request, leg):
    # Docker makes a router of this machine when it starts, also while clouds are up.
    Path("/proc/sys/net/ipv4/conf", cloud.net.link, "forwarding").write_text("1")
    assert accepted_here(neighbour.net.api, RABBITMQ)
    guest = request.getfixturevalue(leg)
    assert guest.connect(neighbour.net.api, RABBITMQ) != REACHED
    assert guest.connect(neighbour.net.api, COMPONENTS["keystone"].port) != REACHED


def test_no_tenant_reaches_the_message_queue(cloud, tenant_leg):
    for address in (cloud.net.controller, cloud.net.api, cloud.net.public[1]):
        assert tenant_leg.connect(address, RABBITMQ) != REACHED


@pytest.mark.parametrize("leg", ["agent_leg", "tenant_leg"])
def test_no_guest_reaches_the_host(host_service, request, leg):
    guest = request.getfixturevalue(leg)
    addresses = host_addresses()
    assert addresses
    for address in addresses:
        assert accepted_here(address, host_service)
        assert guest.connect(address, host_service) != REACHED, f"{address} answers"
