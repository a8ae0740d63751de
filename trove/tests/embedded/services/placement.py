"""Resource inventories, for nova."""

from trove.tests.embedded.cloud import Cloud, Settings
from trove.tests.embedded.services import builders
from trove.tests.embedded.units import Migration, Unit


def units(cloud: Cloud, settings: Settings) -> list[Unit]:
    """Return the units of placement."""
    manage = f"{settings.venv}/bin/placement-manage"
    return [
        Migration(
            name="placement-database", after=("mariadb",), commands=((manage, "db", "sync"),)
        ),
        builders.wsgi(cloud, settings, "placement", ("placement-database",)),
    ]
