"""Databases of an instance."""

import pytest
from troveclient.exceptions import BadRequest, HttpNotImplemented, NotFound

from trove.tests.harness.paging import every

pytestmark = pytest.mark.databases


@pytest.mark.smoke
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


def test_databases_come_in_pages(shared_instance):
    for name in ("library", "archive", "museum"):
        shared_instance.create_database(name)
    listing = shared_instance.cloud.trove.databases.list

    first = listing(shared_instance.id, limit=2)
    rest = every(listing, shared_instance.id, marker=first.next)

    assert len(first) == 2
    names = sorted(database.name for database in [*first, *rest])
    assert names == sorted(shared_instance.databases())


def test_the_databases_own_database_is_not_listed(shared_instance):
    assert shared_instance.spec.dialect.reserved_database not in shared_instance.databases()


@pytest.mark.parametrize("name", ["", "---", "x" * 256], ids=["empty", "no letter", "long"])
def test_a_database_name_that_can_not_be_is_refused(cloud, shared_instance, name):
    with pytest.raises(BadRequest):
        cloud.trove.databases.create(shared_instance.id, [{"name": name}])


@pytest.mark.server_bug("reserved_names_are_those_of_mysql")
def test_a_reserved_database_name_is_refused(cloud, shared_instance):
    reserved = shared_instance.spec.dialect.reserved_database

    with pytest.raises(BadRequest, match=f'^Database name "{reserved}" is on the reserved list'):
        cloud.trove.databases.create(shared_instance.id, [{"name": reserved}])


@pytest.mark.server_bug("reserved_names_are_those_of_mysql")
def test_a_reserved_database_can_not_be_deleted(cloud, shared_instance):
    reserved = shared_instance.spec.dialect.reserved_database

    with pytest.raises(BadRequest, match=f'"{reserved}" is on the reserved list'):
        cloud.trove.databases.delete(shared_instance.id, reserved)


def test_a_second_database_of_the_same_name_is_refused(cloud, shared_instance):
    shared_instance.create_database("library")

    with pytest.raises(BadRequest) as refusal:
        cloud.trove.databases.create(shared_instance.id, [{"name": "library"}])

    assert refusal.value.message == 'A database with the name "library" already exists.'


def test_an_unknown_database_can_not_be_deleted(cloud, shared_instance):
    with pytest.raises(NotFound):
        cloud.trove.databases.delete(shared_instance.id, "nowhere")


def test_a_single_database_is_not_shown(cloud, shared_instance):
    with pytest.raises(HttpNotImplemented):
        cloud.trove.client.get(
            f"/instances/{shared_instance.id}/databases/{shared_instance.database}"
        )
