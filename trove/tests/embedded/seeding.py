"""Fill a new cloud through its own APIs: users, endpoints, networks."""

from concurrent.futures import ThreadPoolExecutor
from functools import cached_property

import openstack
from openstack.connection import Connection

from trove.tests.common import guest_logins
from trove.tests.embedded import certificates, configuration
from trove.tests.embedded.cloud import REGION, Cloud, Settings
from trove.tests.embedded.components import COMPONENTS
from trove.tests.embedded.init import HOST_NAME

TENANT_NETWORK = "private"
MANAGEMENT_NETWORK = "trove-mgmt"


class Seeding:
    """The steps that turn running services into a cloud one can use."""

    def __init__(self, cloud: Cloud, settings: Settings) -> None:
        self._cloud = cloud
        self._settings = settings

    def _connect(self, user: str, project: str) -> Connection:
        return openstack.connect(
            load_yaml_config=False,
            load_envvars=False,
            auth_url=self._cloud.url("keystone"),
            username=user,
            password=self._cloud.secrets[user],
            project_name=project,
            user_domain_id="default",
            project_domain_id="default",
            region_name=REGION,
            cacert=str(self._cloud.authority),
        )

    @cached_property
    def _admin(self) -> Connection:
        """A connection whose catalogue is complete."""
        return self._connect("admin", "admin")

    def identity(self) -> None:
        """Create service users, the demo user, and the service catalogue."""
        identity = self._connect("admin", "admin").identity
        roles = {role.name: role for role in identity.roles()}
        service = roles.get("service") or identity.create_role(name="service")
        project = identity.create_project(name="service", domain_id="default")
        demo = identity.create_project(name="demo", domain_id="default")

        def add_user(name: str, home: str, role_ids: list[str]) -> None:
            user = identity.create_user(
                name=name,
                password=self._cloud.secrets[name],
                default_project_id=home,
                domain_id="default",
            )
            for role in role_ids:
                identity.assign_project_role_to_user(home, user.id, role)

        def add_endpoint(name: str, kind: str, suffix: str) -> None:
            entry = identity.create_service(name=name, type=kind)
            public, internal = self._cloud.url(name), self._cloud.internal_url(name)
            for interface, url in (("public", public), ("internal", internal)):
                identity.create_endpoint(
                    service_id=entry.id, interface=interface, url=url + suffix, region_id=REGION
                )

        catalogue = {
            name: entry
            for name in self._settings.components
            if (entry := COMPONENTS[name].catalogue)
        }
        with ThreadPoolExecutor(max_workers=4) as pool:
            jobs = [
                pool.submit(add_user, name, project.id, [service.id, roles["admin"].id])
                for name in catalogue
            ]
            jobs.append(pool.submit(add_user, "demo", demo.id, [roles["member"].id]))
            jobs += [pool.submit(add_endpoint, name, *where) for name, where in catalogue.items()]
            for job in jobs:
                job.result()

    def tenant_network(self) -> None:
        """Create the external network, and the demo project's with its router."""
        net, network = self._cloud.net, self._admin.network
        external = network.create_network(
            name="public",
            is_router_external=True,
            provider_network_type="flat",
            provider_physical_network="public",
        )
        outer = network.create_subnet(
            name="public",
            network_id=external.id,
            ip_version=4,
            cidr=str(net.public),
            gateway_ip=str(net.public[1]),
            is_dhcp_enabled=False,
            allocation_pools=[{"start": str(net.public[10]), "end": str(net.public[250])}],
        )
        project = self._admin.identity.find_project("demo").id
        private = network.create_network(name=TENANT_NETWORK, project_id=project)
        inner = network.create_subnet(
            name=TENANT_NETWORK,
            network_id=private.id,
            project_id=project,
            ip_version=4,
            cidr=str(net.tenant),
            gateway_ip=str(net.tenant[1]),
        )
        router = network.create_router(
            name=TENANT_NETWORK,
            project_id=project,
            external_gateway_info={
                "network_id": external.id,
                "external_fixed_ips": [{"subnet_id": outer.id, "ip_address": str(net.router)}],
                # Addresses are not translated: who connects to a database sees its own.
                "enable_snat": False,
            },
        )
        network.add_interface_to_router(router, inner.id)

    def management_network(self) -> None:
        """Create the network of guest agents, with the controller's own port in it.

        Its subnet has no gateway, so a guest's default route leads to its tenant. To
        the cloud's APIs and its name server a guest is sent through the controller.
        """
        net, network = self._cloud.net, self._admin.network
        project = self._admin.identity.find_project("service").id
        management = network.create_network(name=MANAGEMENT_NETWORK, project_id=project)
        subnet = network.create_subnet(
            name=MANAGEMENT_NETWORK,
            network_id=management.id,
            project_id=project,
            ip_version=4,
            cidr=str(net.management),
            gateway_ip=None,
            dns_nameservers=[str(net.api)],
            host_routes=[{"destination": f"{net.api}/32", "nexthop": str(net.controller)}],
            allocation_pools=[{"start": str(net.management[10]), "end": str(net.management[250])}],
        )
        port = network.create_port(
            name="trove-controller",
            network_id=management.id,
            project_id=project,
            binding_host_id=HOST_NAME,
            device_owner="network:trove",
            is_port_security_enabled=False,
            fixed_ips=[{"subnet_id": subnet.id, "ip_address": str(net.controller)}],
        )
        # Guests see the controller and not each other. It may begin any connection, and not
        # only log in: what the switch forgets when it is started again, as Debian 12's is
        # after an assertion of its own (see vswitchd.j2), it lets through as a new one. Else
        # an agent would get no call until it happened to speak.
        group = network.create_security_group(name=MANAGEMENT_NETWORK, project_id=project)
        network.create_security_group_rule(
            security_group_id=group.id,
            project_id=project,
            direction="ingress",
            ether_type="IPv4",
            protocol="tcp",
            remote_ip_prefix=f"{net.controller}/32",
        )
        configuration.write_trove_networks(self._cloud, self._settings, management.id, group.id)
        configuration.write_management_port(self._cloud, self._settings, port)

    def guest_login(self) -> None:
        """Give Trove the key that its guests let in."""
        public = certificates.make_login(self._cloud.guest_key)
        trove = self._connect("trove", "service")
        trove.compute.create_keypair(name=guest_logins.KEYPAIR, public_key=public)
