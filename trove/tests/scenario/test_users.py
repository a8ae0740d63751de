"""Users of an instance and what they may do: asked of Trove, tried out by SQL."""

import pytest

from trove.tests.harness.sql import AccessRefusedError

pytestmark = pytest.mark.users


def test_a_new_user_is_listed_and_can_log_in(shared_instance):
    reader = shared_instance.create_user("reader")

    assert "reader" in shared_instance.users()
    assert shared_instance.sql(reader, "SELECT 42") == 42


def test_a_deleted_user_can_not_log_in(shared_instance):
    reader = shared_instance.create_user("reader")

    shared_instance.delete_user("reader")

    assert "reader" not in shared_instance.users()
    with pytest.raises(AccessRefusedError):
        shared_instance.sql(reader, "SELECT 42")


def test_only_the_new_password_counts_after_a_change(shared_instance):
    before = shared_instance.create_user("reader")

    after = shared_instance.change_password("reader")

    assert shared_instance.sql(after, "SELECT 42") == 42
    with pytest.raises(AccessRefusedError):
        shared_instance.sql(before, "SELECT 42")


def test_a_user_gets_into_no_database_that_was_not_granted(shared_instance):
    shared_instance.create_database("library")
    reader = shared_instance.create_user("reader")

    assert shared_instance.access("reader") == []
    with pytest.raises(AccessRefusedError):
        shared_instance.sql(reader, "SELECT 42", database="library")


def test_a_granted_database_can_be_used(shared_instance):
    shared_instance.create_database("library")
    reader = shared_instance.create_user("reader")

    shared_instance.grant("reader", "library")

    assert shared_instance.access("reader") == ["library"]
    assert shared_instance.sql(reader, "SELECT 42", database="library") == 42


def test_a_revoked_database_is_refused(shared_instance):
    shared_instance.create_database("library")
    reader = shared_instance.create_user("reader", "library")
    assert shared_instance.sql(reader, "SELECT 42", database="library") == 42

    shared_instance.revoke("reader", "library")

    assert shared_instance.access("reader") == []
    with pytest.raises(AccessRefusedError):
        shared_instance.sql(reader, "SELECT 42", database="library")
