"""Trove instances: how soon they are healthy, and what SQL carries."""

import time
import zlib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import pymysql
from pymysql.cursors import Cursor

from bench.figures import Figures
from trove.tests.common import matrix
from trove.tests.common.errors import ScenarioError
from trove.tests.embedded.api import EmbeddedCloud
from trove.tests.harness import clients, flavors, images, loading, networks, sql
from trove.tests.harness.instances import Instance, InstanceFactory, InstanceSpec
from trove.tests.harness.run import Run
from trove.tests.harness.timeouts import Timeouts

VOLUME_GB = 2
STATEMENT = 12 << 20  # bytes; servers take no larger ones than 16 MiB
STATEMENTS = 8


def measure(figures: Figures, cloud: EmbeddedCloud) -> None:
    """Create one instance, then two at once; move bytes to and from the first."""
    hypervisor = cloud.hypervisor
    with _factory(cloud) as (factory, admin):
        name = f"instance create to healthy ({hypervisor})"
        with _instances(factory, admin, 1) as [alone]:
            begun = time.monotonic()
            with figures.seconds(name):
                alone.wait_until_built()
            seconds = time.monotonic() - begun
            _sql(figures, alone)
        with _instances(factory, admin, 2) as both:
            begun = time.monotonic()
            with figures.seconds(f"two instances at once ({hypervisor})"):
                for instance in both:
                    instance.wait_until_built()
            ratio = (time.monotonic() - begun) / seconds
        figures.add(f"two instances at once, to one alone ({hypervisor})", ratio, "times")


@contextmanager
def _factory(names: EmbeddedCloud) -> Iterator[tuple[InstanceFactory, clients.Cloud]]:
    user, admin = clients.connect(names.user_cloud), clients.connect(names.admin_cloud)
    target, timeouts, run = matrix.load().select("mysql"), Timeouts(), Run.new()
    lock = run.own()
    try:
        run.journal.header(user=user.name, admin=admin.name, identity=user.identity)
        image = images.ensure_image(target)
        version = loading.load(admin, image, target, run.journal, timeouts)
        spec = InstanceSpec(
            datastore=target.datastore.name,
            version=version.name,
            flavor=flavors.ensure(admin, flavors.suited(names.hypervisor), run.journal),
            network=networks.choose(user, names.network),
            volume_gb=VOLUME_GB,
            public=False,
            port=target.datastore.port,
            dialect=sql.dialect(target.datastore.client_driver),
        )
        yield InstanceFactory(user, spec, timeouts, run), admin
    finally:
        lock.release()


@contextmanager
def _instances(
    factory: InstanceFactory, admin: clients.Cloud, number: int
) -> Iterator[list[Instance]]:
    """Ask for instances; delete them in the end."""
    with ExitStack() as made:
        requested = []
        for _ in range(number):
            requested.append(factory.request("bench"))
            made.callback(requested[-1].delete, admin)
        yield requested


def _sql(figures: Figures, instance: Instance) -> None:
    """Move values to and from the database in clear, and encrypted as clients do by default.

    Encryption tells of the guest's processor; what the network carries shows without.
    """
    login, size = instance.login, STATEMENT * STATEMENTS
    text = "0123456789abcdef" * (STATEMENT // 16)
    # In hex, which the server's parser is quick with: a string it reads character by character,
    # and so tells of its processor and not of the network.
    statement = f"SELECT CRC32(0x{text})"
    for kind, in_clear in (("", True), (", encrypted", False)):
        with (
            pymysql.connect(
                host=instance.address,
                port=instance.spec.port,
                user=login.user,
                password=login.password,
                ssl_disabled=in_clear,
            ) as connection,
            connection.cursor() as cursor,
        ):
            with figures.rate(f"SQL result to client{kind}", size):
                results = [
                    _value(cursor, "SELECT REPEAT('0123456789abcdef', %s)", STATEMENT // 16)
                    for _ in range(STATEMENTS)
                ]
            with figures.rate(f"SQL statement to server{kind}", size):
                sums = [_value(cursor, statement) for _ in range(STATEMENTS)]
        sent = zlib.crc32(bytes.fromhex(text))
        if any(result != text for result in results) or set(sums) != {sent}:
            raise ScenarioError("The database returned or received other bytes than were sent.")


def _value(cursor: Cursor, statement: str, *arguments: object) -> object:
    cursor.execute(statement, arguments or None)
    return cursor.fetchone()[0]
