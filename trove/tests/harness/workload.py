"""Data with a memory: rows that tell whether they are whole, and which must be there.

A row counts as acknowledged when the database has said so; from then on nothing may
lose it. A row that was under way when a connection broke may be there or not.
"""

import hashlib
import itertools
import logging
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from trove.tests.common.errors import ScenarioError
from trove.tests.harness.instances import Instance
from trove.tests.harness.sql import CannotConnectError, Connection
from trove.tests.harness.waiting import wait_for

log = logging.getLogger(__name__)

PAUSE = 0.02  # seconds between two rows of a writer; more of them tell no more
RETRY = 0.2  # seconds after a broken connection


class LostDataError(ScenarioError):
    """Rows are missing, damaged, or there though they must not be."""


def takes_writes(instance: Instance) -> bool:
    """Tell whether a table can be made and dropped; else whoever writes waits for a lock."""
    # A free database has done both in the fifth part of what a connection may take.
    patience = instance.timeouts.connect / 5
    try:
        with instance.connected(database=instance.database, patience=patience) as connection:
            connection.run("CREATE TABLE IF NOT EXISTS probe (number INTEGER)")
            connection.run("DROP TABLE probe")
    except CannotConnectError:
        return False
    return True


class Workload:
    """A table of rows with checksums, and what is known of them.

    A table of the same name goes. As a context manager it drops its own in the end.

    Args:
        instance: where it is written.
        table: its name in the instance's own database.
    """

    def __init__(self, instance: Instance, table: str = "workload") -> None:
        self.instance = instance
        self.table = table
        self._acknowledged: set[int] = set()
        self._attempted: set[int] = set()
        self._numbers = itertools.count(1)
        self._lock = threading.Lock()
        with instance.connected(database=instance.database) as connection:
            # One is left where a test has failed and could not drop its own.
            connection.run(f"DROP TABLE IF EXISTS {table}")
            connection.run(
                f"CREATE TABLE {table}"
                " (number INTEGER PRIMARY KEY, body VARCHAR(64), checksum CHAR(64))"
            )

    def __enter__(self) -> "Workload":
        return self

    def __exit__(self, failure: type[BaseException] | None, *_rest: object) -> None:
        try:
            self.drop()
        except Exception:
            if failure is None:
                raise
            # A database that is down takes no statement either; why it is tells more.
            log.warning("table %s could not be dropped after a failure", self.table, exc_info=True)

    def drop(self, *, on: Instance | None = None) -> None:
        """Drop the table.

        Args:
            on: where, if not where the workload began.
        """
        instance = on or self.instance
        instance.sql(instance.login, f"DROP TABLE {self.table}", database=instance.database)

    def acknowledged(self) -> frozenset[int]:
        """Return the numbers of the rows that the database has acknowledged so far."""
        with self._lock:
            return frozenset(self._acknowledged)

    def write(self, rows: int = 20, *, on: Instance | None = None) -> frozenset[int]:
        """Write rows, and return all that are acknowledged then.

        Args:
            rows: how many.
            on: where, if not where the workload began: after a failover, say.
        """
        with (on or self.instance).connected(database=self.instance.database) as connection:
            for _ in range(rows):
                self._write_one(connection)
        return self.acknowledged()

    @contextmanager
    def writing(self, writers: int = 2) -> Iterator[None]:
        """Have several connections write, from before the block until it ends.

        One that breaks is made anew; what isn't acknowledged is not written again.
        """
        ended = threading.Event()
        threads = [
            threading.Thread(target=self._write_until, args=(ended,), daemon=True)
            for _ in range(writers)
        ]
        before = len(self.acknowledged())
        for thread in threads:
            thread.start()
        try:
            wait_for(
                lambda: len(self.acknowledged()) > before,
                f"rows of {self.table} are written",
                2 * self.instance.timeouts.login,  # to log in, and to write
                interval=PAUSE,
            )
            yield
        finally:
            ended.set()
            for thread in threads:
                thread.join()

    def verify(self, on: Instance | None = None, *, exactly: frozenset[int] | None = None) -> None:
        """Make sure that no row is missing or damaged, and none is there unwritten.

        Args:
            on: where to look, if not where the workload is written.
            exactly: the rows that must be there, and no others; by default all that
                were acknowledged, and perhaps some that were under way.

        Raises:
            LostDataError: it is not so; the text says how many rows, and which.
        """
        instance = on or self.instance
        present = self.numbers(instance)
        must = self.acknowledged() if exactly is None else exactly
        may = self._attempted if exactly is None else exactly
        for what, numbers in (("lost", must - present), ("never written", present - may)):
            if numbers:
                raise LostDataError(
                    f"{self.table} on {instance.name}: {len(numbers)} rows are {what}: "
                    f"{_some(numbers)}; there must be {len(must)}, to {max(must, default=0)}."
                )

    def is_on(self, instance: Instance) -> bool:
        """Tell whether an instance has the table at all: a replica may lag behind its creation.

        Asked for rows it doesn't have, the database would tell of an error in its log.
        """
        known = "SELECT COUNT(*) FROM information_schema.tables WHERE table_name = %s"
        login, database = self.instance.login, self.instance.database
        return bool(instance.sql(login, known, self.table, database=database))

    def numbers(self, on: Instance | None = None) -> frozenset[int]:
        """Return the numbers of the rows that are there, all of them whole.

        Raises:
            LostDataError: a row is damaged.
        """
        instance = on or self.instance
        with instance.connected(self.instance.login, self.instance.database) as connection:
            rows = connection.rows(f"SELECT number, body, checksum FROM {self.table}")
        damaged = [number for number, body, checksum in rows if _checksum(number, body) != checksum]
        if damaged:
            raise LostDataError(
                f"Rows of {self.table} on {instance.name} are damaged: {_some(damaged)}."
            )
        return frozenset(number for number, _, _ in rows)

    def _write_until(self, ended: threading.Event) -> None:
        while not ended.is_set():
            try:
                with self.instance.connected(database=self.instance.database) as connection:
                    while not ended.wait(PAUSE):
                        self._write_one(connection)
            except Exception:
                # Whatever is done to the instance meanwhile may break connections, and
                # each driver has errors of its own for that. Nothing was acknowledged.
                log.debug("a writer of %s begins anew", self.table, exc_info=True)
                time.sleep(RETRY)

    def _write_one(self, connection: Connection) -> None:
        with self._lock:
            number = next(self._numbers)
            self._attempted.add(number)
        body = f"row {number}"
        connection.run(
            f"INSERT INTO {self.table} VALUES (%s, %s, %s)", number, body, _checksum(number, body)
        )
        with self._lock:
            self._acknowledged.add(number)


def _checksum(number: int, body: str) -> str:
    return hashlib.sha256(f"{number} {body}".encode()).hexdigest()


def _some(numbers: "frozenset[int] | list[int]") -> str:
    shown = sorted(numbers)
    return ", ".join(map(str, shown[:5])) + (", …" if len(shown) > 5 else "")
