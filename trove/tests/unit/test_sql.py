import psycopg
import pymysql
import pytest

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
