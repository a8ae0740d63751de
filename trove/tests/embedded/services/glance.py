"""Images."""

from trove.tests.embedded.cloud import Cloud, Settings
from trove.tests.embedded.services import builders
from trove.tests.embedded.units import Migration, Unit


def units(cloud: Cloud, settings: Settings) -> list[Unit]:
    """Return the units of glance."""
    manage = f"{settings.venv}/bin/glance-manage"
    return [
        Migration(name="glance-database", after=("mariadb",), commands=((manage, "db_sync"),)),
        builders.wsgi(
            cloud,
            settings,
            "glance",
            ("glance-database", "disks"),
            folders=("disks/images", "glance/tasks", "glance/staging"),
        ),
    ]
