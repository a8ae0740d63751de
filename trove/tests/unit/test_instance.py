import contextlib
from types import SimpleNamespace

import pytest
from filelock import Timeout
from troveclient import exceptions as trove_errors

from trove.tests.common.errors import ScenarioError
from trove.tests.harness import instances, sweeper, timeline
from trove.tests.harness.instances import Instance, InstanceFactory, InstanceSpec
from trove.tests.harness.run import Run
from trove.tests.harness.sql import AccessRefusedError, CannotConnectError
from trove.tests.harness.timeouts import Timeouts
from trove.tests.harness.waiting import FailedStateError, WaitTimeoutError
from trove.tests.unit.fakes import FakeCloud, Resource


class Guest:
    """The guest behind Trove: databases and users by name, with every call noted."""

    def __init__(self):
        self.names = {"database": ["scenario"], "user": ["scenario"]}
        self.calls = []

    def api(self, kind):
        def create(_instance, wanted):
            self.calls += [f"create {kind} {each['name']}" for each in wanted]
            self.names[kind] += [each["name"] for each in wanted]

        def delete(_instance, name, **_host):
            self.calls.append(f"delete {kind} {name}")
            self.names[kind].remove(name)

        def every(_instance):
            return [Resource(name=name) for name in self.names[kind]]

        return SimpleNamespace(create=create, delete=delete, list=every)


class Dialect:
    """A database that takes connections as told."""

    def __init__(self):
        self.outcomes = []

    @contextlib.contextmanager
    def connect(self, server, login, database):
        if self.outcomes:
            raise self.outcomes.pop(0)
        who = f"{login.user}@{server.host}:{server.port}"
        yield SimpleNamespace(run=lambda statement, *_: f"{who} {statement}")


@pytest.fixture
def cloud(tmp_path):
    cloud = FakeCloud(tmp_path / "cloud")
    cloud.guest = Guest()
    cloud.trove.databases = cloud.guest.api("database")
    cloud.trove.users = cloud.guest.api("user")
    return cloud


@pytest.fixture
def spec():
    return InstanceSpec("mysql", "9.7", "small", "net", 0, False, 3306, Dialect())


@pytest.fixture
def factory(cloud, spec):
    return InstanceFactory(cloud, spec, Timeouts(), Run.new())


@pytest.fixture
def instance(factory) -> Instance:
    return factory.request("db")


def test_it_is_in_the_journal_before_trove_hears_of_it(cloud, factory):
    def see(name, **_):
        assert [entry.name for entry in factory.run.journal.open_entries()] == [name]
        raise KeyboardInterrupt

    cloud.trove.instances.create = see
    with pytest.raises(KeyboardInterrupt):
        factory.request("db")
    assert len(factory.run.journal.open_entries()) == 1


@pytest.mark.parametrize(
    "ask",
    [
        lambda factory: factory.request("db"),
        lambda factory: factory.request_replicas(SimpleNamespace(id="1"), 2),
    ],
    ids=["instance", "replicas"],
)
def test_a_refusal_is_one_sentence_and_nothing_to_clean_up(cloud, factory, ask):
    def refuse(name, **_):
        raise trove_errors.RequestEntityTooLarge("Quota exceeded")

    cloud.trove.instances.create = refuse
    with pytest.raises(ScenarioError, match="^Trove refuses to create instance .*Quota exceeded"):
        ask(factory)
    assert factory.run.journal.open_entries() == []


def test_a_name_that_is_asked_for_is_the_one_that_trove_hears(cloud, factory):
    made = factory.request("db", name="---")

    assert cloud.trove.instances.get(made.id).name == "---"
    (entry,) = factory.run.journal.open_entries()
    assert (entry.name, entry.id) == (made.name, made.id)


def test_whose_turn_it_is_waits_for_nobody_and_lets_nobody_else_ask(factory):
    with factory.in_turn() as mine:
        made = mine.request("db")
        with pytest.raises(Timeout):
            factory.run.alone("create").acquire(timeout=0)

    assert factory.handled == [made]
    factory.request("another")


@pytest.mark.parametrize(
    "error", [trove_errors.InternalServerError, trove_errors.GatewayTimeout], ids=str
)
def test_what_a_trove_that_fails_has_made_is_found_again(cloud, factory, error, monkeypatch):
    monkeypatch.setattr(sweeper, "SETTLING", 0)
    create = cloud.trove.instances.create

    def make_and_fail(name, **asked):
        create(name, **asked)
        raise error

    cloud.trove.instances.create = make_and_fail
    with pytest.raises(ScenarioError):
        factory.request("db")
    assert len(cloud.store.all("instance")) == 1

    assert sweeper.sweep(factory.run.journal, cloud, cloud, Timeouts()) == []

    assert cloud.store.all("instance") == []
    assert factory.run.journal.open_entries() == []


def test_who_borrows_an_instance_gives_it_back_in_its_own_version(cloud, instance, monkeypatch):
    ran = ["9.7"]
    monkeypatch.setattr(instance, "show", lambda: {"datastore": {"version": ran[-1]}})
    monkeypatch.setattr(instance, "wait_until_settled", lambda _timeout: None)
    cloud.trove.client = SimpleNamespace(
        put=lambda _path, body: ran.append(body["instance"]["datastore_version"])
    )

    with instance.borrowed():
        instance.upgrade("twin")
    assert ran == ["9.7", "twin", "9.7"]

    with instance.borrowed():
        instance.upgrade("twin")
        instance.upgrade("9.7")
    assert ran[3:] == ["twin", "9.7"]


def test_another_process_gets_the_same_instance(factory, instance):
    again = factory.restore(instance.dump())
    assert (again.id, again.name, again.login) == (instance.id, instance.name, instance.login)


def test_a_request_says_what_is_wanted_and_no_more(spec):
    assert spec.request() == {
        "flavor_id": "small",
        "datastore": "mysql",
        "datastore_version": "9.7",
        "nics": [{"net-id": "net"}],
    }


def test_a_failed_instance_ends_the_wait_with_its_fault(instance):
    instance.show = lambda: {"status": "ERROR", "fault": {"message": "No valid host"}}
    with pytest.raises(FailedStateError, match="fault: No valid host"):
        instance.wait_until_healthy()


def test_a_change_that_trove_gives_up_ends_the_wait_with_its_fault(instance, monkeypatch):
    fault = {"message": "Timeout trying to connect", "created": "2026-11-27T06:28:04"}
    begun = {"status": "RESIZE", "updated": "2026-11-27T06:27:47", "fault": None}
    looks = iter([begun, begun | {"fault": fault}])
    monkeypatch.setattr(instances, "SETTLING", 0)
    instance.show = lambda: next(looks)

    with pytest.raises(FailedStateError, match="fault: Timeout trying to connect"):
        instance.wait_until_settled(30)


def test_the_fault_of_an_earlier_change_ends_no_wait(instance, monkeypatch):
    fault = {"message": "Timeout trying to connect", "created": "2026-11-27T06:28:04"}
    begun = {"status": "RESIZE", "updated": "2026-11-27T06:40:00", "fault": fault}
    healthy = begun | {"status": "ACTIVE", "operating_status": "HEALTHY"}
    looks = iter([begun, healthy, healthy])
    monkeypatch.setattr(instances, "SETTLING", 0)
    instance.show = lambda: next(looks)

    instance.wait_until_settled(30)


@pytest.mark.parametrize(
    ("shown", "settled"),
    [
        ({"status": "BUILD", "operating_status": ""}, False),
        ({"status": "ACTIVE", "operating_status": ""}, False),
        ({"status": "ACTIVE", "operating_status": "SHUTDOWN"}, False),
        ({"status": "ACTIVE", "operating_status": "HEALTHY"}, True),
        ({"status": "HEALTHY"}, True),  # older servers
    ],
    ids=str,
)
def test_healthy_means_active_and_the_database_well(instance, shown, settled):
    instance.show = lambda: shown
    assert bool(instance._look()) is settled


@pytest.mark.parametrize(
    ("addresses", "taken"), [(["private"], "private"), (["private", "public"], "public")]
)
def test_a_public_address_is_taken_first(instance, addresses, taken):
    instance.show = lambda: {"addresses": [{"type": one, "address": one} for one in addresses]}
    assert instance.address == taken


def test_no_address(instance):
    instance.show = lambda: {"addresses": None}
    with pytest.raises(ScenarioError, match="has no address"):
        _ = instance.address


def test_what_a_borrower_made_is_undone_newest_first_after_databases(cloud, instance):
    with instance.borrowed():
        instance.create_database("library")
        instance.create_user("reader", "library")
        instance.create_user("writer", "library")
        cloud.guest.calls.clear()
    assert cloud.guest.calls == [
        "delete database library",
        "delete user writer",
        "delete user reader",
    ]


def test_what_a_borrower_deleted_is_not_deleted_again(cloud, instance):
    with instance.borrowed():
        instance.create_database("library")
        instance.delete_database("library")
        cloud.guest.calls.clear()
    assert cloud.guest.calls == []


def test_all_is_undone_though_one_undoing_fails(cloud, instance):
    def borrow():
        with instance.borrowed():
            instance.create_database("library")
            instance.create_user("reader")
            cloud.guest.names["user"].remove("reader")

    with pytest.raises(ValueError, match="not in list"):
        borrow()
    assert cloud.guest.names["database"] == ["scenario"]


def test_a_failing_borrower_does_not_keep_it_from_being_undone(cloud, instance):
    def borrow_and_fail():
        with instance.borrowed():
            instance.create_database("library")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        borrow_and_fail()
    assert cloud.guest.names["database"] == ["scenario"]


def test_a_connection_is_tried_again_and_a_refusal_is_not(instance, spec, monkeypatch):
    monkeypatch.setattr(Instance, "address", "db")
    monkeypatch.setattr(instances, "CONNECT_INTERVAL", 0)
    spec.dialect.outcomes = [CannotConnectError("starting")]
    assert instance.sql(instance.login, "SELECT 1") == "scenario@db:3306 SELECT 1"

    spec.dialect.outcomes = [AccessRefusedError("no")]
    with pytest.raises(AccessRefusedError):
        instance.sql(instance.login, "SELECT 1")
    assert instance.accepts(instance.login)


@pytest.mark.parametrize(
    ("answer", "volumes"),
    [(trove_errors.HttpNotImplemented, False), (trove_errors.RequestEntityTooLarge, True)],
)
def test_whether_trove_has_volumes_is_told_by_what_it_refuses(cloud, spec, answer, volumes):
    def refuse(_name, **request):
        assert request["volume"]["size"] > 10**6
        raise answer

    cloud.trove.instances.create = refuse
    assert instances.has_volumes(cloud, spec) is volumes


def test_a_deleted_instance_is_out_of_the_journal(factory, instance):
    instance.delete()
    assert not instance.exists
    assert factory.run.journal.open_entries() == []


def test_changes_of_state_are_kept(factory, instance):
    instance.wait_until_healthy()
    instance.delete()
    (life,) = timeline.lives(factory.run)
    assert (life.name, [phase.state for phase in life.phases]) == (
        instance.name,
        ["create", "BUILD", "HEALTHY"],
    )


@pytest.mark.parametrize(
    ("call", "grow"),
    [
        ("resize_instance", lambda instance: instance.resize("large")),
        ("resize_volume", lambda instance: instance.grow(3)),
    ],
)
def test_it_has_grown_once_it_is_healthy_again(cloud, instance, monkeypatch, call, grow):
    monkeypatch.setattr(instances, "LOOK_INTERVAL", 0)
    monkeypatch.setattr(instances, "SETTLING", 0)
    asked, states = [], ["RESIZE", *["ACTIVE"] * instances.HELD]

    def show(_id):
        return Resource(id=instance.id, status=states.pop(0), operating_status="HEALTHY")

    monkeypatch.setattr(cloud.trove.instances, "get", show)
    setattr(cloud.trove.instances, call, lambda *wanted: asked.append(wanted))
    grow(instance)
    assert [wanted[0] for wanted in asked] == [instance.id]
    assert states == []


@pytest.mark.parametrize(
    ("seen", "wanted"),
    [
        ({"status": "ERROR", "operating_status": ""}, "ERROR"),
        ({"status": "ACTIVE", "operating_status": "SHUTDOWN"}, "SHUTDOWN"),
    ],
)
def test_any_status_can_be_waited_for(cloud, instance, monkeypatch, seen, wanted):
    monkeypatch.setattr(instances, "LOOK_INTERVAL", 0)
    fault = {"fault": {"message": "it broke"}}
    looks = [{"status": "BUILD"}, {"status": "ACTIVE", "operating_status": "HEALTHY"}, seen | fault]
    monkeypatch.setattr(
        cloud.trove.instances,
        "list",
        lambda **_query: [Resource(id="other"), Resource(id=instance.id, **looks.pop(0))],
    )

    assert instance.wait_until(wanted).fault == "it broke"

    assert looks == []


def test_a_server_is_waited_for(cloud, instance, monkeypatch):
    monkeypatch.setattr(instances, "LOOK_INTERVAL", 0)
    looks = [{}, {"server": {"status": "BUILD"}}, {"server": {"status": "ACTIVE"}}]
    monkeypatch.setattr(
        cloud.trove.mgmt_instances,
        "list",
        lambda: [Resource(id=instance.id, status="BUILD", **looks.pop(0))],
    )

    instance.wait_for_server(cloud)

    assert looks == []


def test_an_action_of_novas_is_waited_for(cloud, instance):
    cloud.compute.server_actions = lambda id: [Resource(action="create"), Resource(action=id)]

    instance.wait_for_action(cloud, "server-of-it")

    instance.timeouts = Timeouts(change=0)
    with pytest.raises(WaitTimeoutError, match="Nova is asked for rebuild"):
        instance.wait_for_action(cloud, "rebuild")


def test_a_task_of_the_administrators_is_waited_for(cloud, instance, monkeypatch):
    monkeypatch.setattr(instances, "LOOK_INTERVAL", 0)
    tasks = ["Migrating the instance.", instances.NO_TASK]
    monkeypatch.setattr(
        cloud.trove.mgmt_instances,
        "list",
        lambda: [Resource(id=instance.id, task_description=tasks.pop(0))],
    )

    instance.wait_until_idle(cloud)

    assert tasks == []
