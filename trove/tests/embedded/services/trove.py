"""Trove itself."""

from trove.tests.embedded import probes
from trove.tests.embedded.cloud import Cloud, Settings
from trove.tests.embedded.services import builders
from trove.tests.embedded.units import Service, Task, Unit


def units(cloud: Cloud, settings: Settings) -> list[Unit]:
    """Return the units of trove."""
    manage = f"{settings.venv}/bin/trove-manage"
    files = ("trove/trove.conf",)
    ready = ("trove-database", "rabbitmq")
    # Swift is called where guests call it, for they are handed the same address.
    trust = {"REQUESTS_CA_BUNDLE": str(cloud.authority)}
    return [
        # Trove reads its own configuration for this too, so it waits for the networks.
        Task(name="trove-database", after=("mariadb", "networks"), commands=((manage, "db_sync"),)),
        # Not by gunicorn: importing it turns the process into one of green threads.
        Service(
            name="trove",
            after=ready,
            command=(f"{settings.venv}/bin/trove-api", *builders.reads(files)),
            environment=trust,
            ready=probes.answers_http(cloud.url("trove"), cloud.authority),
        ),
        builders.worker(
            cloud,
            settings,
            "trove-taskmanager",
            ready,
            queue="taskmanager",
            configuration=files,
            environment=trust,
        ),
        builders.worker(
            cloud,
            settings,
            "trove-conductor",
            ready,
            queue="trove-conductor",
            configuration=files,
        ),
    ]
