import pytest

from trove.tests.harness.redaction import new_password, redact, remember
from trove.tests.harness.sql import Login


def test_passwords_differ_and_are_long():
    assert new_password() != new_password()
    assert len(new_password()) >= 20


def test_what_was_made_or_remembered_is_hidden():
    made, told = new_password(), remember("told-by-trove")
    assert redact(f"<{made}> <{told}>") == "<[hidden]> <[hidden]>"


def test_an_empty_secret_hides_nothing():
    remember("")
    assert redact("abc") == "abc"


def test_a_login_does_not_show_its_password():
    assert "s3cret" not in repr(Login("demo", "s3cret"))


def test_a_password_in_a_statement_is_hidden_though_nobody_here_knows_it():
    logged = "CREATE USER `os_admin`@`localhost` IDENTIFIED BY 'made in the guest';"
    assert redact(logged) == "CREATE USER `os_admin`@`localhost` IDENTIFIED BY '[hidden]';"


@pytest.mark.parametrize(
    ("logged", "shown"),
    [
        (
            "environment: {'MYSQL_ROOT_PASSWORD': 'eMAliLt7jqhu7y5iavD01Gk47lgf', 'A': 1}",
            "environment: {'MYSQL_ROOT_PASSWORD': '[hidden]', 'A': 1}",
        ),
        (
            "--os-token=gAAAAABrCFFo-x_yz0123456789abcdef== --db-password=qbRqhMEhpXRfPz",
            "--os-token=[hidden] --db-password=[hidden]",
        ),
        (
            "{'name': 'slave', 'password': 'S5ysYxayxjtHmRiS'}}",
            "{'name': 'slave', 'password': '[hidden]'}}",
        ),
        (
            "ALTER USER x WITH ENCRYPTED PASSWORD 'it is'",
            "ALTER USER x WITH ENCRYPTED PASSWORD '[hidden]'",
        ),
        ("X-Auth-Token gAAAAABrCFFo-x_yz0123456789abcdef", "X-Auth-Token [hidden]"),
    ],
)
def test_what_a_guest_agent_tells_of_secrets_is_hidden(logged, shown):
    assert redact(logged) == shown


@pytest.mark.parametrize(
    "text",
    [
        "'-u', 'root', '--password=$MYSQL_ROOT_PASSWORD'],",
        "Plugin sha256_password reported: deprecated_authentication",
        "create_user(name, password=login.password)",
        "FATAL: password authentication failed",
    ],
)
def test_what_is_no_secret_is_told(text):
    assert redact(text) == text
