"""Open vSwitch and OVN with the user-space datapath."""

from pathlib import Path

from trove.tests.embedded import probes
from trove.tests.embedded.cloud import Cloud
from trove.tests.embedded.units import Service, Task, Unit

_SCHEMAS = Path("/usr/share")


# OVN gives each port and router one, the lowest first; a cloud has far fewer.
_ZONES = range(1, 256)


def _patience() -> list[str]:
    """Return the words that have the switch remember who calls a guest that is dead.

    Debian 12's Open vSwitch (3.1.0) aborts when it gets a packet of a connection that has
    expired and is not cleaned up yet. By itself it forgets an unanswered call after 30
    seconds; Linux repeats it, in the end after 64.
    """
    policy = ("--", "add-zone-tp", "netdev", "zone={}", "tcp_syn_sent=128")
    return [word.format(zone) for zone in _ZONES for word in policy]


def units(cloud: Cloud) -> list[Unit]:
    """Return the units of the switches and their databases."""
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
                (
                    *("ovs-vsctl", "--no-wait", "--id=@switch", "create", "Datapath"),
                    *("datapath_version=0", "--", "set", "Open_vSwitch", "."),
                    "datapaths:netdev=@switch",
                ),
                ("ovs-vsctl", "--no-wait", *_patience()),
            ),
        ),
        Service(
            name="vswitchd",
            after=("switch-settings",),
            command=("/bin/sh", "/etc/openvswitch/vswitchd"),
            ready=probes.accepts_local(run / "vswitchd.ctl"),
        ),
        Task(
            name="external-bridge",
            after=("vswitchd",),
            lasting=False,
            commands=(("/bin/sh", "/etc/openvswitch/external-bridge"),),
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
        Service(
            name="gateway-bypass",
            after=("ovn-nb",),
            command=("/bin/sh", "/etc/openvswitch/gateway-bypass"),
            ready=probes.logs(cloud.log("gateway-bypass"), "watching"),
        ),
    ]
