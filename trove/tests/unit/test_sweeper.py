import threading
import time
from dataclasses import replace
from functools import partial

import pytest
from troveclient import exceptions as trove_errors

from trove.tests.harness import sweeper
from trove.tests.harness.journal import PREFIX, Journal
from trove.tests.harness.timeouts import Timeouts
from trove.tests.harness.waiting import wait_for
from trove.tests.unit.fakes import DELETION_ORDER, Collection, FakeCloud

TIMEOUTS = Timeouts()
OURS = f"{PREFIX}2611260000beef-{{}}-0a1b"  # what a run calls what it makes


@pytest.fixture(autouse=True)
def _settled(monkeypatch):
    monkeypatch.setattr(sweeper, "SETTLING", 0)


@pytest.fixture
def journal(tmp_path):
    return Journal(tmp_path / "journal.jsonl")


@pytest.fixture
def cloud(tmp_path):
    return FakeCloud(tmp_path / "cloud")


def make(cloud, journal, kind, name, *, told=True, **attributes):
    """Make a resource as a run does; ``told``: it lived to be told the id."""
    entry = journal.creating(kind, name, **attributes)
    made = cloud.store.put(kind, name=name, status="ACTIVE", **attributes)
    if told:
        journal.created(entry, made.id)
    return made


def test_deletes_in_an_order_in_which_nothing_is_in_use(cloud, journal):
    order = [kind for kind in DELETION_ORDER if kind != "container"]
    for kind in reversed(order):
        make(cloud, journal, kind, f"{PREFIX}1-{kind}", image="42")

    assert sweeper.sweep(journal, cloud, cloud, TIMEOUTS) == []

    assert [call.split()[1] for call in cloud.store.calls()] == order
    assert journal.open_entries() == []


def test_replicas_are_gone_before_their_source_is_deleted(cloud, journal):
    source = make(cloud, journal, "instance", f"{PREFIX}1-source")
    for number in range(3):
        make(cloud, journal, "instance", f"{PREFIX}1-replica{number}", replica_of={"id": source.id})
    delete = cloud.trove.instances.delete

    def refuse(id):
        assert id != source.id or len(cloud.store.all("instance")) == 1
        delete(id)

    cloud.trove.instances.delete = refuse

    assert sweeper.sweep(journal, cloud, cloud, TIMEOUTS) == []

    assert cloud.store.calls()[-1] == f"delete instance {PREFIX}1-source"


def test_two_hundred_are_deleted_within_a_minute_where_an_answer_takes_a_third_of_a_second(
    cloud, journal, monkeypatch
):
    kinds = ("instance", "backup", "configuration", "volume", "port")
    for kind in kinds:
        for number in range(40):
            make(cloud, journal, kind, f"{PREFIX}1-{kind}-{number}")
    # A tenth of both.
    answer = Collection.get

    def get(collection, id):
        time.sleep(0.03)
        return answer(collection, id)

    monkeypatch.setattr(Collection, "get", get)
    monkeypatch.setenv("FAKE_DELETE_SECONDS", "0.03")
    begun = time.monotonic()

    assert sweeper.sweep(journal, cloud, cloud, TIMEOUTS) == []

    assert time.monotonic() - begun < 6
    assert [cloud.store.all(kind) for kind in kinds] == [[]] * 5


@pytest.mark.parametrize("status", ["NEW", "BUILDING", "SAVING"])
def test_a_backup_that_will_never_end_is_given_up_before_its_instance_goes(cloud, journal, status):
    instance = make(cloud, journal, "instance", f"{PREFIX}1-db")
    backup = make(cloud, journal, "backup", f"{PREFIX}1-backup", instance_id=instance.id)
    cloud.store.put("backup", **vars(backup) | {"status": status})
    delete = cloud.trove.backups.delete

    def fail(id):
        assert cloud.trove.instances.get(id)
        cloud.store.put("backup", **vars(backup) | {"status": "FAILED"})

    def refuse(id):
        if cloud.trove.backups.get(id).status == status:
            raise trove_errors.InternalServerError
        delete(id)

    cloud.trove.mgmt_instances.reset_task_status = fail
    cloud.trove.backups.delete = refuse

    assert sweeper.sweep(journal, cloud, cloud, TIMEOUTS) == []

    assert (cloud.store.all("backup"), cloud.store.all("instance")) == ([], [])


def test_what_was_asked_for_a_moment_ago_may_yet_appear(cloud, journal, monkeypatch):
    monkeypatch.setattr(sweeper, "SETTLING", 0.5)
    entry = journal.creating("instance", OURS.format("db"))
    appearing = threading.Timer(0.2, cloud.store.put, ["instance"], {"name": entry.name})
    appearing.start()

    assert sweeper.sweep(journal, cloud, cloud, TIMEOUTS) == []

    appearing.join()
    assert cloud.store.all("instance") == []


def test_a_backup_that_still_runs_is_asked_for_again(cloud, journal, monkeypatch):
    monkeypatch.setattr(sweeper, "wait_for", partial(wait_for, interval=0.01))
    make(cloud, journal, "backup", f"{PREFIX}1-backup")
    refusals = [trove_errors.UnprocessableEntity("it is running")] * 2
    delete = cloud.trove.backups.delete

    def refuse(id):
        if refusals:
            raise refusals.pop()
        delete(id)

    cloud.trove.backups.delete = refuse

    assert sweeper.sweep(journal, cloud, cloud, TIMEOUTS) == []
    assert cloud.store.all("backup") == []


def test_what_does_not_go_in_time_is_told_with_its_state(cloud, journal, monkeypatch):
    monkeypatch.setattr(sweeper, "wait_for", partial(wait_for, interval=0.01))
    stuck = make(cloud, journal, "volume", f"{PREFIX}1-volume")
    cloud.block_storage.delete_volume = lambda _id, ignore_missing: None

    (problem,) = sweeper.sweep(journal, cloud, cloud, replace(TIMEOUTS, gone=0.1))

    assert problem.startswith(f"volume {stuck.name} ({stuck.id}): 1 of kind volume deleted: not")
    assert "1 left: ACTIVE" in problem
    assert [entry.name for entry in journal.open_entries()] == [stuck.name]


def test_a_kind_that_cannot_be_listed_does_not_keep_the_rest(cloud, journal):
    make(cloud, journal, "instance", f"{PREFIX}1-db")
    make(cloud, journal, "volume", f"{PREFIX}1-volume")

    def fail(*_args):
        raise trove_errors.ClientException(500, "the database is gone")

    cloud.trove.instances.list = fail

    (problem,) = sweeper.sweep(journal, cloud, cloud, TIMEOUTS)

    assert problem.startswith(f"instance {PREFIX}1-db")
    assert "the database is gone" in problem
    assert cloud.store.all("volume") == []


def test_a_container_goes_with_what_is_in_it(cloud, journal):
    name = f"{PREFIX}1-container"
    cloud.object_store.kept = {name: {"segment": b"1"}, "theirs": {"object": b"2"}}
    journal.created(journal.creating("container", name), name)

    assert sweeper.sweep(journal, cloud, cloud, TIMEOUTS) == []

    assert cloud.object_store.kept == {"theirs": {"object": b"2"}}


def test_a_source_that_was_promoted_is_deleted_after_its_replicas(cloud, journal, monkeypatch):
    source = make(cloud, journal, "instance", f"{PREFIX}1-old")
    promoted = make(cloud, journal, "instance", f"{PREFIX}1-new")
    delete = cloud.trove.instances.delete

    def refuse(id):
        if id == promoted.id and cloud.store.all("instance")[1:]:
            raise trove_errors.Forbidden("it has replicas")
        delete(id)

    monkeypatch.setattr(cloud.trove.instances, "delete", refuse)

    assert sweeper.sweep(journal, cloud, cloud, TIMEOUTS) == []

    assert cloud.store.all("instance") == []
    assert source.id not in [entry.id for entry in journal.open_entries()]


def test_deletes_by_name_where_the_id_was_never_told(cloud, journal):
    make(cloud, journal, "instance", OURS.format("db"), told=False)
    make(cloud, journal, "datastore_version", "9.7", told=False, image="ours")
    make(cloud, journal, "secret", OURS.format("bundle"), told=False)

    assert sweeper.sweep(journal, cloud, cloud, TIMEOUTS) == []

    for kind in ("instance", "datastore_version", "secret"):
        assert cloud.store.all(kind) == []


def test_what_all_runs_call_the_same_is_not_deleted_by_its_name(cloud, journal):
    names = {"image": f"{PREFIX}mysql-0123456789ab", "flavor": f"{PREFIX}1536-2-5"}
    theirs = [make(cloud, journal, kind, name, told=False) for kind, name in names.items()]

    assert sweeper.sweep(journal, cloud, cloud, TIMEOUTS) == []

    assert [*cloud.store.all("image"), *cloud.store.all("flavor")] == theirs
    assert journal.open_entries() == []


def test_instances_and_their_backups_go_together_the_newest_first(cloud, journal):
    for kind, name in (("instance", "source"), ("backup", "full"), ("instance", "restored")):
        make(cloud, journal, kind, f"{PREFIX}1-{name}")

    assert sweeper.sweep(journal, cloud, cloud, TIMEOUTS) == []

    assert [call.rpartition("-")[2] for call in cloud.store.calls()] == [
        "restored",
        "full",
        "source",
    ]


def test_what_another_tree_made_is_told_and_left(cloud, journal):
    journal.creating("starship", f"{PREFIX}1-galileo")
    make(cloud, journal, "instance", f"{PREFIX}1-db")

    (problem,) = sweeper.sweep(journal, cloud, cloud, TIMEOUTS)

    assert problem == f"starship {PREFIX}1-galileo: unknown to this version"
    assert [entry.kind for entry in journal.open_entries()] == ["starship"]


def test_a_version_with_a_name_of_ours_is_told_by_it(cloud, journal):
    theirs = cloud.store.put("datastore_version", name="9.7", image="shared")
    make(cloud, journal, "datastore_version", OURS.format("spare"), told=False, image="shared")

    assert sweeper.sweep(journal, cloud, cloud, TIMEOUTS) == []

    assert cloud.store.all("datastore_version") == [theirs]


def test_a_version_that_trove_calls_a_bad_request_is_gone(cloud, journal):
    def refuse(_id):
        raise trove_errors.BadRequest("Datastore version '42' cannot be found.")

    versions = cloud.trove.mgmt_ds_versions
    versions.get = versions.show = versions.delete = refuse
    journal.created(journal.creating("datastore_version", f"{PREFIX}1-spare", image="x"), "42")

    assert sweeper.sweep(journal, cloud, cloud, TIMEOUTS) == []
    assert journal.open_entries() == []


def test_one_resource_is_removed_alone(cloud, journal):
    spare = make(cloud, journal, "datastore", OURS.format("spare"), told=False)
    other = make(cloud, journal, "datastore", f"{PREFIX}1-other")
    (entry, _) = journal.open_entries()

    sweeper.remove(entry, cloud, cloud, TIMEOUTS)
    sweeper.remove(entry, cloud, cloud, TIMEOUTS)

    assert spare != other
    assert cloud.store.all("datastore") == [other]


def test_touches_nothing_else(cloud, journal):
    cloud.store.put("instance", name=f"{PREFIX}2-db")
    cloud.store.put("instance", name="theirs")
    cloud.store.put("datastore_version", name="9.7", image="theirs")
    journal.creating("instance", OURS.format("db"))
    journal.creating("instance", "theirs")  # not a name that this project gives
    journal.creating("datastore_version", "9.7", image="ours")

    assert sweeper.sweep(journal, cloud, cloud, TIMEOUTS) == []

    assert cloud.store.calls() == []
    assert journal.open_entries() == []


def test_what_is_gone_already_is_fine(cloud, journal):
    journal.created(journal.creating("instance", f"{PREFIX}1-db"), "42")

    assert sweeper.sweep(journal, cloud, cloud, TIMEOUTS) == []
    assert journal.open_entries() == []


def test_one_failure_does_not_keep_the_rest(cloud, journal):
    stuck = make(cloud, journal, "instance", f"{PREFIX}1-stuck")
    make(cloud, journal, "instance", f"{PREFIX}1-db")
    delete = cloud.trove.instances.delete

    def refuse_one(id):
        if id == stuck.id:
            raise trove_errors.Forbidden("it has replicas")
        delete(id)

    cloud.trove.instances.delete = refuse_one

    (problem,) = sweeper.sweep(journal, cloud, cloud, TIMEOUTS)

    assert problem.startswith(f"instance {PREFIX}1-stuck ({stuck.id}): it has replicas")
    assert [each.name for each in cloud.store.all("instance")] == [stuck.name]
    assert [entry.name for entry in journal.open_entries()] == [stuck.name]


def test_an_instance_still_being_built_is_deleted_by_force(cloud, journal):
    built = make(cloud, journal, "instance", f"{PREFIX}1-db")
    admin, reset = FakeCloud(cloud.store.folder), []
    admin.trove.instances.reset_status = reset.append
    delete = cloud.trove.instances.delete

    def refuse_until_reset(id):
        if not reset:
            raise trove_errors.UnprocessableEntity("is not ready")
        delete(id)

    cloud.trove.instances.delete = refuse_until_reset

    assert sweeper.sweep(journal, cloud, admin, TIMEOUTS) == []
    assert reset == [built.id]
    assert cloud.store.all("instance") == []


def test_published_logs_are_deleted_wherever_they_are(tmp_path, journal):
    user, admin = FakeCloud(tmp_path / "cloud", "user"), FakeCloud(tmp_path / "cloud", "admin")
    for cloud in (user, admin):
        for name in ("42/mysql-general/log-1", "42/mysql-general_metafile", "43/mysql-general"):
            cloud.object_store.kept.setdefault("logs", {})[name] = b""
    journal.created(journal.creating("published_log", "db general"), "42/mysql-general")

    assert sweeper.sweep(journal, user, admin, TIMEOUTS) == []

    for cloud in (user, admin):
        assert list(cloud.object_store.kept["logs"]) == ["43/mysql-general"]
    assert journal.open_entries() == []
