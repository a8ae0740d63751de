"""Images."""

from trove.tests.embedded.cloud import Cloud, Settings
from trove.tests.embedded.services import builders
from trove.tests.embedded.units import Task, Unit


def units(cloud: Cloud, settings: Settings) -> list[Unit]:
    """Return the units of glance."""
    manage = f"{settings.venv}/bin/glance-manage"
    return [
        Task(
            name="glance-database",
            after=("mariadb", "disks"),
            folders=("glance/tasks", "glance/staging"),
            commands=((manage, "db_sync"), ("mkdir", f"{cloud.disks}/images")),
        ),
        builders.wsgi(cloud, settings, "glance", ("glance-database", "identity")),
    ]
