"""The superuser, who may log in only while the instance's owner wants it."""

import pytest

from trove.tests.harness.redaction import new_password
from trove.tests.harness.sql import AccessRefusedError

pytestmark = pytest.mark.root


def test_root_is_not_enabled_unasked(shared_instance):
    assert not shared_instance.root_enabled


@pytest.mark.smoke
def test_root_logs_in_while_enabled_and_not_after(shared_instance):
    root = shared_instance.enable_root()
    assert shared_instance.root_enabled
    assert shared_instance.sql(root, "SELECT 42") == 42

    shared_instance.disable_root()

    assert not shared_instance.root_enabled
    with pytest.raises(AccessRefusedError):
        shared_instance.sql(root, "SELECT 42")


def test_root_logs_in_with_the_password_that_its_owner_gave(shared_instance):
    password = new_password()

    root = shared_instance.enable_root(password)

    assert root.password == password
    assert shared_instance.sql(root, "SELECT 42") == 42


def test_enabled_again_root_has_another_password(shared_instance):
    before = shared_instance.enable_root()

    after = shared_instance.enable_root()

    assert shared_instance.sql(after, "SELECT 42") == 42
    with pytest.raises(AccessRefusedError):
        shared_instance.sql(before, "SELECT 42")


def test_root_is_not_listed_as_a_user(shared_instance):
    root = shared_instance.enable_root()

    assert root.user not in shared_instance.users()


def test_what_root_may_do_others_may_not(shared_instance):
    root = shared_instance.enable_root()

    shared_instance.sql(root, "CREATE DATABASE vault")
    try:
        with pytest.raises(AccessRefusedError):
            shared_instance.sql(shared_instance.login, "DROP DATABASE vault")
    finally:
        shared_instance.sql(root, "DROP DATABASE vault")
