"""More memory, more room: an instance grows and keeps its data."""

import pytest

pytestmark = pytest.mark.resizes


def test_data_is_still_there_on_a_larger_flavor(fresh_instance, larger_flavor):
    user, database = fresh_instance.login, fresh_instance.database
    fresh_instance.sql(user, "CREATE TABLE notes (line VARCHAR(20))", database=database)
    fresh_instance.sql(user, "INSERT INTO notes VALUES (%s)", "remember", database=database)

    fresh_instance.resize(larger_flavor)

    assert fresh_instance.show()["flavor"]["id"] == larger_flavor
    assert fresh_instance.sql(user, "SELECT line FROM notes", database=database) == "remember"


def test_data_is_still_there_on_a_larger_volume(fresh_instance):
    size = fresh_instance.spec.volume_gb
    if not size:
        pytest.skip("needs_volumes: this Trove gives its instances none")
    user, database = fresh_instance.login, fresh_instance.database
    fresh_instance.sql(user, "CREATE TABLE notes (line VARCHAR(20))", database=database)
    fresh_instance.sql(user, "INSERT INTO notes VALUES (%s)", "remember", database=database)

    fresh_instance.grow(size + 1)

    assert fresh_instance.show()["volume"]["size"] == size + 1
    assert fresh_instance.sql(user, "SELECT line FROM notes", database=database) == "remember"
