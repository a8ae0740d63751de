"""Trove itself."""

from pathlib import Path

from trove.tests.embedded import probes
from trove.tests.embedded.cloud import Cloud, Settings
from trove.tests.embedded.seeding import Seeding
from trove.tests.embedded.services import builders
from trove.tests.embedded.units import Migration, Seed, Service, Unit

_PROMPT = Path(__file__).parents[1] / "prompt_taskmanager.py"


def units(cloud: Cloud, settings: Settings) -> list[Unit]:
    """Return the units of trove."""
    manage = f"{settings.venv}/bin/trove-manage"
    # The second names a network by its id: it is written when there is one.
    files = ("trove/trove.conf", "trove/networks.conf")
    ready = ("trove-database", "rabbitmq", "management-network")
    # Swift is called where guests call it, for they are handed the same address.
    trust = {"REQUESTS_CA_BUNDLE": str(cloud.authority)}
    return [
        Migration(name="trove-database", after=("mariadb",), commands=((manage, "db_sync"),)),
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
            program=(f"{settings.venv}/bin/python", str(_PROMPT)),
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
        Seed(
            name="guest-login",
            after=("nova", "identity"),
            action=Seeding(cloud, settings).guest_login,
        ),
    ]
