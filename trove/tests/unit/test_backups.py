from dataclasses import replace
from types import SimpleNamespace

import pytest
from troveclient import exceptions as trove_errors

from trove.tests.common.errors import ScenarioError
from trove.tests.harness import backups
from trove.tests.harness.backups import BackupFactory
from trove.tests.harness.run import Run
from trove.tests.harness.timeouts import Timeouts
from trove.tests.harness.waiting import FailedStateError, WaitTimeoutError
from trove.tests.unit.fakes import FakeCloud, Resource

INSTANCE = SimpleNamespace(id="42", name="db")


@pytest.fixture
def cloud(tmp_path):
    return FakeCloud(tmp_path / "cloud")


@pytest.fixture
def factory(cloud):
    return BackupFactory(cloud, Timeouts(), Run.new())


def left(factory):
    return [entry.kind for entry in factory.run.journal.open_entries()]


def statuses(monkeypatch, cloud, *names):
    """Have backups show these statuses, one at each look; the last for good."""
    monkeypatch.setattr(backups, "LOOK_INTERVAL", 0)
    rest, get = list(names), cloud.trove.backups.get

    def show(id):
        status = rest.pop(0) if len(rest) > 1 else rest[0]
        return Resource(**vars(get(id)) | {"status": status})

    monkeypatch.setattr(cloud.trove.backups, "get", show)


def test_it_is_in_the_journal_before_trove_hears_of_it(cloud, factory):
    def see(name, _instance, **_):
        assert [entry.name for entry in factory.run.journal.open_entries()] == [name]
        raise KeyboardInterrupt

    cloud.trove.backups.create = see
    with pytest.raises(KeyboardInterrupt):
        factory.request(INSTANCE)
    assert left(factory) == ["backup"]


def test_a_refusal_is_nothing_to_clean_up(cloud, factory):
    def refuse(*_args, **_):
        raise trove_errors.UnprocessableEntity("instance status was BACKUP")

    cloud.trove.backups.create = refuse
    with pytest.raises(trove_errors.UnprocessableEntity):
        factory.request(INSTANCE)
    assert left(factory) == []


def test_it_is_there_once_it_is_complete(cloud, factory, monkeypatch):
    statuses(monkeypatch, cloud, "NEW", "BUILDING", "COMPLETED")
    assert factory.create(INSTANCE, description="d").status == "COMPLETED"


def test_a_failed_one_ends_the_wait(cloud, factory, monkeypatch):
    statuses(monkeypatch, cloud, "BUILDING", "FAILED")
    with pytest.raises(FailedStateError, match="is complete: it is FAILED"):
        factory.create(INSTANCE)


def test_one_that_was_made_elsewhere_is_known_by_its_location(cloud, factory):
    foreign = factory.register("http://swift/box/object", "version", 1)
    assert foreign.show()["restore_from"] == "http://swift/box/object"


def test_one_that_never_ends_is_left_for_the_end_of_the_run(cloud, factory, monkeypatch):
    statuses(monkeypatch, cloud, "NEW")
    factory = replace(factory, timeouts=Timeouts().scaled(0.001))

    with pytest.raises(WaitTimeoutError, match="is complete: .*last seen: NEW"), factory.borrowed():
        factory.create(INSTANCE)

    assert left(factory) == ["backup"]


def test_what_a_borrower_made_is_deleted_newest_first(cloud, factory):
    with factory.borrowed():
        made = [factory.request(INSTANCE) for _ in range(2)]
        assert made[0].exists
    deleted = [call for call in cloud.store.calls() if call.startswith("delete")]
    assert deleted == [f"delete backup {each.name}" for each in reversed(made)]
    assert left(factory) == []


def test_one_that_went_with_its_parent_is_no_error(cloud, factory):
    with factory.borrowed():
        cloud.trove.backups.delete(factory.request(INSTANCE).id)
    assert left(factory) == []


def test_one_that_runs_is_deleted_when_it_is_over(cloud, factory, monkeypatch):
    backup = factory.request(INSTANCE)
    seen, get = ["NEW"], cloud.trove.backups.get

    def show(id):
        found = get(id)
        return Resource(**vars(found) | {"status": seen.pop() if seen else "FAILED"})

    monkeypatch.setattr(cloud.trove.backups, "get", show)
    backup.delete()
    assert seen == []
    assert not backup.exists


def test_the_location_outlives_the_backup(cloud, factory):
    backup = factory.request(INSTANCE, locationRef="http://swift/v1/AUTH_1/box/object")
    assert backup.container == "box"
    backup.delete()
    assert backup.container == "box"


def test_one_without_a_location_says_so(factory):
    backup = factory.request(INSTANCE, locationRef=None)
    with pytest.raises(ScenarioError, match="has no location: it is COMPLETED"):
        _ = backup.location


def test_objects_are_those_of_its_own_container_and_id(cloud, factory):
    backup = factory.request(INSTANCE, locationRef="http://swift/v1/AUTH_1/box/object")
    kept = cloud.object_store.kept
    kept["box"] = {f"{backup.id}.gz": b"", "other.gz": b""}
    kept["lid"] = {f"{backup.id}.gz": b""}
    assert backup.objects() == [f"{backup.id}.gz"]
    kept.clear()
    assert backup.objects() == []


def test_a_snapshot_has_no_objects(cloud, factory):
    backup = factory.request(INSTANCE, locationRef="cinder://7")
    cloud.block_storage.snapshots = lambda **_: [Resource(id="6"), Resource(id="7")]
    assert backup.objects() == []
    assert backup.snapshots(cloud) == ["7"]


def test_cinder_is_not_asked_for_what_is_in_swift(cloud, factory):
    backup = factory.request(INSTANCE, locationRef="http://swift/v1/AUTH_1/box/object")
    del cloud.block_storage

    backup.wait_until_erased(cloud)


def test_a_container_goes_after_the_backups_in_it(cloud, factory):
    with factory.borrowed():
        container = factory.container()
        cloud.object_store.kept = {container: {}}
        backup = factory.request(INSTANCE, swift_container=container)
        assert left(factory) == ["container", "backup"]
    assert cloud.store.calls()[-2:] == [
        f"delete backup {backup.name}",
        f"delete container {container}",
    ]
    assert left(factory) == []


def test_a_strategy_is_undone(cloud, factory):
    with factory.borrowed():
        factory.set_strategy(INSTANCE, "box")
        assert factory.strategy(INSTANCE).swift_container == "box"
        assert left(factory) == ["backup_strategy"]
    assert factory.strategy(INSTANCE) is None
    assert left(factory) == []
