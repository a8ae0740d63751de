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
