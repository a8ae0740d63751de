"""How to talk to each kind of database, as any application would."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Protocol

import psycopg
import pymysql
from pymysql.constants import ER

from trove.tests.common.errors import ScenarioError
from trove.tests.harness.redaction import redact


class AccessRefusedError(Exception):
    """The database knows what was asked for, and refuses it to this user."""


class CannotConnectError(Exception):
    """Nothing that speaks the database's language answers."""


class Connection(Protocol):
    """A connection, logged in."""

    def run(self, statement: str, *values: object) -> Any:
        """Run a statement; return the first column of its first row, if any."""

    def setting(self, name: str) -> int:
        """Return the value of a server-wide setting."""


class Dialect(Protocol):
    """What tests need to know of a kind of database.

    Attributes:
        reserved_database: a database of its own, that no user may have.
        tunable: a setting that takes any sensible number without a restart.
    """

    reserved_database: str
    tunable: str

    def connect(
        self, host: str, port: int, user: str, password: str, database: str | None, timeout: float
    ) -> Any:
        """Return a context manager for a ``Connection``.

        Raises:
            AccessRefusedError: the login, or the database, is refused.
            CannotConnectError: nothing answers within ``timeout`` seconds.
        """


class _MySQLConnection:
    def __init__(self, raw: pymysql.Connection) -> None:
        self._raw = raw

    def run(self, statement: str, *values: object) -> Any:
        row = self._first_row(statement, values)
        return row[0] if row else None

    def setting(self, name: str) -> int:
        row = self._first_row("SHOW GLOBAL VARIABLES LIKE %s", (name,))
        if not row:
            raise ScenarioError(f"MySQL has no setting {name!r}.")
        return int(row[1])

    def _first_row(self, statement: str, values: tuple[object, ...]) -> Any:
        with _mysql_errors(), self._raw.cursor() as cursor:
            cursor.execute(statement, values or None)
            return cursor.fetchone() if cursor.description else None


class MySQL:
    """MySQL and its relatives."""

    reserved_database = "mysql"
    tunable = "max_connections"

    @contextmanager
    def connect(
        self, host: str, port: int, user: str, password: str, database: str | None, timeout: float
    ) -> Iterator[_MySQLConnection]:
        """See ``Dialect``."""
        with _mysql_errors():
            raw = pymysql.connect(
                host=host,
                port=port,
                user=user,
                password=password,
                database=database,
                connect_timeout=max(1, int(timeout)),
                read_timeout=timeout,
                write_timeout=timeout,
                autocommit=True,
            )
        try:
            yield _MySQLConnection(raw)
        finally:
            raw.close()


_MYSQL_REFUSALS = {
    ER.ACCESS_DENIED_ERROR,
    ER.DBACCESS_DENIED_ERROR,
    ER.TABLEACCESS_DENIED_ERROR,
    ER.COLUMNACCESS_DENIED_ERROR,
    ER.SPECIFIC_ACCESS_DENIED_ERROR,
    1698,  # access denied where a password would not have helped
}
# The client library's own: no connection, or one that was lost.
_MYSQL_NO_CONNECTION = range(2000, 3000)


@contextmanager
def _mysql_errors() -> Iterator[None]:
    """Turn PyMySQL's errors into those that tests tell apart."""
    try:
        yield
    except pymysql.err.MySQLError as error:
        code = error.args[0] if error.args else None
        # PyMySQL's tracebacks hold the password as an argument: cut them off.
        if code in _MYSQL_REFUSALS:
            raise AccessRefusedError(redact(str(error.args[1]))) from None
        if code in _MYSQL_NO_CONNECTION:
            raise CannotConnectError(redact(str(error.args[1]))) from None
        raise
    except OSError as error:
        raise CannotConnectError(str(error)) from None


class _PostgreSQLConnection:
    def __init__(self, raw: psycopg.Connection) -> None:
        self._raw = raw

    def run(self, statement: str, *values: object) -> Any:
        with _postgresql_errors():
            cursor = self._raw.execute(statement, values or None)
            row = cursor.fetchone() if cursor.description else None
        return row[0] if row else None

    def setting(self, name: str) -> int:
        found = self.run("SELECT setting FROM pg_settings WHERE name = %s", name)
        if found is None:
            raise ScenarioError(f"PostgreSQL has no setting {name!r}.")
        return int(found)


class PostgreSQL:
    """PostgreSQL."""

    reserved_database = "postgres"
    tunable = "vacuum_cost_limit"

    @contextmanager
    def connect(
        self, host: str, port: int, user: str, password: str, database: str | None, timeout: float
    ) -> Iterator[_PostgreSQLConnection]:
        """See ``Dialect``; without a database it is the one that every server has."""
        milliseconds = int(timeout * 1000)
        with _postgresql_errors():
            raw = psycopg.connect(
                host=host,
                port=port,
                user=user,
                password=password,
                dbname=database or self.reserved_database,
                connect_timeout=max(1, int(timeout)),
                tcp_user_timeout=milliseconds,
                options=f"-c statement_timeout={milliseconds}",
                autocommit=True,
            )
        try:
            yield _PostgreSQLConnection(raw)
        finally:
            raw.close()


# Classes of SQLSTATE, or whole ones. A server that is starting, ending or overloaded
# speaks the language but takes no statement.
_POSTGRESQL_REFUSALS = ("28", "42501")
_POSTGRESQL_NO_CONNECTION = ("08", "53300", "57")
# What refuses a login has no SQLSTATE on the client's side: only its words tell.
_POSTGRESQL_NOT_NOW = ("starting up", "shutting down", "recovery mode", "too many", "slots are")


@contextmanager
def _postgresql_errors() -> Iterator[None]:
    """Turn psycopg's errors into those that tests tell apart."""
    try:
        yield
    except psycopg.Error as error:
        text, state = redact(str(error)), error.sqlstate or ""
        if state.startswith(_POSTGRESQL_REFUSALS):
            raise AccessRefusedError(text) from None
        if state.startswith(_POSTGRESQL_NO_CONNECTION):
            raise CannotConnectError(text) from None
        if not state and isinstance(error, psycopg.OperationalError):
            answered = "FATAL:" in text and not any(word in text for word in _POSTGRESQL_NOT_NOW)
            raise (AccessRefusedError if answered else CannotConnectError)(text) from None
        raise
    except OSError as error:
        raise CannotConnectError(str(error)) from None


_DIALECTS: dict[str, Dialect] = {"psycopg": PostgreSQL(), "pymysql": MySQL()}


def dialect(driver: str) -> Dialect:
    """Return the dialect that a client driver of the matrix speaks.

    Raises:
        ScenarioError: there is none; the text lists those there are.
    """
    if driver not in _DIALECTS:
        known = ", ".join(sorted(_DIALECTS))
        raise ScenarioError(f"There is no SQL dialect for driver {driver!r}; known are: {known}.")
    return _DIALECTS[driver]
