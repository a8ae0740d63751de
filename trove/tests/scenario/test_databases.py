"""Databases of an instance."""

import pytest

pytestmark = pytest.mark.databases


def test_a_new_database_is_listed(shared_instance):
    shared_instance.create_database("library")

    assert "library" in shared_instance.databases()


def test_a_new_database_can_be_used(shared_instance):
    shared_instance.create_database("library")
    reader = shared_instance.create_user("reader", "library")

    shared_instance.sql(reader, "CREATE TABLE books (title VARCHAR(20))", database="library")

    assert shared_instance.sql(reader, "SELECT COUNT(*) FROM books", database="library") == 0


def test_a_deleted_database_is_not_listed(shared_instance):
    shared_instance.create_database("library")

    shared_instance.delete_database("library")

    assert "library" not in shared_instance.databases()


def test_the_databases_own_database_is_not_listed(shared_instance):
    assert shared_instance.spec.dialect.reserved_database not in shared_instance.databases()
