"""The one table of what runs in the cloud, and in which order it starts."""

from collections.abc import Sequence
from pathlib import Path

from trove.tests.embedded import probes
from trove.tests.embedded.cloud import PORTS, REGION, Cloud, Settings
from trove.tests.embedded.configuration import MANAGEMENT_DEVICE
from trove.tests.embedded.seeding import Seeding
from trove.tests.embedded.units import Seed, Service, Task, Unit

_SCHEMAS = Path("/usr/share")
_RABBITMQ = "/usr/lib/rabbitmq/bin/rabbitmq-server"


def units(cloud: Cloud, settings: Settings) -> list[Unit]:
    """Return every service, task and seed of a cloud."""
    seeding = Seeding(cloud, settings)
    return [
        *_foundations(cloud),
        *_switching(cloud),
        *_keystone(cloud, settings, seeding),
        *_glance(cloud, settings),
        *_placement(cloud, settings),
        *_neutron(cloud, settings, seeding),
        *_nova(cloud, settings),
        *_cinder(cloud, settings),
        *_trove(cloud, settings),
    ]


def _wsgi(cloud: Cloud, settings: Settings, name: str, after: tuple[str, ...]) -> Service:
    """Return an API served by gunicorn.

    The services parse ``sys.argv``, so gunicorn gets its options by variable.
    """
    options = f"--config /etc/gunicorn/{name}.py --no-control-socket"
    return Service(
        name=name,
        after=after,
        command=(f"{settings.venv}/bin/gunicorn",),
        # neutron counts its workers by this variable under anything but uWSGI.
        environment={"GUNICORN_CMD_ARGS": options, "ASGI_WORKERS": "1"},
        ready=probes.answers_http(f"http://{cloud.net.api}:{PORTS[name]}/"),
    )


def _reads(configuration: Sequence[str]) -> list[str]:
    """Return the options that name a service's configuration files, below /etc."""
    return [word for file in configuration for word in ("--config-file", f"/etc/{file}")]


def _worker(
    cloud: Cloud,
    settings: Settings,
    name: str,
    after: tuple[str, ...],
    *,
    queue: str,
    configuration: Sequence[str],
) -> Service:
    """Return a service that is reached by the message queue alone."""
    return Service(
        name=name,
        after=after,
        command=(
            f"{settings.venv}/bin/{name}",
            *_reads(configuration),
        ),
        ready=probes.consumes(str(cloud.net.api), cloud.secrets["rabbitmq"], queue),
    )


def _foundations(cloud: Cloud) -> list[Unit]:
    data = f"{cloud.state}/mariadb"
    socket = "/run/mariadb.sock"
    return [
        Task(
            name="mariadb-files",
            commands=(
                (
                    *("mariadb-install-db", "--no-defaults", f"--datadir={data}", "--user=root"),
                    *("--auth-root-authentication-method=socket", "--auth-root-socket-user=root"),
                    *("--skip-test-db", "--skip-name-resolve"),
                ),
            ),
        ),
        Service(
            name="mariadb",
            after=("mariadb-files",),
            command=(
                *("/usr/sbin/mariadbd", "--no-defaults", f"--datadir={data}", "--user=root"),
                *(f"--socket={socket}", "--bind-address=127.0.0.1", "--skip-name-resolve"),
                *("--pid-file=/run/mariadb.pid", "--init-file=/etc/mariadb.sql"),
                *("--max-connections=500", "--performance-schema=off"),
                # This cloud never outlives a power cut, so nothing waits for the disk.
                *("--innodb-flush-log-at-trx-commit=0", "--innodb-flush-method=nosync"),
                *("--innodb-doublewrite=0", "--innodb-buffer-pool-size=192M"),
            ),
            ready=probes.accepts_local(cloud.folder / "run" / "mariadb.sock"),
        ),
        Service(
            name="rabbitmq",
            command=(_RABBITMQ,),
            environment={
                "RABBITMQ_CONFIG_FILE": "/etc/rabbitmq/rabbitmq.conf",
                "RABBITMQ_CONF_ENV_FILE": "/etc/rabbitmq/rabbitmq-env.conf",
                "RABBITMQ_ENABLED_PLUGINS_FILE": "/dev/null",
                "ERL_EPMD_ADDRESS": "127.0.0.1",
            },
            ready=probes.accepts_tcp(str(cloud.net.api), 5672),
        ),
        Service(
            name="libvirtd",
            command=("/usr/sbin/libvirtd", "--config", "/etc/libvirt/libvirtd.conf"),
            ready=probes.accepts_local(cloud.folder / "run" / "libvirt" / "libvirt-sock"),
        ),
    ]


def _switching(cloud: Cloud) -> list[Unit]:
    state, run = cloud.state, cloud.folder / "run"
    schemas = {
        "vswitch": _SCHEMAS / "openvswitch" / "vswitch.ovsschema",
        "ovn-nb": _SCHEMAS / "ovn" / "ovn-nb.ovsschema",
        "ovn-sb": _SCHEMAS / "ovn" / "ovn-sb.ovsschema",
    }
    files = Task(
        name="switching-files",
        commands=tuple(
            ("ovsdb-tool", "create", f"{state}/{name}.db", str(schema))
            for name, schema in schemas.items()
        ),
    )

    def database(name: str, file: str, socket: str) -> Service:
        return Service(
            name=name,
            after=("switching-files",),
            command=(
                *("ovsdb-server", f"{state}/{file}.db", f"--remote=punix:/run/{socket}"),
                *(f"--unixctl=/run/{name}.ctl", "-vconsole:warn"),
            ),
            ready=probes.accepts_local(run / socket),
        )

    return [
        files,
        database("ovsdb", "vswitch", "openvswitch/db.sock"),
        database("ovn-nb", "ovn-nb", "ovn/ovnnb_db.sock"),
        database("ovn-sb", "ovn-sb", "ovn/ovnsb_db.sock"),
        Task(
            name="switch-settings",
            after=("ovsdb",),
            commands=(
                ("ovs-vsctl", "--no-wait", "init"),
                (
                    *("ovs-vsctl", "--no-wait", "set", "Open_vSwitch", "."),
                    # Guests leave checksums to the network card; without this the
                    # user-space datapath drops their connections.
                    "other_config:userspace-tso-enable=true",
                    *("external_ids:system-id=embedded", "external_ids:hostname=embedded"),
                    "external_ids:ovn-remote=unix:/run/ovn/ovnsb_db.sock",
                    "external_ids:ovn-encap-type=geneve",
                    "external_ids:ovn-encap-ip=127.0.0.1",
                    "external_ids:ovn-bridge-datapath-type=netdev",
                    "external_ids:ovn-cms-options=enable-chassis-as-gw",
                    "external_ids:ovn-bridge-mappings=public:br-ex",
                ),
            ),
        ),
        Service(
            name="vswitchd",
            after=("switch-settings",),
            command=(
                *("ovs-vswitchd", "unix:/run/openvswitch/db.sock", "-vconsole:warn"),
                "--unixctl=/run/vswitchd.ctl",
            ),
            ready=probes.accepts_local(run / "vswitchd.ctl"),
        ),
        Task(
            name="external-bridge",
            after=("vswitchd",),
            commands=(
                (
                    *("ovs-vsctl", "add-br", "br-ex"),
                    *("--", "set", "bridge", "br-ex", "datapath_type=netdev"),
                ),
                *(
                    ("ip", "address", "add", f"{cloud.net.public[1]}/24", "dev", "br-ex"),
                    ("ip", "link", "set", "br-ex", "up"),
                ),
            ),
        ),
        Service(
            name="ovn-northd",
            after=("ovn-nb", "ovn-sb"),
            command=(
                *("ovn-northd", "--ovnnb-db=unix:/run/ovn/ovnnb_db.sock"),
                *("--ovnsb-db=unix:/run/ovn/ovnsb_db.sock", "-vconsole:warn"),
                "--unixctl=/run/ovn-northd.ctl",
            ),
            ready=probes.accepts_local(run / "ovn-northd.ctl"),
        ),
        Service(
            name="ovn-controller",
            after=("external-bridge", "ovn-sb"),
            command=("ovn-controller", "unix:/run/openvswitch/db.sock", "-vconsole:warn"),
            ready=probes.answers_ovn(run / "ovn"),
        ),
    ]


def _keystone(cloud: Cloud, settings: Settings, seeding: Seeding) -> list[Unit]:
    manage = f"{settings.venv}/bin/keystone-manage"
    owner = ("--keystone-user", "root", "--keystone-group", "root")
    return [
        Task(
            name="keystone-database",
            after=("mariadb",),
            folders=("keystone/fernet", "keystone/credential"),
            commands=(
                (manage, "db_sync"),
                (manage, "fernet_setup", *owner),
                (manage, "credential_setup", *owner),
                (
                    *(manage, "bootstrap", "--bootstrap-region-id", REGION),
                    *("--bootstrap-public-url", cloud.url("keystone")),
                    *("--bootstrap-internal-url", cloud.url("keystone")),
                    *("--bootstrap-admin-url", cloud.url("keystone")),
                ),
            ),
            # By variable, since a command line can be read by everyone.
            environment={"OS_BOOTSTRAP_PASSWORD": cloud.secrets["admin"]},
        ),
        _wsgi(cloud, settings, "keystone", ("keystone-database",)),
        Seed(name="identity", after=("keystone",), action=seeding.identity),
    ]


def _glance(cloud: Cloud, settings: Settings) -> list[Unit]:
    manage = f"{settings.venv}/bin/glance-manage"
    return [
        Task(
            name="glance-database",
            after=("mariadb",),
            folders=("glance/images", "glance/tasks", "glance/staging"),
            commands=((manage, "db_sync"),),
        ),
        _wsgi(cloud, settings, "glance", ("glance-database", "identity")),
    ]


def _placement(cloud: Cloud, settings: Settings) -> list[Unit]:
    manage = f"{settings.venv}/bin/placement-manage"
    return [
        Task(name="placement-database", after=("mariadb",), commands=((manage, "db", "sync"),)),
        _wsgi(cloud, settings, "placement", ("placement-database", "identity")),
    ]


def _firewall() -> list[tuple[str, ...]]:
    """Return the rules that leave guests one way in: their agents', to the message queue."""
    new = ("-m", "conntrack", "--ctstate", "NEW")
    rules = (
        # What a guest sends goes through the switch; the kernel is not to take it directly.
        ("INPUT", "-i", "tap+", "-j", "DROP"),
        ("FORWARD", "-i", "tap+", "-j", "DROP"),
        ("INPUT", "-i", MANAGEMENT_DEVICE, "-p", "tcp", "--dport", "5672", "-j", "ACCEPT"),
        ("INPUT", "-i", MANAGEMENT_DEVICE, *new, "-j", "REJECT"),
        ("INPUT", "-i", "br-ex", *new, "-j", "REJECT"),
        ("FORWARD", "-i", "br-ex", *new, "-j", "REJECT"),
        ("FORWARD", "-i", MANAGEMENT_DEVICE, "-j", "REJECT"),
    )
    return [("iptables", "--append", *rule) for rule in rules]


def _neutron(cloud: Cloud, settings: Settings, seeding: Seeding) -> list[Unit]:
    manage = f"{settings.venv}/bin/neutron-db-manage"
    files = ("neutron/neutron.conf", "neutron/plugins/ml2/ml2_conf.ini")
    return [
        Task(
            name="neutron-database",
            after=("mariadb",),
            commands=((manage, *_reads(files[:1]), "upgrade", "heads"),),
        ),
        _wsgi(
            cloud,
            settings,
            "neutron",
            ("neutron-database", "identity", "rabbitmq", "ovn-northd", "ovn-controller"),
        ),
        _worker(
            cloud,
            settings,
            "neutron-rpc-server",
            ("neutron",),
            queue="q-plugin",
            configuration=files,
        ),
        Service(
            name="neutron-ovn-maintenance-worker",
            after=("neutron",),
            command=(
                f"{settings.venv}/bin/neutron-ovn-maintenance-worker",
                *_reads(files),
            ),
            ready=probes.logs(
                cloud.log("neutron-ovn-maintenance-worker"),
                r"OVN maintenance task \S+ finished",
            ),
        ),
        Seed(name="networks", after=("neutron",), action=seeding.networks),
        Task(
            name="management-port",
            after=("networks",),
            commands=(("/bin/sh", "/etc/trove/management-port"), *_firewall()),
        ),
    ]


def _nova(cloud: Cloud, settings: Settings) -> list[Unit]:
    manage = f"{settings.venv}/bin/nova-manage"
    files = ("nova/nova.conf",)
    return [
        Task(
            name="nova-database",
            after=("mariadb",),
            folders=("nova/instances",),
            commands=(
                (manage, "api_db", "sync"),
                (manage, "cell_v2", "map_cell0"),
                (manage, "db", "sync"),
                (manage, "cell_v2", "create_cell", "--name=cell1"),
            ),
        ),
        _wsgi(cloud, settings, "nova", ("nova-database", "identity", "rabbitmq")),
        _worker(
            cloud,
            settings,
            "nova-conductor",
            ("nova-database", "rabbitmq"),
            queue="conductor",
            configuration=files,
        ),
        _worker(
            cloud,
            settings,
            "nova-scheduler",
            ("nova-database", "rabbitmq", "placement"),
            queue="scheduler",
            configuration=files,
        ),
        _worker(
            cloud,
            settings,
            "nova-compute",
            ("nova-conductor", "placement", "libvirtd", "vswitchd"),
            queue="compute.embedded",
            configuration=files,
        ),
        Task(
            name="compute-host",
            after=("nova-compute",),
            commands=((manage, "cell_v2", "discover_hosts"),),
        ),
    ]


def _cinder(cloud: Cloud, settings: Settings) -> list[Unit]:
    """Return Cinder's API alone, without a volume service behind it.

    Trove asks it for an instance's volumes even where it is set up to use none.
    """
    manage = f"{settings.venv}/bin/cinder-manage"
    return [
        Task(name="cinder-database", after=("mariadb",), commands=((manage, "db", "sync"),)),
        _wsgi(cloud, settings, "cinder", ("cinder-database", "identity")),
    ]


def _trove(cloud: Cloud, settings: Settings) -> list[Unit]:
    manage = f"{settings.venv}/bin/trove-manage"
    files = ("trove/trove.conf",)
    ready = ("trove-database", "rabbitmq")
    return [
        # Trove reads its own configuration for this too, so it waits for the networks.
        Task(name="trove-database", after=("mariadb", "networks"), commands=((manage, "db_sync"),)),
        Service(
            name="trove",
            after=ready,
            command=(f"{settings.venv}/bin/trove-api", *_reads(files)),
            ready=probes.answers_http(f"http://{cloud.net.api}:{PORTS['trove']}/"),
        ),
        _worker(
            cloud,
            settings,
            "trove-taskmanager",
            ready,
            queue="taskmanager",
            configuration=files,
        ),
        _worker(
            cloud,
            settings,
            "trove-conductor",
            ready,
            queue="trove-conductor",
            configuration=files,
        ),
    ]
