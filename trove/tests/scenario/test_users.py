"""Users of an instance and what they may do: asked of Trove, tried out by SQL."""

import pytest
from troveclient.exceptions import BadRequest, NotFound

from trove.tests.fixtures.applicability import Reason, skip
from trove.tests.harness.paging import every
from trove.tests.harness.redaction import new_password
from trove.tests.harness.sql import AccessRefusedError

pytestmark = pytest.mark.users


@pytest.mark.smoke
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


def test_a_user_is_shown_with_the_databases_that_are_granted(shared_instance):
    shared_instance.create_user("reader", shared_instance.create_database("library"))

    shown = shared_instance.cloud.trove.users.get(shared_instance.id, "reader")

    assert shown.name == "reader"
    assert [database["name"] for database in shown.databases] == ["library"]


def test_users_come_in_pages(shared_instance):
    for name in ("reader", "writer", "lender"):
        shared_instance.create_user(name)
    listing = shared_instance.cloud.trove.users.list

    first = listing(shared_instance.id, limit=2)
    rest = every(listing, shared_instance.id, marker=first.next)

    assert len(first) == 2
    assert sorted(user.name for user in [*first, *rest]) == sorted(shared_instance.users())


def test_only_the_new_password_counts_after_a_change(shared_instance):
    before = shared_instance.create_user("reader")

    after = shared_instance.change_password("reader")

    assert shared_instance.sql(after, "SELECT 42") == 42
    with pytest.raises(AccessRefusedError):
        shared_instance.sql(before, "SELECT 42")


def test_a_renamed_user_logs_in_by_the_new_name_alone(shared_instance):
    shared_instance.create_database("library")
    before = shared_instance.create_user("reader", "library")

    after = shared_instance.change_user("reader", name="scholar", password=new_password())

    assert shared_instance.sql(after, "SELECT 42", database="library") == 42
    with pytest.raises(AccessRefusedError):
        shared_instance.sql(before, "SELECT 42")


def test_a_user_of_another_host_can_not_log_in_from_here(shared_instance):
    if not shared_instance.spec.dialect.has_hosts:
        skip(Reason.NOT_SUPPORTED_BY_SERVER, "users of this datastore have no hosts")
    reader = shared_instance.create_user("reader", host="192.0.2.1")

    with pytest.raises(AccessRefusedError):
        shared_instance.sql(reader, "SELECT 42")


def test_a_user_who_is_moved_to_another_host_can_not_log_in_from_here(shared_instance):
    if not shared_instance.spec.dialect.has_hosts:
        skip(Reason.NOT_SUPPORTED_BY_SERVER, "users of this datastore have no hosts")
    reader = shared_instance.create_user("reader")

    shared_instance.move_user("reader", "192.0.2.1")

    with pytest.raises(AccessRefusedError):
        shared_instance.sql(reader, "SELECT 42")
    shared_instance.move_user("reader", "%", back_from="192.0.2.1")
    assert shared_instance.accepts(reader)


@pytest.mark.server_bug("every_user_reaches_every_database")
def test_a_user_gets_into_no_database_that_was_not_granted(shared_instance):
    shared_instance.create_database("library")
    reader = shared_instance.create_user("reader")

    assert shared_instance.access("reader") == []
    with pytest.raises(AccessRefusedError):
        shared_instance.sql(reader, "SELECT 42", database="library")


@pytest.mark.smoke
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


@pytest.mark.server_bug("users_are_looked_up_with_a_host")
def test_a_second_user_of_the_same_name_is_refused(cloud, shared_instance):
    shared_instance.create_user("reader")

    with pytest.raises(BadRequest) as refusal:
        cloud.trove.users.create(shared_instance.id, [_user("reader")])

    assert "already exists" in refusal.value.message


@pytest.mark.parametrize("name", ["", "---"], ids=["empty", "no letter"])
def test_a_user_name_that_can_not_be_is_refused(cloud, shared_instance, name):
    with pytest.raises(BadRequest):
        cloud.trove.users.create(shared_instance.id, [_user(name)])


@pytest.mark.server_bug("user_names_are_checked_by_the_guest_alone")
def test_a_user_name_that_is_too_long_is_refused(cloud, shared_instance):
    with pytest.raises(BadRequest):
        cloud.trove.users.create(shared_instance.id, [_user("x" * 256)])


def test_a_reserved_user_name_is_refused(cloud, shared_instance):
    reserved = shared_instance.spec.dialect.reserved_user

    with pytest.raises(BadRequest, match="reserved"):
        cloud.trove.users.create(shared_instance.id, [_user(reserved)])

    assert reserved not in shared_instance.users()


def test_nothing_can_be_done_with_an_unknown_user(cloud, shared_instance):
    users, id = cloud.trove.users, shared_instance.id
    for ask in (
        lambda: users.get(id, "nobody"),
        lambda: users.delete(id, "nobody"),
        lambda: users.update_attributes(id, "nobody", {"name": "somebody"}),
        lambda: users.change_passwords(id, [{"name": "nobody", "password": new_password()}]),
        lambda: users.list_access(id, "nobody"),
        lambda: users.grant(id, "nobody", [shared_instance.database]),
        lambda: users.revoke(id, "nobody", shared_instance.database),
    ):
        with pytest.raises(NotFound):
            ask()


def test_a_database_that_is_not_granted_can_not_be_revoked(cloud, shared_instance):
    shared_instance.create_user("reader")

    with pytest.raises(NotFound):
        cloud.trove.users.revoke(shared_instance.id, "reader", shared_instance.database)


def _user(name: str) -> dict[str, object]:
    return {"name": name, "password": new_password(), "databases": []}
