"""Data with a memory: it knows what was acknowledged, and sees what was lost."""

import contextlib
import logging
import threading
from types import SimpleNamespace

import pytest

from trove.tests.harness.sql import CannotConnectError
from trove.tests.harness.timeouts import Timeouts
from trove.tests.harness.workload import LostDataError, Workload


class Database:
    """An instance whose table is a dictionary, and which breaks on demand."""

    name = "db"
    database = "scenario"
    login = SimpleNamespace(user="scenario")
    timeouts = Timeouts()

    def __init__(self):
        self.table = {}
        self.written = threading.Event()
        self.break_next = False

    @contextlib.contextmanager
    def connected(self, login=None, database=None):
        yield self

    def run(self, statement, *values):
        if statement == "DROP TABLE IF EXISTS workload":
            self.table.clear()
        if not statement.startswith("INSERT"):
            return
        if self.break_next:
            self.break_next = False
            raise CannotConnectError("gone away")
        number, body, checksum = values
        self.table[number] = (number, body, checksum)
        if len(self.table) > 5:
            self.written.set()

    def rows(self, _statement):
        return list(self.table.values())

    def sql(self, _login, statement, table, *, database):
        assert (statement.count("%s"), database) == (1, self.database)
        return int(table == "workload")


@pytest.fixture
def database():
    return Database()


@pytest.fixture
def workload(database):
    return Workload(database)


def test_a_table_is_looked_for_by_its_name(database, workload):
    assert workload.is_on(database)
    assert not Workload(database, "another").is_on(database)


def test_what_was_written_is_there(workload):
    assert workload.write(3) == {1, 2, 3}
    workload.verify()


def test_a_lost_row_is_seen(workload, database):
    workload.write(3)
    del database.table[2]
    with pytest.raises(LostDataError, match="1 rows are lost: 2; there must be 3, to 3"):
        workload.verify()


def test_a_damaged_row_is_seen(workload, database):
    workload.write(3)
    database.table[2] = (2, "row 3", database.table[2][2])
    with pytest.raises(LostDataError, match="damaged: 2"):
        workload.verify()


def test_a_row_of_nobodys_is_seen(workload, database):
    workload.write(2)
    database.table[9] = (9, "row 9", _checksum_of(9))
    with pytest.raises(LostDataError, match="never written: 9"):
        workload.verify()


def test_a_moment_has_its_rows_and_no_others(workload):
    moment = workload.write(2)
    workload.verify(exactly=moment)
    workload.write(1)
    with pytest.raises(LostDataError, match="never written: 3"):
        workload.verify(exactly=moment)


def test_a_row_under_way_when_the_connection_broke_may_be_there_or_not(workload, database):
    workload.write(1)
    database.break_next = True
    with pytest.raises(CannotConnectError):
        workload.write(1)
    workload.verify()
    database.table[2] = (2, "row 2", _checksum_of(2))
    workload.verify()


def test_writers_go_on_after_a_broken_connection(workload, database):
    with workload.writing(2):
        database.break_next = True
        assert database.written.wait(10)
    assert len(workload.acknowledged()) >= 5
    workload.verify()


def test_what_an_earlier_test_has_left_is_no_row_of_this_ones(database):
    Workload(database).write(3)
    Workload(database).verify(exactly=frozenset())


def test_a_table_that_can_not_be_dropped_hides_no_failure(workload, caplog):
    workload.drop = fail

    with (
        caplog.at_level(logging.WARNING),
        pytest.raises(RuntimeError, match="it never came back"),
        workload,
    ):
        raise RuntimeError("it never came back")

    assert "table workload could not be dropped" in caplog.text


def test_a_table_that_can_not_be_dropped_is_a_failure_of_its_own(workload):
    workload.drop = fail

    with pytest.raises(CannotConnectError), workload:
        pass


def fail():
    raise CannotConnectError("gone away")


def _checksum_of(number):
    other = Database()
    Workload(other).write(number)
    return other.table[number][2]
