"""Volumes, their snapshots and backups."""

from pathlib import Path

from trove.tests.embedded.cloud import VOLUME_BACKEND, Cloud, Settings
from trove.tests.embedded.init import HOST_NAME
from trove.tests.embedded.services import builders
from trove.tests.embedded.units import Migration, Unit

# Its modules are imported by the volume service, which knows nothing of this tree.
_DRIVER = Path(__file__).parents[1] / "volumes"


def units(cloud: Cloud, settings: Settings) -> list[Unit]:
    """Return the units of Cinder."""
    manage = f"{settings.venv}/bin/cinder-manage"
    files = ("cinder/cinder.conf",)
    ready = ("cinder-database", "rabbitmq")
    return [
        Migration(name="cinder-database", after=("mariadb",), commands=((manage, "db", "sync"),)),
        builders.heard_now("cinder", "updated_at"),
        builders.wsgi(cloud, settings, "cinder", ready),
        builders.worker(
            cloud,
            settings,
            "cinder-scheduler",
            ready,
            queue="cinder-scheduler",
            configuration=files,
        ),
        builders.worker(
            cloud,
            settings,
            "cinder-volume",
            # It tells the scheduler what it can do when it starts, and then once a minute.
            (*ready, "disks", "cinder-scheduler"),
            queue=f"cinder-volume.{HOST_NAME}@{VOLUME_BACKEND}",
            configuration=files,
            environment={"PYTHONPATH": str(_DRIVER)},
            folders=("cinder", "disks/volumes"),
        ),
        builders.worker(
            cloud,
            settings,
            "cinder-backup",
            (*ready, "cinder-volume"),
            queue=f"cinder-backup.{HOST_NAME}",
            configuration=files,
            # Else each of its threads keeps the memory that a piece of a backup took.
            environment={"MALLOC_ARENA_MAX": "1"},
        ),
    ]
