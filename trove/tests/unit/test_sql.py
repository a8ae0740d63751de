import socket
import threading
from pathlib import Path

import psycopg
import pymysql
import pytest
from pymysql.constants import CLIENT

from trove.tests.common.errors import ScenarioError
from trove.tests.harness import sql
from trove.tests.harness.redaction import remember


class Server:
    """What PyMySQL gives access to: answers by statement."""

    def __init__(self, **answers):
        self.answers = answers
        self.description = None
        self.closed = False

    def __enter__(self):
        return self

    def __exit__(self, *_):
        return None

    def cursor(self):
        return self

    def close(self):
        self.closed = True

    def execute(self, statement, values=None):
        answer = self.answers.get(statement.split()[0].lower())
        if isinstance(answer, Exception):
            raise answer
        self.description, self.row = answer, answer

    def fetchall(self):
        return [self.row]


@pytest.fixture
def mysql(monkeypatch):
    """Have PyMySQL's connect return, or raise, what a test says; return how to connect."""

    def connect(result):
        def pretend(**_):
            if isinstance(result, Exception):
                raise result
            return result

        monkeypatch.setattr(pymysql, "connect", pretend)
        return sql.dialect("pymysql").connect(
            sql.Server("db", 3306, 5), sql.Login("demo", "s3cret"), None
        )

    return connect


def test_the_first_value_is_returned(mysql):
    with mysql(Server(select=(42, 43))) as connection:
        assert connection.run("SELECT 42, 43") == 42


def test_a_statement_without_result_returns_nothing(mysql):
    with mysql(Server()) as connection:
        assert connection.run("CREATE TABLE t (c INT)") is None


def test_a_setting_is_a_number(mysql):
    with mysql(Server(show=("max_connections", "300"))) as connection:
        assert connection.setting("max_connections") == 300


def test_an_unknown_setting(mysql):
    with (
        mysql(Server()) as connection,
        pytest.raises(ScenarioError, match="MySQL has no setting 'x'"),
    ):
        connection.setting("x")


@pytest.mark.parametrize("code", [1044, 1045, 1142, 1227, 1698])
def test_a_refused_login_is_told_from_no_connection(mysql, code):
    with pytest.raises(sql.AccessRefusedError), mysql(pymysql.err.OperationalError(code, "denied")):
        pass


@pytest.mark.parametrize(
    "error",
    [
        pymysql.err.OperationalError(2003, "can't connect"),
        pymysql.err.OperationalError(2013, "lost connection"),
        TimeoutError("timed out"),
        ConnectionResetError("reset"),
    ],
    ids=repr,
)
def test_no_connection_is_told_from_a_refused_login(mysql, error):
    with pytest.raises(sql.CannotConnectError), mysql(error):
        pass


def test_a_refused_statement(mysql):
    refused = pymysql.err.OperationalError(1142, "SELECT command denied")
    with mysql(Server(select=refused)) as connection, pytest.raises(sql.AccessRefusedError):
        connection.run("SELECT 1")


def test_any_other_error_is_left_as_it_is(mysql):
    wrong = pymysql.err.ProgrammingError(1064, "syntax")
    with mysql(Server(select=wrong)) as connection, pytest.raises(pymysql.err.ProgrammingError):
        connection.run("SELECT")


def test_the_connection_is_closed(mysql):
    server = Server(select=(1,))
    with mysql(server):
        pass
    assert server.closed


def test_passwords_are_not_in_errors(mysql):
    remember("s3cret")
    with (
        pytest.raises(sql.AccessRefusedError, match=r"^denied to \[hidden\]$"),
        mysql(pymysql.err.OperationalError(1045, "denied to s3cret")),
    ):
        pass


class PostgreSQLServer(Server):
    """What psycopg gives access to: answers by statement."""

    def execute(self, statement, values=None):
        super().execute(statement, values)
        return self


def state(sqlstate, error=psycopg.Error):
    """Return the error that psycopg raises for an SQLSTATE."""
    return type("Told", (error,), {"sqlstate": sqlstate})("told")


@pytest.fixture
def postgresql(monkeypatch):
    """Have psycopg's connect return, or raise, what a test says; return how to connect."""

    def connect(result, database=None):
        def pretend(**how):
            if isinstance(result, Exception):
                raise result
            result.how = how
            return result

        monkeypatch.setattr(psycopg, "connect", pretend)
        return sql.dialect("psycopg").connect(
            sql.Server("db", 5432, 5), sql.Login("demo", "s3cret"), database
        )

    return connect


class TestPostgreSQL:
    def test_the_first_value_is_returned(self, postgresql):
        with postgresql(PostgreSQLServer(select=(42, 43))) as connection:
            assert connection.run("SELECT 42, 43") == 42

    def test_a_statement_without_result_returns_nothing(self, postgresql):
        with postgresql(PostgreSQLServer()) as connection:
            assert connection.run("CREATE TABLE t (c INT)") is None

    def test_a_setting_is_a_number(self, postgresql):
        with postgresql(PostgreSQLServer(select=("200",))) as connection:
            assert connection.setting("vacuum_cost_limit") == 200

    def test_an_unknown_setting(self, postgresql):
        with (
            postgresql(PostgreSQLServer()) as connection,
            pytest.raises(ScenarioError, match="PostgreSQL has no setting 'x'"),
        ):
            connection.setting("x")

    @pytest.mark.parametrize(("asked", "taken"), [(None, "postgres"), ("shop", "shop")])
    def test_a_login_is_always_to_a_database(self, postgresql, asked, taken):
        server = PostgreSQLServer()
        with postgresql(server, asked):
            assert server.how["dbname"] == taken

    @pytest.mark.parametrize(
        "said",
        [
            'connection failed: FATAL:  password authentication failed for user "demo"',
            'connection failed: FATAL:  no pg_hba.conf entry for host "10.0.0.1"',
            'connection failed: FATAL:  permission denied for database "shop"',
        ],
    )
    def test_a_refused_login_is_told_from_no_connection(self, postgresql, said):
        with (
            pytest.raises(sql.AccessRefusedError),
            postgresql(psycopg.OperationalError(said)),
        ):
            pass

    @pytest.mark.parametrize(
        "error",
        [
            psycopg.OperationalError("connection failed: Connection refused"),
            psycopg.OperationalError(
                "connection failed: FATAL:  the database system is starting up"
            ),
            psycopg.OperationalError(
                "connection failed: FATAL:  the database system is not yet accepting connections"
            ),
            psycopg.OperationalError("connection failed: FATAL:  sorry, too many clients already"),
            psycopg.OperationalError("server closed the connection unexpectedly"),
            psycopg.errors.ConnectionTimeout("connection timeout expired"),
            state("57P01", psycopg.OperationalError),
            ConnectionResetError("reset"),
        ],
        ids=repr,
    )
    def test_no_connection_is_told_from_a_refused_login(self, postgresql, error):
        with pytest.raises(sql.CannotConnectError), postgresql(error):
            pass

    def test_a_refused_statement(self, postgresql):
        server = PostgreSQLServer(select=state("42501"))
        with postgresql(server) as connection, pytest.raises(sql.AccessRefusedError):
            connection.run("SELECT 1")

    def test_a_server_that_falls_silent_is_not_waited_for_without_end(self, monkeypatch):
        monkeypatch.setattr(sql, "GRACE", 0)
        with socket.create_server(("127.0.0.1", 0)) as listening:

            def let_in() -> None:
                connection, _ = listening.accept()
                connection.recv(1024)
                connection.sendall(b"R\0\0\0\x08\0\0\0\0" + b"Z\0\0\0\x05I")
                silent.append(connection)

            silent: list[socket.socket] = []
            threading.Thread(target=let_in, daemon=True).start()
            server = sql.Server("127.0.0.1", listening.getsockname()[1], 1, encrypted=False)
            with (
                sql.dialect("psycopg").connect(server, sql.Login("demo", "x"), None) as connection,
                pytest.raises(sql.CannotConnectError),
            ):
                connection.run("SELECT 1")
            silent[0].close()

    def test_any_other_error_is_left_as_it_is(self, postgresql):
        server = PostgreSQLServer(select=state("42601", psycopg.ProgrammingError))
        with postgresql(server) as connection, pytest.raises(psycopg.ProgrammingError):
            connection.run("SELECT")

    def test_the_connection_is_closed(self, postgresql):
        server = PostgreSQLServer(select=(1,))
        with postgresql(server):
            pass
        assert server.closed

    def test_passwords_are_not_in_errors(self, postgresql):
        remember("s3cret")
        with (
            pytest.raises(sql.AccessRefusedError, match=r"^FATAL: not to \[hidden\]$"),
            postgresql(psycopg.OperationalError("FATAL: not to s3cret")),
        ):
            pass


def test_an_unknown_driver():
    with pytest.raises(
        ScenarioError, match="no SQL dialect for driver 'x'; known are: psycopg, pymysql"
    ):
        sql.dialect("x")


class TestTls:
    TLS = sql.ClientTls(Path("ca.crt"), Path("me.crt"), Path("me.key"))

    @pytest.fixture
    def how(self, monkeypatch):
        """Return how a driver is told to connect."""

        def ask(driver, **server):
            told = {}

            def pretend(**how):
                told.update(how)
                return Server()

            module = {"pymysql": pymysql, "psycopg": psycopg}[driver]
            monkeypatch.setattr(module, "connect", pretend)
            where = sql.Server("db", 1, 5, **server)
            with sql.dialect(driver).connect(where, sql.Login("demo", "s3cret"), None):
                return told

        return ask

    def test_mysql_is_told_whom_to_trust_and_what_to_show(self, how):
        files = {"ca": "ca.crt", "cert": "me.crt", "key": "me.key"}
        assert how("pymysql", tls=self.TLS)["ssl"] == files
        assert how("pymysql", tls=sql.ClientTls(Path("ca.crt")))["ssl"] == {"ca": "ca.crt"}

    def test_postgresql_is_told_whom_to_trust_and_what_to_show(self, how):
        told = how("psycopg", tls=self.TLS)
        assert (told["sslmode"], told["sslrootcert"]) == ("verify-full", "ca.crt")
        assert (told["sslcert"], told["sslkey"]) == ("me.crt", "me.key")

    def test_without_them_nobody_is_verified(self, how):
        assert how("psycopg", encrypted=True)["sslmode"] == "require"
        assert how("psycopg", encrypted=False)["sslmode"] == "disable"
        assert how("pymysql", encrypted=False)["ssl_disabled"]
        assert not how("pymysql", encrypted=True)["ssl"]["verify_mode"]

    @pytest.mark.parametrize(
        "said",
        ["certificate verify failed", 'certificate for "a" does not match host name "b"'],
    )
    def test_an_untrusted_server_is_told_from_no_connection(self, mysql, postgresql, said):
        with (
            pytest.raises(sql.UntrustedServerError),
            mysql(pymysql.err.OperationalError(2003, said)),
        ):
            pass
        with pytest.raises(sql.UntrustedServerError), postgresql(psycopg.OperationalError(said)):
            pass

    @pytest.mark.parametrize(
        ("version", "can"), [("9.7.0", False), ("11.8.9-MariaDB-0+deb13u1", True)]
    )
    def test_only_mysql_itself_keeps_its_tls(self, mysql, version, can):
        with mysql(Server(select=(version,))) as connection:
            assert connection.can_end_tls is can


def greeting(capabilities):
    """Return what a MySQL server says first."""
    said = b"\x0a9.7.0\0" + bytes(13) + capabilities.to_bytes(2, "little") + bytes(20)
    return len(said).to_bytes(3, "little") + b"\0" + said


class TestStartOfTls:
    @pytest.fixture
    def ends(self):
        """Return both ends of a connection."""
        here, there = socket.socketpair()
        with here, there:
            yield here, there

    def test_mysql_is_asked_in_answer_to_its_greeting(self, ends):
        here, there = ends
        there.sendall(greeting(CLIENT.SSL))

        sql.dialect("pymysql").start_tls(here)

        asked = there.recv(100)
        assert asked[:4] == b"\x20\0\0\1"
        assert int.from_bytes(asked[4:8], "little") & CLIENT.SSL
        assert len(asked) == 36

    def test_postgresql_is_asked_first(self, ends):
        here, there = ends
        there.sendall(b"S")

        sql.dialect("psycopg").start_tls(here)

        assert there.recv(100) == b"\0\0\0\x08\x04\xd2\x16\x2f"

    @pytest.mark.parametrize(("driver", "answer"), [("pymysql", greeting(0)), ("psycopg", b"N")])
    def test_a_server_without_tls(self, ends, driver, answer):
        here, there = ends
        there.sendall(answer)

        with pytest.raises(sql.NoTlsError):
            sql.dialect(driver).start_tls(here)

    def test_a_mysql_that_greets_nobody(self, ends):
        here, there = ends
        there.sendall(b"\4\0\0\0\xff\x69\x04!")

        with pytest.raises(sql.CannotConnectError, match="says"):
            sql.dialect("pymysql").start_tls(here)
