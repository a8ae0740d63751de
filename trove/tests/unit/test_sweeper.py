import pytest
from troveclient import exceptions as trove_errors

from trove.tests.harness import sweeper
from trove.tests.harness.journal import PREFIX, Journal
from trove.tests.harness.timeouts import Timeouts
from trove.tests.unit.fakes import FakeCloud

TIMEOUTS = Timeouts()


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
    order = (
        "instance",
        "module",
        "configuration",
        "secret",
        "datastore_version",
        "datastore",
        "image",
        "flavor",
        "user",
        "project",
    )
    for kind in reversed(order):
        make(cloud, journal, kind, f"{PREFIX}1-{kind}", image="42")

    assert sweeper.sweep(journal, cloud, cloud, TIMEOUTS) == []

    assert [call.split()[1] for call in cloud.store.calls()] == list(order)
    assert journal.open_entries() == []


def test_deletes_the_newest_of_a_kind_first(cloud, journal):
    for name in ("source", "replica"):
        make(cloud, journal, "instance", f"{PREFIX}1-{name}")

    assert sweeper.sweep(journal, cloud, cloud, TIMEOUTS) == []

    assert [call.split("-")[-1] for call in cloud.store.calls()] == ["replica", "source"]


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
    make(cloud, journal, "instance", f"{PREFIX}1-db", told=False)
    make(cloud, journal, "datastore_version", "9.7", told=False, image="ours")
    make(cloud, journal, "secret", f"{PREFIX}1-bundle", told=False)

    assert sweeper.sweep(journal, cloud, cloud, TIMEOUTS) == []

    for kind in ("instance", "datastore_version", "secret"):
        assert cloud.store.all(kind) == []


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
    make(cloud, journal, "datastore_version", f"{PREFIX}1-spare", told=False, image="shared")

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
    spare = make(cloud, journal, "datastore", f"{PREFIX}1-spare", told=False)
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
    journal.creating("instance", f"{PREFIX}1-db")
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
