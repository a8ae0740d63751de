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

    def fetchone(self):
        return self.row


@pytest.fixture
def mysql(monkeypatch):
    """Have PyMySQL's connect return, or raise, what a test says; return how to connect."""

    def connect(result):
        def pretend(**_):
            if isinstance(result, Exception):
                raise result
            return result

        monkeypatch.setattr(pymysql, "connect", pretend)
        return sql.dialect("pymysql").connect("db", 3306, "demo", "s3cret", None, 5)

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


def test_an_unknown_driver():
    with pytest.raises(ScenarioError, match="no SQL dialect for driver 'x'; known are: pymysql"):
        sql.dialect("x")
