"""How to talk to each kind of database, as any application would."""

import os
import shlex
import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import psycopg
import pymysql
from pymysql.constants import CLIENT, ER

from trove.tests.common.errors import ScenarioError
from trove.tests.harness.redaction import redact

GRACE = 5.0  # seconds beyond its limit that a server has to say that a statement took too long


class AccessRefusedError(Exception):
    """The database knows what was asked for, and refuses it to this user."""


class ReadOnlyError(AccessRefusedError):
    """The database takes no writes: it is a replica."""


class CannotConnectError(Exception):
    """Nothing that speaks the database's language answers."""


class NoTlsError(CannotConnectError):
    """The server speaks its language in clear alone."""


class UntrustedServerError(Exception):
    """The server's certificate is not one that the client trusts."""


@dataclass(frozen=True)
class Login:
    """A database user; the password is in no ``repr``."""

    user: str
    password: str = field(repr=False)


@dataclass(frozen=True)
class ClientTls:
    """What a client needs to know its server, and to be known, over TLS.

    Attributes:
        authority: file with the certificate of the authority that vouches for servers.
        certificate: file with the certificate that the client shows, if any.
        key: file with the key of that.
    """

    authority: Path
    certificate: Path | None = None
    key: Path | None = None


@dataclass(frozen=True)
class Server:
    """Where a database listens.

    Attributes:
        host: its address.
        port: its TCP port.
        timeout: seconds that it gets for an answer.
        encrypted: whether to talk over TLS; None for "if the server can".
        tls: talk over TLS alone, and only to the server that the certificate is for.
    """

    host: str
    port: int
    timeout: float
    encrypted: bool | None = None
    tls: ClientTls | None = None


class Connection(Protocol):
    """A connection, logged in."""

    def run(self, statement: str, *values: object) -> Any:
        """Run a statement; return the first column of its first row, if any."""

    def rows(self, statement: str, *values: object) -> list[tuple[Any, ...]]:
        """Run a statement; return all rows of its result."""

    def setting(self, name: str) -> int:
        """Return the value of a server-wide setting."""

    @property
    def encrypted(self) -> bool:
        """Whether the server sees this connection as one over TLS."""

    @property
    def can_end_tls(self) -> bool:
        """Whether Trove lets a server of this kind go without TLS again."""


class Dialect(Protocol):
    """What tests need to know of a kind of database.

    Attributes:
        reserved_database: a database of its own, that no user may have.
        reserved_user: a user of Trove's own, that nobody else may have.
        tunable: a setting that takes any sensible number without a restart, and goes
            back to its default without one.
        tunable_at_start: a setting that takes a number at the database's start only.
        query_log: the guest log that holds every statement.
        has_hosts: whether a user may be bound to the host that it comes from.
    """

    reserved_database: str
    reserved_user: str
    tunable: str
    tunable_at_start: str
    query_log: str
    has_hosts: bool

    def connect(self, server: Server, login: Login, database: str | None) -> Any:
        """Return a context manager for a ``Connection``.

        Raises:
            AccessRefusedError: the login, or the database, is refused.
            CannotConnectError: nothing answers in the server's time.
            UntrustedServerError: the server is not the one that its certificate is to prove.
        """

    def start_tls(self, connection: socket.socket) -> None:
        """Ask a server, as the first thing on a connection, to go on over TLS.

        Raises:
            NoTlsError: it can't.
            CannotConnectError: it says something else.
        """

    def client(self, server: Server, login: Login, database: str) -> str:
        """Return the shell command that opens the database's own client; it has the password."""


class _MySQLConnection:
    def __init__(self, raw: pymysql.Connection) -> None:
        self._raw = raw

    def run(self, statement: str, *values: object) -> Any:
        rows = self.rows(statement, *values)
        return rows[0][0] if rows else None

    def rows(self, statement: str, *values: object) -> list[tuple[Any, ...]]:
        with _mysql_errors(), self._raw.cursor() as cursor:
            cursor.execute(statement, values or None)
            return list(cursor.fetchall()) if cursor.description else []

    def setting(self, name: str) -> int:
        rows = self.rows("SHOW GLOBAL VARIABLES LIKE %s", name)
        if not rows:
            raise ScenarioError(f"MySQL has no setting {name!r}.")
        return int(rows[0][1])

    @property
    def encrypted(self) -> bool:
        return bool(self.rows("SHOW SESSION STATUS LIKE 'Ssl_cipher'")[0][1])

    @property
    def can_end_tls(self) -> bool:
        # Passwords of MySQL 8.0 and later are sent over TLS.
        return "MariaDB" in self.run("SELECT VERSION()")


# Unasked PyMySQL encrypts where it can; this lets it do nothing else.
_MYSQL_ENCRYPTED = {"verify_mode": False, "check_hostname": False}
_MYSQL_GREETING = b"\x0a"  # the version of the protocol
_MYSQL_PACKET_BYTES = 2**24 - 1
_MYSQL_UTF8 = 45


def _mysql_tls(server: Server) -> dict[str, Any] | None:
    """Return PyMySQL's settings for TLS."""
    if tls := server.tls:
        files = {"ca": tls.authority, "cert": tls.certificate, "key": tls.key}
        return {name: str(file) for name, file in files.items() if file}
    return _MYSQL_ENCRYPTED if server.encrypted else None


class MySQL:
    """MySQL and its relatives."""

    reserved_database = "mysql"
    reserved_user = "os_admin"
    tunable = "max_connections"
    tunable_at_start = "innodb_ft_min_token_size"
    query_log = "general"
    has_hosts = True

    @contextmanager
    def connect(
        self, server: Server, login: Login, database: str | None
    ) -> Iterator[_MySQLConnection]:
        """See ``Dialect``."""
        with _mysql_errors():
            raw = pymysql.connect(
                host=server.host,
                port=server.port,
                user=login.user,
                password=login.password,
                database=database,
                connect_timeout=max(1, int(server.timeout)),
                read_timeout=server.timeout,
                write_timeout=server.timeout,
                autocommit=True,
                ssl_disabled=server.encrypted is False,
                ssl=_mysql_tls(server),
            )
        try:
            yield _MySQLConnection(raw)
        finally:
            raw.close()

    def client(self, server: Server, login: Login, database: str) -> str:
        where = ["-h", server.host, "-P", str(server.port), "-u", login.user, database]
        return f"MYSQL_PWD={shlex.quote(login.password)} exec mysql {shlex.join(where)}"

    def start_tls(self, connection: socket.socket) -> None:
        """See ``Dialect``; the server begins, with a greeting that says what it can."""
        with connection.makefile("rb") as incoming:
            length = int.from_bytes(incoming.read(4)[:3], "little")
            greeting = incoming.read(length)
        if not greeting.startswith(_MYSQL_GREETING):
            raise CannotConnectError(f"The server says {greeting!r}.")
        # Behind the version come a number, half of a challenge and the first capabilities.
        (capabilities,) = struct.unpack_from("<H", greeting, greeting.index(b"\0", 1) + 14)
        if not capabilities & CLIENT.SSL:
            raise NoTlsError("The server has no TLS.")
        flags = CLIENT.SSL | CLIENT.PROTOCOL_41 | CLIENT.SECURE_CONNECTION
        request = struct.pack("<IIB23x", flags, _MYSQL_PACKET_BYTES, _MYSQL_UTF8)
        connection.sendall(len(request).to_bytes(3, "little") + b"\1" + request)


_MYSQL_REFUSALS = {
    ER.ACCESS_DENIED_ERROR,
    ER.DBACCESS_DENIED_ERROR,
    ER.TABLEACCESS_DENIED_ERROR,
    ER.COLUMNACCESS_DENIED_ERROR,
    ER.SPECIFIC_ACCESS_DENIED_ERROR,
    1698,  # access denied where a password would not have helped
    3159,  # secure transport is required
}
_MYSQL_READ_ONLY = {ER.OPTION_PREVENTS_STATEMENT, 1836}
# The client library's own: no connection, or one that was lost.
_MYSQL_NO_CONNECTION = range(2000, 3000)


@contextmanager
def _mysql_errors() -> Iterator[None]:
    """Turn PyMySQL's errors into those that tests tell apart."""
    try:
        yield
    except pymysql.err.MySQLError as error:
        code = error.args[0] if error.args else None
        _check_trust(str(error))
        # PyMySQL's tracebacks hold the password as an argument: cut them off.
        if code in _MYSQL_REFUSALS:
            raise AccessRefusedError(redact(str(error.args[1]))) from None
        if code in _MYSQL_READ_ONLY:
            raise ReadOnlyError(redact(str(error.args[1]))) from None
        if code in _MYSQL_NO_CONNECTION:
            raise CannotConnectError(redact(str(error.args[1]))) from None
        raise
    except OSError as error:
        raise CannotConnectError(str(error)) from None


def _check_trust(text: str) -> None:
    """Raise ``UntrustedServerError`` if that is what a client library says."""
    if "certificate verify failed" in text or "does not match host name" in text:
        raise UntrustedServerError(redact(text)) from None


class _PostgreSQLConnection:
    def __init__(self, raw: psycopg.Connection, timeout: float) -> None:
        self._raw = raw
        self._timeout = timeout

    def run(self, statement: str, *values: object) -> Any:
        rows = self.rows(statement, *values)
        return rows[0][0] if rows else None

    def rows(self, statement: str, *values: object) -> list[tuple[Any, ...]]:
        with _postgresql_errors(), _broken_off(self._raw, self._timeout + GRACE):
            cursor = self._raw.execute(statement, values or None)
            return cursor.fetchall() if cursor.description else []

    def setting(self, name: str) -> int:
        found = self.run("SELECT setting FROM pg_settings WHERE name = %s", name)
        if found is None:
            raise ScenarioError(f"PostgreSQL has no setting {name!r}.")
        return int(found)

    @property
    def encrypted(self) -> bool:
        return self.run("SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()")

    @property
    def can_end_tls(self) -> bool:
        return True


_POSTGRESQL_TLS = {None: "prefer", True: "require", False: "disable"}
_POSTGRESQL_TLS_REQUEST = struct.pack("!II", 8, 80877103)


def _postgresql_tls(server: Server) -> dict[str, Any]:
    """Return libpq's settings for TLS; it is not to look for files of its own."""
    if tls := server.tls:
        return {
            "sslmode": "verify-full",
            "sslrootcert": str(tls.authority),
            "sslcert": str(tls.certificate or ""),
            "sslkey": str(tls.key or ""),
        }
    return {"sslmode": _POSTGRESQL_TLS[server.encrypted]}


class PostgreSQL:
    """PostgreSQL."""

    reserved_database = "postgres"
    reserved_user = "os_admin"
    tunable = "max_wal_size"
    tunable_at_start = "max_connections"
    query_log = "general"
    has_hosts = False

    @contextmanager
    def connect(
        self, server: Server, login: Login, database: str | None
    ) -> Iterator[_PostgreSQLConnection]:
        """See ``Dialect``; without a database it is the one that every server has."""
        milliseconds = int(server.timeout * 1000)
        with _postgresql_errors():
            raw = psycopg.connect(
                host=server.host,
                port=server.port,
                user=login.user,
                password=login.password,
                dbname=database or self.reserved_database,
                connect_timeout=max(1, int(server.timeout)),
                tcp_user_timeout=milliseconds,
                options=f"-c statement_timeout={milliseconds}",
                autocommit=True,
                **_postgresql_tls(server),
            )
        try:
            yield _PostgreSQLConnection(raw, server.timeout)
        finally:
            raw.close()

    def client(self, server: Server, login: Login, database: str) -> str:
        where = ["-h", server.host, "-p", str(server.port), "-U", login.user, database]
        return f"PGPASSWORD={shlex.quote(login.password)} exec psql {shlex.join(where)}"

    def start_tls(self, connection: socket.socket) -> None:
        """See ``Dialect``; the server answers with one letter."""
        connection.sendall(_POSTGRESQL_TLS_REQUEST)
        if connection.recv(1) != b"S":
            raise NoTlsError("The server has no TLS.")


@contextmanager
def _broken_off(raw: psycopg.Connection, seconds: float) -> Iterator[None]:
    """Break off, after some time in this context, the connection to a server that is silent.

    The server keeps its limit of a statement only where it lives, and libpq knows none.
    """

    def break_off() -> None:
        with suppress(psycopg.Error, OSError), socket.socket(fileno=os.dup(raw.fileno())) as same:
            same.shutdown(socket.SHUT_RDWR)

    timer = threading.Timer(seconds, break_off)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


# Classes of SQLSTATE, or whole ones. A server that is starting, ending or overloaded
# speaks the language but takes no statement.
_POSTGRESQL_REFUSALS = ("28", "42501")
_POSTGRESQL_READ_ONLY = "25006"
_POSTGRESQL_NO_CONNECTION = ("08", "53300", "57")
# What refuses a login has no SQLSTATE on the client's side: only its words tell.
_POSTGRESQL_NOT_NOW = (
    "starting up",
    "not yet accepting connections",
    "shutting down",
    "recovery mode",
    "too many",
    "slots are",
)


@contextmanager
def _postgresql_errors() -> Iterator[None]:
    """Turn psycopg's errors into those that tests tell apart."""
    try:
        yield
    except psycopg.Error as error:
        text, state = redact(str(error)), error.sqlstate or ""
        _check_trust(text)
        if state.startswith(_POSTGRESQL_REFUSALS):
            raise AccessRefusedError(text) from None
        if state == _POSTGRESQL_READ_ONLY:
            raise ReadOnlyError(text) from None
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
