"""Identity."""

from trove.tests.embedded.cloud import REGION, Cloud, Settings
from trove.tests.embedded.seeding import Seeding
from trove.tests.embedded.services import builders
from trove.tests.embedded.units import Seed, Task, Unit


def units(cloud: Cloud, settings: Settings) -> list[Unit]:
    """Return the units of keystone."""
    manage = f"{settings.venv}/bin/keystone-manage"
    owner = ("--keystone-user", "root", "--keystone-group", "root")
    return [
        Task(
            name="keystone-database",
            after=("mariadb",),
            folders=("keystone/fernet", "keystone/credential"),
            commands=(
                (manage, "db_sync"),
                (manage, "fernet_setup", *owner),
                (manage, "credential_setup", *owner),
                (
                    *(manage, "bootstrap", "--bootstrap-region-id", REGION),
                    *("--bootstrap-public-url", cloud.url("keystone")),
                    *("--bootstrap-internal-url", cloud.internal_url("keystone")),
                    *("--bootstrap-admin-url", cloud.url("keystone")),
                ),
            ),
            # By variable, since a command line can be read by everyone.
            environment={"OS_BOOTSTRAP_PASSWORD": cloud.secrets["admin"]},
        ),
        builders.wsgi(cloud, settings, "keystone", ("keystone-database",)),
        Seed(name="identity", after=("keystone",), action=Seeding(cloud, settings).identity),
    ]
