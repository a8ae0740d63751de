"""How to talk to each kind of database, as any application would."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Protocol

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


_DIALECTS: dict[str, Dialect] = {"pymysql": MySQL()}


def dialect(driver: str) -> Dialect:
    """Return the dialect that a client driver of the matrix speaks.

    Raises:
        ScenarioError: there is none; the text lists those there are.
    """
    if driver not in _DIALECTS:
        known = ", ".join(sorted(_DIALECTS))
        raise ScenarioError(f"There is no SQL dialect for driver {driver!r}; known are: {known}.")
    return _DIALECTS[driver]
