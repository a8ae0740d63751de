"""The network that instances are attached to."""

import secrets
from ipaddress import ip_address

from trove.tests.common.errors import ScenarioError
from trove.tests.harness.clients import Cloud
from trove.tests.harness.instances import Instance
from trove.tests.harness.journal import Entry
from trove.tests.harness.run import Run


def choose(cloud: Cloud, wanted: str | None = None) -> str:
    """Return the id of the user's network for database instances.

    Args:
        cloud: the user's.
        wanted: name or id; without it, the user's only network with a router.

    Raises:
        ScenarioError: there is no such network, or no single one to choose.
    """
    if wanted:
        if found := cloud.network.find_network(wanted, ignore_missing=True):
            return found.id
        raise ScenarioError(
            f"Cloud {cloud.name!r} has no network {wanted!r}; known are: {_names(cloud)}."
        )
    routed = _routed(cloud)
    if len(routed) == 1:
        return routed.pop()
    raise ScenarioError(
        f"In cloud {cloud.name!r} {len(routed)} networks of the project have a router; "
        f"choose one with --network. Known are: {_names(cloud)}."
    )


def free_address(cloud: Cloud, network: str) -> dict[str, str]:
    """Return a subnet of a network and an address in it that nobody has, as Trove takes them.

    It may be any: whoever else looks for one meanwhile must not find the same.

    Args:
        cloud: the user's.
        network: its id.

    Raises:
        ScenarioError: the network has no subnet with IPv4 addresses that is not full.
    """
    taken = {
        fixed["ip_address"]
        for port in cloud.network.ports(network_id=network)
        for fixed in port.fixed_ips
    }
    for subnet in cloud.network.subnets(network_id=network, ip_version=4):
        for pool in subnet.allocation_pools:
            first, last = (int(ip_address(pool[end])) for end in ("start", "end"))
            size = last - first + 1
            start = secrets.randbelow(size)
            for step in range(size):
                address = str(ip_address(first + (start + step) % size))
                if address not in taken:
                    return {"subnet_id": subnet.id, "ip_address": address}
    raise ScenarioError(f"Network {network} of cloud {cloud.name!r} has no free IPv4 address.")


def other_ranges(admin: Cloud, instance: Instance, network: str) -> list[str]:
    """Return the ranges of the networks that an instance has beside the user's, as CIDRs.

    Args:
        admin: the cloud's, who sees all networks.
        instance: whose server is attached to them.
        network: the user's, by its id.
    """
    return [
        subnet.cidr
        for port in admin.network.ports(device_id=instance.server_id(admin))
        if port.network_id != network
        for subnet in admin.network.subnets(network_id=port.network_id, ip_version=4)
    ]


def create(cloud: Cloud, run: Run, cidr: str) -> Entry:
    """Create a network of the run with one subnet, which nothing leads to."""
    journal, name = run.journal, run.name("network")
    entry = journal.creating("network", name)
    with journal.refusable(entry):
        network = journal.created(entry, cloud.network.create_network(name=name).id)
    cloud.network.create_subnet(
        network_id=network.id, name=name, ip_version=4, cidr=cidr, gateway_ip=None
    )
    return network


def delete(cloud: Cloud, run: Run, network: Entry) -> None:
    """Delete a network of the run."""
    cloud.network.delete_network(network.id)
    run.journal.closed(network)


def _routed(cloud: Cloud) -> set[str]:
    """Return the networks that a router of the project has an interface in.

    Trove needs one: through it, it gives an instance its floating address.
    """
    return {
        port.network_id
        for port in cloud.network.ports(project_id=cloud.project_id)
        if (port.device_owner or "").startswith("network:router_interface")
    }


def _names(cloud: Cloud) -> str:
    names = {network.name for network in cloud.network.networks() if not network.is_router_external}
    return ", ".join(sorted(names)) or "none at all"
