"""Backups that are snapshots of an instance's volume; they need no backup program."""

from collections.abc import Iterator
from dataclasses import replace

import pytest
from troveclient.exceptions import UnprocessableEntity

from trove.tests.common.errors import ScenarioError
from trove.tests.fixtures.applicability import Reason, skip
from trove.tests.harness.workload import takes_writes

pytestmark = [pytest.mark.volume_backup, pytest.mark.usefixtures("volume_service")]


@pytest.fixture(autouse=True)
def _no_lock_left(request: pytest.FixtureRequest) -> Iterator[None]:
    """Restart a database whose read lock the server forgets to take off (its known bug).

    It would spoil the instance for all tests after this one.
    """
    if "shared_instance" not in request.fixturenames:
        yield
        return
    instance = request.getfixturevalue("shared_instance")
    if "workload" in request.fixturenames:
        # Its table can't go before the lock.
        request.getfixturevalue("workload")
    yield
    if not takes_writes(instance):
        instance.restart()


def test_a_volume_backup_is_a_snapshot_that_goes_with_it(
    cloud, shared_instance, backups, admin_cloud
):
    backup = backups.create(shared_instance, storage_driver="cinder", description="a copy")

    shown = backup.show()
    assert (shown["status"], shown["description"]) == ("COMPLETED", "a copy")
    assert shown["instance_id"] == shared_instance.id
    assert shown["datastore"]["type"] == shared_instance.spec.datastore
    assert shown["size"] == shared_instance.spec.volume_gb
    assert shown["locationRef"] == f"cinder://{backup.snapshots(admin_cloud)[0]}"
    of_instance = cloud.trove.instances.backups(shared_instance.id)
    assert [each.id for each in of_instance] == [backup.id]

    backup.delete()

    backup.wait_until_erased(admin_cloud)


@pytest.mark.server_bug("volume_backups_may_leave_a_read_lock", strict=False)
def test_no_row_is_lost_that_is_written_meanwhile(shared_instance, backups, workload):
    with workload.writing():
        before = workload.acknowledged()
        backups.create(shared_instance, storage_driver="cinder")
        # A database may hold writers up for a moment of it, not from the request to its end.
        assert workload.acknowledged() > before

    workload.verify()


def test_nothing_else_is_done_meanwhile(shared_instance, backups):
    backups.request(shared_instance, storage_driver="cinder")

    with pytest.raises(UnprocessableEntity, match=r"\(instance status was BACKUP\)"):
        backups.request(shared_instance, storage_driver="cinder")


def test_an_instance_restored_from_a_volume_has_the_rows_of_then(restored_volume):
    restored_volume.past.verify(restored_volume.instance)


def test_users_log_in_to_an_instance_restored_from_a_volume(restored_volume):
    assert restored_volume.past.reader.user in restored_volume.instance.users()
    assert restored_volume.instance.accepts(restored_volume.past.reader)


def test_a_volume_backup_is_not_restored_to_a_smaller_volume(
    shared_instance, backups, instance_factory
):
    if shared_instance.spec.volume_gb < 2:
        skip(Reason.NEEDS_VOLUMES, "there is no smaller one than that of 1 GiB")
    backup = backups.create(shared_instance, storage_driver="cinder")
    spec = replace(shared_instance.spec, volume_gb=shared_instance.spec.volume_gb - 1)

    with pytest.raises(ScenarioError, match=r"Backup is too large .*\(HTTP 403\)"):
        replace(instance_factory, spec=spec).request_with_data_of(
            shared_instance, "refused", restorePoint={"backupRef": backup.id}
        )
