"""Volumes."""

from trove.tests.embedded.cloud import Cloud, Settings
from trove.tests.embedded.services import builders
from trove.tests.embedded.units import Task, Unit


def units(cloud: Cloud, settings: Settings) -> list[Unit]:
    """Return Cinder's API alone, without a volume service behind it.

    Trove asks it for an instance's volumes even where it is set up to use none.
    """
    manage = f"{settings.venv}/bin/cinder-manage"
    return [
        Task(name="cinder-database", after=("mariadb",), commands=((manage, "db", "sync"),)),
        builders.wsgi(cloud, settings, "cinder", ("cinder-database", "identity")),
    ]
