"""Identity."""

import base64
import os
from pathlib import Path

from trove.tests.embedded.cloud import REGION, Cloud, Settings
from trove.tests.embedded.seeding import Seeding
from trove.tests.embedded.services import builders
from trove.tests.embedded.units import Chore, Migration, Seed, Task, Unit


def _write_keys(state: Path) -> None:
    """Write the keys that tokens and credentials are encrypted with: the next one and the first.

    keystone-manage would do that too, a start of Python each.
    """
    for repository in ("fernet", "credential"):
        folder = state / "keystone" / repository
        folder.mkdir(parents=True, mode=0o700)
        for number in ("0", "1"):
            key = folder / number
            key.touch(mode=0o600)
            key.write_bytes(base64.urlsafe_b64encode(os.urandom(32)))


def units(cloud: Cloud, settings: Settings) -> list[Unit]:
    """Return the units of keystone."""
    manage = f"{settings.venv}/bin/keystone-manage"
    return [
        Migration(name="keystone-database", after=("mariadb",), commands=((manage, "db_sync"),)),
        Chore(name="keystone-keys", action=lambda: _write_keys(cloud.state)),
        Task(
            name="keystone-bootstrap",
            after=("keystone-database", "keystone-keys"),
            commands=(
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
        builders.wsgi(
            cloud, settings, "keystone", ("keystone-database", "keystone-keys"), urgent=True
        ),
        Seed(
            name="identity",
            after=("keystone", "keystone-bootstrap"),
            action=Seeding(cloud, settings).identity,
        ),
    ]
