"""Backups with a backup program, into Swift, and instances restored from them."""

from dataclasses import replace
from uuid import uuid4

import pytest
from troveclient.exceptions import BadRequest, Forbidden, NotFound, UnprocessableEntity

from trove.tests.common.errors import ScenarioError
from trove.tests.fixtures.applicability import Reason, skip
from trove.tests.harness.paging import every
from trove.tests.harness.run import run_of

pytestmark = [pytest.mark.backup, pytest.mark.usefixtures("object_store")]


# What a backup is


def test_a_backup_is_shown_with_what_it_is_of(shared_instance, backups):
    backup = backups.create(shared_instance, description="before the move")

    shown = backup.show()
    assert shown["status"] == "COMPLETED"
    assert (shown["name"], shown["description"]) == (backup.name, "before the move")
    assert (shown["instance_id"], shown["parent_id"]) == (shared_instance.id, None)
    assert shown["datastore"]["type"] == shared_instance.spec.datastore
    assert shown["datastore"]["version"] == shared_instance.spec.version
    assert shown["project_id"] == shared_instance.cloud.project_id
    assert shown["size"] > 0


def test_a_backup_is_listed_with_all_and_with_its_instance(cloud, shared_instance, backups):
    backup = backups.create(shared_instance)

    assert backup.id in [each.id for each in cloud.trove.backups.list()]
    of_instance = cloud.trove.instances.backups(shared_instance.id)
    assert [each.id for each in of_instance] == [backup.id]


def test_a_backup_knows_its_parent(shared_instance, backups):
    full = backups.create(shared_instance)

    first = backups.create(shared_instance, parent_id=full.id)
    second = backups.create(shared_instance, incremental=True)

    assert first.show()["parent_id"] == full.id
    assert second.show()["parent_id"] == first.id


def test_the_first_backup_is_full_though_asked_to_be_incremental(shared_instance, backups):
    backup = backups.create(shared_instance, incremental=True)

    assert backup.show()["parent_id"] is None


def test_an_instance_takes_writes_while_it_is_backed_up(shared_instance, backups, workload):
    with workload.writing():
        before = workload.acknowledged()
        backups.create(shared_instance)
        assert workload.acknowledged() > before

    workload.verify()


def test_an_instance_is_healthy_after_its_backup(shared_instance, backups):
    backups.create(shared_instance)

    assert shared_instance.show()["status"] == "ACTIVE"
    assert shared_instance.status == "HEALTHY"


# What is restored


def test_a_restored_instance_has_the_rows_of_then_and_no_others(restored):
    restored.past.verify(restored.instance)


def test_users_log_in_to_a_restored_instance_with_their_passwords(restored):
    assert restored.past.reader.user in restored.instance.users()
    assert restored.instance.accepts(restored.past.reader)


@pytest.mark.server_bug("restored_instances_report_no_root")
def test_root_logs_in_to_a_restored_instance_that_says_so(restored):
    assert restored.instance.sql(restored.past.root, "SELECT 42") == 42
    assert restored.instance.root_enabled


def test_a_restored_instance_can_be_written_to(restored):
    user, database = restored.instance.login, restored.instance.database

    restored.instance.sql(user, "CREATE TABLE notes (line VARCHAR(20))", database=database)
    try:
        restored.instance.sql(user, "INSERT INTO notes VALUES (%s)", "later", database=database)

        assert restored.instance.sql(user, "SELECT line FROM notes", database=database) == "later"
    finally:
        restored.instance.sql(user, "DROP TABLE notes", database=database)


# Where it is listed


def test_backups_are_listed_by_datastore(cloud, shared_instance, backups):
    backup = backups.create(shared_instance)
    mine = shared_instance.spec.datastore
    # Those of runs go again.
    others = [
        each.name
        for each in every(cloud.trove.datastores.list)
        if each.name != mine and not run_of(each.name)
    ]

    listed = cloud.trove.backups.list(datastore=mine)
    assert backup.id in [each.id for each in listed]
    for other in others:
        assert backup.id not in [each.id for each in cloud.trove.backups.list(datastore=other)]


def test_an_unknown_datastore_to_list_by_is_refused(cloud):
    with pytest.raises(NotFound) as refusal:
        cloud.trove.backups.list(datastore="no-such-datastore")

    assert refusal.value.message == "Datastore 'no-such-datastore' cannot be found."


def test_backups_are_listed_by_instance(cloud, shared_instance, backups):
    backup = backups.create(shared_instance)

    listed = cloud.trove.backups.list(instance_id=shared_instance.id)
    assert [each.id for each in listed] == [backup.id]
    assert list(cloud.trove.backups.list(instance_id=str(uuid4()))) == []


def test_a_list_of_backups_comes_in_pages_newest_first(cloud, shared_instance, backups):
    made = [backups.create(shared_instance).id for _ in range(3)]

    first = cloud.trove.backups.list(instance_id=shared_instance.id, limit=2)
    second = cloud.trove.backups.list(instance_id=shared_instance.id, limit=2, marker=first.next)

    assert [each.id for each in (*first, *second)] == made[::-1]
    assert len(first) == 2
    assert second.next is None


def test_an_administrator_lists_backups_of_other_projects(admin_cloud, shared_instance, backups):
    if admin_cloud.project_id == shared_instance.cloud.project_id:
        skip(Reason.NEEDS_ADMINISTRATOR, "the administrator has no project of their own")
    backup = backups.create(shared_instance)
    project = shared_instance.cloud.project_id
    listing = admin_cloud.trove.backups.list

    assert backup.id in [each.id for each in listing(all_projects=True)]
    assert backup.id in [each.id for each in listing(project_id=project)]
    assert backup.id not in [each.id for each in listing()]


def test_a_user_may_not_list_backups_of_all_projects(plain_user, neighbour):
    with pytest.raises(Forbidden, match="backup:index:all_projects"):
        plain_user.trove.backups.list(all_projects=True)
    with pytest.raises(Forbidden, match="backup:index:all_projects"):
        plain_user.trove.backups.list(project_id=neighbour.project_id)


# What another project must not see


def test_another_project_has_no_part_in_a_backup(shared_instance, backups, neighbour):
    backup = backups.create(shared_instance)
    theirs = neighbour.trove

    assert backup.id not in [each.id for each in theirs.backups.list()]
    with pytest.raises(NotFound):
        theirs.backups.get(backup.id)
    with pytest.raises(NotFound):
        theirs.backups.delete(backup.id)
    with pytest.raises(NotFound):
        theirs.instances.backups(shared_instance.id)
    with pytest.raises(NotFound):
        replace(backups, cloud=neighbour).request(shared_instance)
    assert backup.status == "COMPLETED"


# What is refused


def test_an_unknown_backup_is_not_found(cloud):
    unknown = str(uuid4())

    with pytest.raises(NotFound, match=f"^Resource {unknown} cannot be found"):
        cloud.trove.backups.get(unknown)
    with pytest.raises(NotFound, match=f"^Resource {unknown} cannot be found"):
        cloud.trove.backups.delete(unknown)


def test_a_backup_of_an_unknown_instance_is_refused(cloud):
    unknown = str(uuid4())

    with pytest.raises(NotFound) as refusal:
        cloud.trove.backups.create("refused", unknown)

    assert refusal.value.message == f"Resource {unknown} cannot be found."


def test_a_backup_of_what_is_no_instance_is_refused(cloud):
    with pytest.raises(BadRequest, match=r"^Validation error: backup\['instance'\] 'this'"):
        cloud.trove.backups.create("refused", "this")


def test_an_increment_to_an_unknown_backup_is_refused(shared_instance, backups):
    unknown = str(uuid4())

    with pytest.raises(NotFound) as refusal:
        backups.request(shared_instance, parent_id=unknown)

    assert refusal.value.message == f"Resource {unknown} cannot be found."


def test_a_container_that_is_a_command_is_refused(shared_instance, backups):
    with pytest.raises(BadRequest) as refusal:
        backups.request(shared_instance, swift_container="a;b")

    assert refusal.value.message == "The value is not allowed: a;b."


@pytest.mark.server_bug("unknown_storage_drivers_make_instances_ill", run=False)
def test_an_unknown_storage_driver_is_refused(shared_instance, backups):
    with pytest.raises(BadRequest):
        backups.request(shared_instance, storage_driver="no-such-driver")


def test_nothing_else_is_done_to_an_instance_that_is_backed_up(shared_instance, backups):
    backups.request(shared_instance)

    with pytest.raises(UnprocessableEntity, match=r"\(instance status was BACKUP\)"):
        backups.request(shared_instance)
    with pytest.raises(UnprocessableEntity, match=r"\(instance status was BACKUP\)"):
        shared_instance.restart()


@pytest.mark.server_bug("deleting_a_running_backup_breaks_the_server")
def test_a_running_backup_is_not_deleted(cloud, shared_instance, backups):
    backup = backups.request(shared_instance)

    with pytest.raises(UnprocessableEntity, match="cannot be deleted because it is running"):
        cloud.trove.backups.delete(backup.id)


def test_nothing_is_restored_from_a_running_backup(shared_instance, backups, instance_factory):
    # While others keep one waiting, the backup may come to its end.
    with instance_factory.in_turn() as factory:
        point = {"backupRef": backups.request(shared_instance).id}

        with pytest.raises(ScenarioError, match=r"is not completed\. .*\(HTTP 409\)"):
            factory.request_with_data_of(shared_instance, "refused", restorePoint=point)


def test_nothing_is_restored_from_an_unknown_backup(shared_instance, instance_factory):
    point = {"backupRef": str(uuid4())}

    with pytest.raises(ScenarioError, match=rf"Resource {point['backupRef']} cannot be found"):
        instance_factory.request_with_data_of(shared_instance, "refused", restorePoint=point)


def test_nothing_is_restored_to_another_datastore(shared_instance, backups, instance_factory):
    trove, mine = shared_instance.cloud.trove, shared_instance.spec.datastore
    # Those of other runs go again.
    others = [
        (datastore.name, version.name)
        for datastore in every(trove.datastores.list)
        if datastore.name != mine and not run_of(datastore.name)
        for version in every(trove.datastore_versions.list, datastore.id)
    ]
    if not others:
        skip(Reason.NEEDS_ANOTHER_DATASTORE, f"Trove has none but {mine}")
    backup = backups.create(shared_instance)

    with pytest.raises(ScenarioError, match=r"does not match the destination datastore"):
        instance_factory.request_with_data_of(
            shared_instance,
            "refused",
            datastore=others[0][0],
            datastore_version=others[0][1],
            restorePoint={"backupRef": backup.id},
        )


# What is left


def test_a_backup_lies_in_the_container_that_is_named(shared_instance, backups):
    container = backups.container()

    backup = backups.create(shared_instance, swift_container=container)

    assert backup.container == container
    assert len(backup.objects()) == 1


def test_a_deleted_backup_leaves_no_objects(shared_instance, backups, admin_cloud):
    backup = backups.create(shared_instance, swift_container=backups.container())
    assert backup.objects()

    backup.delete()

    assert not backup.exists
    backup.wait_until_erased(admin_cloud)


def test_increments_are_deleted_with_their_parent(shared_instance, backups, admin_cloud):
    full = backups.create(shared_instance)
    increment = backups.create(shared_instance, parent_id=full.id)
    assert increment.objects()

    full.delete()

    increment.wait_until_gone()
    increment.wait_until_erased(admin_cloud)


# Strategies


def test_backups_lie_where_their_instances_strategy_says(shared_instance, backups):
    container = backups.container()

    backups.set_strategy(shared_instance, container)
    assert backups.strategy(shared_instance).swift_container == container
    assert backups.create(shared_instance).container == container

    backups.remove_strategy(shared_instance)
    assert backups.strategy(shared_instance) is None
    assert backups.create(shared_instance).container != container


def test_a_container_that_is_named_goes_before_the_strategy(shared_instance, backups):
    named = backups.container()
    backups.set_strategy(shared_instance, backups.container())

    backup = backups.create(shared_instance, swift_container=named)

    assert backup.container == named


def test_a_second_strategy_takes_the_place_of_the_first(shared_instance, backups):
    backups.set_strategy(shared_instance, "first")
    backups.set_strategy(shared_instance, "second")

    assert backups.strategy(shared_instance).swift_container == "second"


def test_a_project_has_a_strategy_of_its_own(cloud, neighbour):
    strategies = neighbour.trove.backup_strategies

    strategies.create(swift_container="weekly")
    assert [(each.instance_id, each.swift_container) for each in strategies.list()] == [
        ("", "weekly")
    ]
    assert cloud.project_id not in [each.project_id for each in strategies.list()]

    strategies.delete()
    assert strategies.list() == []


def test_strategies_of_another_project_are_not_shown(cloud, neighbour):
    with pytest.raises(Forbidden) as refusal:
        neighbour.trove.backup_strategies.list(project_id=cloud.project_id)

    assert refusal.value.message == f"Operation not allowed for tenant {neighbour.project_id}."


# Backups that were made elsewhere


def test_a_backup_from_elsewhere_is_registered_and_its_data_kept(shared_instance, backups):
    original = backups.create(shared_instance)
    version = original.show()["datastore"]["version_id"]

    foreign = backups.register(original.location, version, size=1)

    shown = foreign.show()
    assert (shown["status"], shown["instance_id"], shown["size"]) == ("RESTORED", None, 1)
    assert shown["locationRef"] == original.location
    foreign.delete()
    assert original.objects()


def test_a_backup_from_elsewhere_that_is_not_there_is_refused(shared_instance, backups):
    original = backups.create(shared_instance)
    version = original.show()["datastore"]["version_id"]

    with pytest.raises(BadRequest, match="^Failed to restore backup from "):
        backups.register(f"{original.location}.not", version, size=1)


def test_nothing_is_restored_to_too_small_a_volume(shared_instance, backups, instance_factory):
    original = backups.create(shared_instance)
    version = original.show()["datastore"]["version_id"]
    large = backups.register(original.location, version, size=10_000)

    with pytest.raises(ScenarioError, match=r"Backup is too large .*\(HTTP 403\)"):
        instance_factory.request_with_data_of(
            shared_instance, "refused", restorePoint={"backupRef": large.id}
        )
