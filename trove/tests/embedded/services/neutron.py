"""Networks, and the controller's own leg in them."""

from trove.tests.embedded import probes
from trove.tests.embedded.addresses import DNS_PORT
from trove.tests.embedded.cloud import Cloud, Settings
from trove.tests.embedded.components import COMPONENTS
from trove.tests.embedded.configuration import MANAGEMENT_DEVICE
from trove.tests.embedded.seeding import Seeding
from trove.tests.embedded.services import builders
from trove.tests.embedded.units import Migration, Seed, Service, Task, Unit

# What guest agents talk to: names, the message queue, and where backups and logs go.
_FOR_GUESTS = (DNS_PORT, 5672, COMPONENTS["keystone"].port, COMPONENTS["swift"].port)


def _firewall() -> list[tuple[str, ...]]:
    """Return the rules that leave guests one way in: their agents', to what those need."""
    agents = ("-p", "tcp", "-m", "multiport", "--dports", ",".join(map(str, _FOR_GUESTS)))
    new = ("-m", "conntrack", "--ctstate", "NEW")
    rules = (
        # What a guest sends goes through the switch; the kernel is not to take it directly.
        ("INPUT", "-i", "tap+", "-j", "DROP"),
        ("FORWARD", "-i", "tap+", "-j", "DROP"),
        ("INPUT", "-i", MANAGEMENT_DEVICE, *agents, "-j", "ACCEPT"),
        ("INPUT", "-i", MANAGEMENT_DEVICE, "-p", "udp", "--dport", f"{DNS_PORT}", "-j", "ACCEPT"),
        ("INPUT", "-i", MANAGEMENT_DEVICE, *new, "-j", "REJECT"),
        ("INPUT", "-i", "br-ex", *new, "-j", "REJECT"),
        ("FORWARD", "-i", "br-ex", *new, "-j", "REJECT"),
        ("FORWARD", "-i", MANAGEMENT_DEVICE, "-j", "REJECT"),
    )
    return [("iptables", "--append", *rule) for rule in rules]


def units(cloud: Cloud, settings: Settings) -> list[Unit]:
    """Return the units of neutron."""
    manage = f"{settings.venv}/bin/neutron-db-manage"
    files = ("neutron/neutron.conf", "neutron/plugins/ml2/ml2_conf.ini")
    return [
        Migration(
            name="neutron-database",
            after=("mariadb",),
            commands=((manage, *builders.reads(files[:1]), "upgrade", "heads"),),
        ),
        builders.wsgi(
            cloud,
            settings,
            "neutron",
            ("neutron-database", "ovn-northd", "ovn-controller"),
            urgent=True,
        ),
        Service(
            name="neutron-ovn-maintenance-worker",
            after=("management-network",),
            command=(
                f"{settings.venv}/bin/neutron-ovn-maintenance-worker",
                *builders.reads(files),
            ),
            # Its rounds begin some time later, and nobody waits for them.
            ready=probes.logs(
                cloud.log("neutron-ovn-maintenance-worker"), r"ovnsb_db\.sock: connected"
            ),
        ),
        # First what most others wait for: Trove's services are told the network by its id.
        Seed(
            name="management-network",
            after=("neutron", "identity"),
            action=Seeding(cloud, settings).management_network,
        ),
        Seed(
            name="tenant-network",
            after=("management-network",),
            action=Seeding(cloud, settings).tenant_network,
        ),
        Task(
            name="management-port",
            after=("management-network",),
            commands=(("/bin/sh", "/etc/trove/management-port"), *_firewall()),
            lasting=False,
        ),
    ]
