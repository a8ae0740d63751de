"""Servers."""

from pathlib import Path

from trove.tests.embedded.cloud import Cloud, Settings
from trove.tests.embedded.hypervisor import KINDS
from trove.tests.embedded.services import builders
from trove.tests.embedded.units import Migration, Task, Unit


def _database(name: str) -> str:
    """Return a connection as the cells' table keeps it: nova.conf fills in the password."""
    return f"{{scheme}}://{{username}}:{{password}}@{{hostname}}/{name}"


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
            ),
        ),
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
            queue="compute.embedded",
            configuration=files,
            program=_compute(settings),
            folders=("nova", "disks/instances"),
        ),
        Task(
            name="compute-host",
            after=("nova-compute",),
            commands=((manage, "cell_v2", "discover_hosts"),),
        ),
    ]
