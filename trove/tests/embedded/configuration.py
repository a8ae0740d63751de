"""Write the services' configuration files from their templates."""

import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import jinja2

from trove.tests.common import content, matrix, release
from trove.tests.embedded.cloud import Cloud, Settings
from trove.tests.embedded.components import COMPONENTS
from trove.tests.embedded.units import Service

if TYPE_CHECKING:  # importing it takes a second and a half
    from openstack.network.v2.port import Port

_TEMPLATES = Path(__file__).with_name("templates")
# What these services look for beside their configuration alone.
_BESIDE_CONFIGURATION = ("nova/api-paste.ini", "barbican/barbican-api-paste.ini")
_FOUNDATIONS = (
    "haproxy/haproxy.cfg",
    "rabbitmq/rabbitmq.conf",
    "rabbitmq/rabbitmq-env.conf",
    "libvirt/qemu.conf",
    "libvirt/libvirtd.conf",
    "openvswitch/external-bridge",
    "openvswitch/gateway-bypass",
    "openvswitch/vswitchd",
)
# By libvirt's name of the driver that calls it.
_HOOKS = {"lxc": "containers/hook.py", "qemu": "machine_hook.py"}
DATABASES = "mariadb/init.sql"
MANAGEMENT_DEVICE = "trove-mgmt"


def key() -> str:
    """Return a hash of all in this tree that shapes a cloud; another place is another tree."""
    common = Path(content.__file__).parent  # emulated processors, guests' keys, certificates
    return content.key([str(release.TEMPLATES), matrix.MATRIX, common, Path(__file__).parent])


def source(template: str) -> Path:
    """Return the file of a template."""
    return _TEMPLATES / f"{template}.j2"


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
    file = source(template).relative_to(_TEMPLATES)
    text = _environment().get_template(str(file)).render(context)
    target.parent.mkdir(parents=True, exist_ok=True)
    target.touch(mode=0o600)
    target.write_text(text)


def write_all(cloud: Cloud, settings: Settings, services: list[Service]) -> None:
    """Write all that is known before the first service starts."""
    context = cloud.context(settings)
    chosen = {name: COMPONENTS[name] for name in settings.components}
    for name in (*_FOUNDATIONS, *(file for part in chosen.values() for file in part.files)):
        write(name, cloud.etc / name, context)
    for name, part in chosen.items():
        if part.wsgi:
            target = cloud.etc / "gunicorn" / f"{name}.py"
            facts = {"name": name, "module": part.wsgi, "port": part.port}
            write("gunicorn/gunicorn.py", target, facts)
    databases = [name for part in chosen.values() for name in part.databases]
    write(DATABASES, cloud.etc / "mariadb.sql", {**context, "databases": databases})
    supervisor = {**context, "services": services}
    write("supervisor/supervisord.conf", cloud.folder / "supervisord.conf", supervisor)
    if "trove" in chosen:
        _write_user_data(cloud)
    _add_hooks(cloud)
    for file in _BESIDE_CONFIGURATION:
        link = cloud.etc / file
        if link.parent.is_dir():
            link.symlink_to(f"{settings.venv}/etc/{file}")
    (cloud.etc / "hosts").write_text("127.0.0.1 localhost embedded\n")
    # No name is looked up outside: nothing of the cloud leaves this machine.
    (cloud.etc / "resolv.conf").write_text("")
    _add_accounts(cloud)
    os.chmod(cloud.etc, 0o755)  # noqa: PTH101 -- it becomes /etc


def _write_user_data(cloud: Cloud) -> None:
    """Write for each datastore what its guests get beside their settings, as operators do."""
    for datastore in matrix.load().datastores:
        target = cloud.etc / "trove" / "cloudinit" / f"{datastore}.cloudinit"
        write("trove/guest.cloudinit", target, {})


def _add_hooks(cloud: Cloud) -> None:
    """Have libvirt call the hooks at each step of a guest's life."""
    hooks = cloud.etc / "libvirt" / "hooks"
    hooks.mkdir()
    for driver, file in _HOOKS.items():
        shutil.copyfile(Path(__file__).parent / file, hooks / driver)
        (hooks / driver).chmod(0o700)


def _add_accounts(cloud: Cloud) -> None:
    """Give the cloud the account that libvirt insists on, and the host does not have."""
    for file, line in (
        ("passwd", "libvirt-qemu:x:64055:64055::/var/lib/libvirt:/usr/sbin/nologin"),
        ("group", "libvirt-qemu:x:64055:"),
    ):
        known = Path("/etc", file).read_text().splitlines()
        if not any(entry.startswith("libvirt-qemu:") for entry in known):
            (cloud.etc / file).write_text("\n".join([*known, line]) + "\n")


def write_trove_networks(
    cloud: Cloud, settings: Settings, management_network: str, security_group: str
) -> None:
    """Write the part of Trove's configuration that names networks' parts by their ids."""
    context = {
        **cloud.context(settings),
        "management_network": management_network,
        "management_security_group": security_group,
    }
    write("trove/networks.conf", cloud.etc / "trove" / "networks.conf", context)


def write_management_port(cloud: Cloud, settings: Settings, port: "Port") -> None:
    """Write the script that plugs the controller into the management network."""
    context = {**cloud.context(settings), "port": port, "device": MANAGEMENT_DEVICE}
    write("trove/management-port", cloud.etc / "trove" / "management-port", context)
