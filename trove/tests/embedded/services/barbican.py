"""Secrets: keys and certificates."""

from trove.tests.embedded.cloud import Cloud, Settings
from trove.tests.embedded.services import builders
from trove.tests.embedded.units import Migration, Unit


def units(cloud: Cloud, settings: Settings) -> list[Unit]:
    """Return the units of barbican."""
    manage = f"{settings.venv}/bin/barbican-manage"
    return [
        Migration(
            name="barbican-database",
            after=("mariadb",),
            commands=((manage, "db", "upgrade"),),
        ),
        builders.wsgi(cloud, settings, "barbican", ("barbican-database",)),
    ]
