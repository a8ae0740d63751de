"""An instance comes and goes."""

import pytest

pytestmark = pytest.mark.instances


def test_a_new_instance_is_healthy(shared_instance):
    assert shared_instance.status == "HEALTHY"


def test_a_new_instance_has_the_database_and_the_user_asked_for(shared_instance):
    assert shared_instance.database in shared_instance.databases()
    assert shared_instance.login.user in shared_instance.users()
    assert shared_instance.access(shared_instance.login.user) == [shared_instance.database]


def test_the_user_asked_for_works_in_the_database_over_the_network(shared_instance):
    user, database = shared_instance.login, shared_instance.database

    shared_instance.sql(user, "CREATE TABLE birds (name VARCHAR(20))", database=database)
    shared_instance.sql(user, "INSERT INTO birds VALUES (%s)", "wren", database=database)

    assert shared_instance.sql(user, "SELECT name FROM birds", database=database) == "wren"
    shared_instance.sql(user, "DROP TABLE birds", database=database)


def test_a_deleted_instance_leaves_nothing_behind(fresh_instance, traces):
    instance = traces(fresh_instance)
    assert instance.found()

    fresh_instance.delete()

    assert not fresh_instance.exists
    assert instance.left() == []
