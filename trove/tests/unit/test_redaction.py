from trove.tests.harness.instances import Login
from trove.tests.harness.redaction import new_password, redact, remember


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
