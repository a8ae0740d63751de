"""Servers."""

from pathlib import Path

from trove.tests.embedded.cloud import Cloud, Settings
from trove.tests.embedded.hypervisor import KINDS
from trove.tests.embedded.init import HOST_NAME
from trove.tests.embedded.services import builders
from trove.tests.embedded.units import Migration, Unit


def _database(name: str) -> str:
    """Return a connection as the cells' table keeps it: nova.conf fills in the password."""
    return f"{{scheme}}://{{username}}:{{password}}@{{hostname}}/{name}"


_MAP_HOST = (
    f"INSERT INTO nova_api.host_mappings (cell_id, host) SELECT id, '{HOST_NAME}'"
    " FROM nova_api.cell_mappings WHERE name = 'cell1'"
)
_FOR_CONTAINERS = Path(__file__).parents[1] / "containers" / "nova_compute.py"


def _compute(settings: Settings) -> tuple[str, ...]:
    """Return the program that drives the hypervisor."""
    if KINDS[settings.hypervisor].containers:
        return f"{settings.venv}/bin/python", str(_FOR_CONTAINERS)
    return (f"{settings.venv}/bin/nova-compute",)


def units(cloud: Cloud, settings: Settings) -> list[Unit]:
    """Return the units of nova."""
    manage = f"{settings.venv}/bin/nova-manage"
    files = ("nova/nova.conf",)
    return [
        Migration(
            name="nova-database",
            after=("mariadb",),
            commands=(
                (manage, "api_db", "sync"),
                (manage, "cell_v2", "map_cell0", "--database_connection", _database("nova_cell0")),
                (manage, "db", "sync"),
                (
                    *(manage, "cell_v2", "create_cell", "--name=cell1"),
                    *("--database_connection", _database("nova")),
                    *("--transport-url", "{scheme}://{username}:{password}@{hostname}:{port}/"),
                ),
                # Every cloud has one host of the same name. nova-manage would look for it
                # each time, once it is there, and users would wait for that.
                builders.sql(_MAP_HOST),
            ),
        ),
        builders.heard_now("nova", "last_seen_up"),
        builders.wsgi(cloud, settings, "nova", ("nova-database", "rabbitmq")),
        builders.worker(
            cloud,
            settings,
            "nova-conductor",
            ("nova-database", "rabbitmq"),
            queue="conductor",
            configuration=files,
        ),
        builders.worker(
            cloud,
            settings,
            "nova-scheduler",
            ("nova-database", "rabbitmq", "placement", "identity"),
            queue="scheduler",
            configuration=files,
        ),
        builders.worker(
            cloud,
            settings,
            "nova-compute",
            ("nova-conductor", "placement", "identity", "libvirtd", "vswitchd", "disks"),
            queue=f"compute.{HOST_NAME}",
            configuration=files,
            program=_compute(settings),
            folders=("nova", "disks/instances"),
        ),
    ]
