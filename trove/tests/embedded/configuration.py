"""Write the services' configuration files from their templates."""

import os
from pathlib import Path

import jinja2
from openstack.network.v2.port import Port

from trove.tests.common import content, release
from trove.tests.embedded.cloud import PORTS, Cloud, Settings
from trove.tests.embedded.units import Service

_TEMPLATES = Path(__file__).with_name("templates")
_WSGI_MODULES = {
    "keystone": "keystone.wsgi.api",
    "glance": "glance.wsgi.api",
    "placement": "placement.wsgi.api",
    "nova": "nova.wsgi.osapi_compute",
    "neutron": "neutron.wsgi.api",
    "cinder": "cinder.wsgi.api",
}
_AT_START = (
    "keystone/keystone.conf",
    "glance/glance-api.conf",
    "placement/placement.conf",
    "nova/nova.conf",
    "neutron/neutron.conf",
    "neutron/plugins/ml2/ml2_conf.ini",
    "cinder/cinder.conf",
    "trove/trove-guestagent.conf",
    "rabbitmq/rabbitmq.conf",
    "rabbitmq/rabbitmq-env.conf",
    "libvirt/qemu.conf",
    "libvirt/libvirtd.conf",
)
MANAGEMENT_DEVICE = "trove-mgmt"
DATABASES = (
    "keystone",
    "glance",
    "placement",
    "nova_api",
    "nova",
    "nova_cell0",
    "neutron",
    "cinder",
    "trove",
)


def key() -> str:
    """Return a hash of all in this tree that shapes a cloud; another place is another tree."""
    return content.key([str(release.TEMPLATES), Path(__file__).parent])


def _environment() -> jinja2.Environment:
    return jinja2.Environment(
        loader=jinja2.FileSystemLoader(_TEMPLATES),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,  # noqa: S701 -- these are no web pages
    )


def write(template: str, target: Path, context: dict) -> None:
    """Render ``template`` to ``target``, readable by its owner alone."""
    text = _environment().get_template(f"{template}.j2").render(context)
    target.parent.mkdir(parents=True, exist_ok=True)
    target.touch(mode=0o600)
    target.write_text(text)


def write_all(cloud: Cloud, settings: Settings, services: list[Service]) -> None:
    """Write all that is known before the first service starts."""
    context = cloud.context(settings)
    for name in _AT_START:
        write(name, cloud.etc / name, context)
    for service, module in _WSGI_MODULES.items():
        target = cloud.etc / "gunicorn" / f"{service}.py"
        write("gunicorn/gunicorn.py", target, {"module": module, "port": PORTS[service]})
    write("mariadb/init.sql", cloud.etc / "mariadb.sql", {**context, "databases": DATABASES})
    supervisor = {**context, "services": services}
    write("supervisor/supervisord.conf", cloud.folder / "supervisord.conf", supervisor)
    # nova wants this file beside its configuration.
    (cloud.etc / "nova" / "api-paste.ini").symlink_to(f"{settings.venv}/etc/nova/api-paste.ini")
    (cloud.etc / "hosts").write_text("127.0.0.1 localhost embedded\n")
    # No name is looked up outside: nothing of the cloud leaves this machine.
    (cloud.etc / "resolv.conf").write_text("")
    _add_accounts(cloud)
    os.chmod(cloud.etc, 0o755)  # noqa: PTH101 -- it becomes /etc


def _add_accounts(cloud: Cloud) -> None:
    """Give the cloud the account that libvirt insists on, and the host does not have."""
    for file, line in (
        ("passwd", "libvirt-qemu:x:64055:64055::/var/lib/libvirt:/usr/sbin/nologin"),
        ("group", "libvirt-qemu:x:64055:"),
    ):
        known = Path("/etc", file).read_text().splitlines()
        if not any(entry.startswith("libvirt-qemu:") for entry in known):
            (cloud.etc / file).write_text("\n".join([*known, line]) + "\n")


def write_trove(cloud: Cloud, settings: Settings, management_network: str) -> None:
    """Write Trove's configuration, which names a network by its id."""
    context = {**cloud.context(settings), "management_network": management_network}
    write("trove/trove.conf", cloud.etc / "trove" / "trove.conf", context)


def write_management_port(cloud: Cloud, settings: Settings, port: Port, gateway: str) -> None:
    """Write the script that plugs the controller into the management network."""
    context = {
        **cloud.context(settings),
        "port": port,
        "gateway": gateway,
        "device": MANAGEMENT_DEVICE,
    }
    write("trove/management-port", cloud.etc / "trove" / "management-port", context)
