import json

import pytest
from troveclient import exceptions as trove_errors

from trove.tests.harness import guest_logs, instances
from trove.tests.harness.guest_logs import GuestLog
from trove.tests.harness.instances import Instance, InstanceFactory, InstanceSpec
from trove.tests.harness.run import Run
from trove.tests.harness.timeouts import Timeouts
from trove.tests.harness.waiting import WaitTimeoutError
from trove.tests.unit.fakes import FakeCloud, Resource

STEM = "42/mysql-general"


class Log:
    """A log on the guest, behind Trove and Swift as a cloud has them.

    Its text becomes longer with every request to publish, as a database writes it.
    """

    def __init__(self, cloud, type="USER"):
        self.swift = cloud.object_store
        self.type = type
        self.enabled = type == "SYS"
        self.text = ""
        self.coming = []
        self.published = 0
        self.calls = []

    def show(self, _instance, _name):
        place = ("logs", f"{STEM}/") if self.published else ("None", "None")
        return Resource(
            name="general",
            type=self.type,
            status="Ready" if self.enabled else "Disabled",
            published=self.published,
            pending=len(self.text) - self.published,
            container=place[0],
            prefix=place[1],
            metafile=f"{STEM}_metafile",
        )

    def act(self, _instance, _name, enable=False, disable=False, publish=False, discard=False):
        asked = {"enable": enable, "disable": disable, "publish": publish, "discard": discard}
        self.calls.append(" ".join(action for action, wanted in asked.items() if wanted))
        if enable or disable or publish:
            self.enabled = not disable
        if publish:
            self._publish()
        if discard:
            self.swift.kept.clear()
            self.published = 0
        return self.show(_instance, _name)

    def _publish(self):
        if self.coming:
            self.text += self.coming.pop(0)
        if new := self.text[self.published :]:
            kept = self.swift.kept.setdefault("logs", {})
            kept[f"{STEM}/log-{self.published}"] = new.encode()
        self.published = len(self.text)
        facts = {"log_size": self.published}
        self.swift.kept.setdefault("logs", {})[f"{STEM}_metafile"] = json.dumps(facts).encode()


@pytest.fixture
def cloud(tmp_path):
    return FakeCloud(tmp_path / "cloud")


@pytest.fixture
def guest(cloud):
    return put_behind(cloud, Log(cloud))


def put_behind(cloud, log):
    cloud.trove.instances.log_show = log.show
    cloud.trove.instances.log_action = log.act
    cloud.trove.instances.log_list = lambda instance: [log.show(instance, "general")]
    return log


@pytest.fixture
def instance(cloud, monkeypatch) -> Instance:
    monkeypatch.setattr(instances, "LOOK_INTERVAL", 0)
    spec = InstanceSpec("mysql", "9.7", "small", "net", 0, False, 3306, dialect=None)
    instance = InstanceFactory(cloud, spec, Timeouts(change=0.2), Run.new()).request("db")
    instance.wait_until_configured = lambda: "HEALTHY"
    return instance


@pytest.fixture
def log(guest, instance):
    return GuestLog(instance, "general")


def open_kinds(instance):
    return [entry.kind for entry in instance.journal.open_entries()]


def test_logs_are_listed_by_their_names(guest, instance):
    (listed,) = guest_logs.listed(instance).values()
    assert (listed.name, listed.enabled) == ("general", False)
    assert (listed.container, listed.prefix, listed.stem) == (None, None, STEM)


@pytest.mark.parametrize(("status", "restarts"), [("HEALTHY", 0), ("RESTART_REQUIRED", 1)])
def test_the_database_restarts_where_it_has_to(log, instance, status, restarts):
    done = []
    instance.wait_until_configured = lambda: status
    instance.restart = lambda: done.append("restart")
    log.enable()
    log.enable()
    assert len(done) == restarts


def test_parts_come_in_the_order_in_which_they_were_published(log, guest):
    guest.text = "one\n"
    log.publish()
    guest.text += "two\n"
    log.publish()
    assert log.parts() == [b"one\n", b"two\n"]
    assert log.text() == "one\ntwo\n"
    assert log.metafile() == {"log_size": len(log.text())}
    assert len(log.stored()) == 3  # with the metafile


def test_nothing_is_published_before_the_first_time(log):
    assert (log.parts(), log.text(), log.stored()) == ([], "", [])


def test_it_is_published_until_the_text_is_there(log, guest, monkeypatch):
    monkeypatch.setattr(guest_logs, "PUBLISH_INTERVAL", 0.01)
    guest.coming = ["one\n", "two\n"]
    log.publish_with("two")
    assert log.text() == "one\ntwo\n"

    with pytest.raises(WaitTimeoutError, match="has 'three'"):
        log.publish_with("three")


def test_what_is_published_is_in_the_journal_until_it_is_discarded(log, instance, cloud):
    def see(*_args, **_actions):
        assert instance.journal.open_entries()[-1].id == STEM
        raise KeyboardInterrupt

    act, cloud.trove.instances.log_action = cloud.trove.instances.log_action, see
    with pytest.raises(KeyboardInterrupt):
        log.publish()
    cloud.trove.instances.log_action = act
    assert open_kinds(instance) == ["instance", "published_log"]

    log.discard()
    assert open_kinds(instance) == ["instance"]


def test_a_borrowers_log_is_disabled_and_discarded(log, guest, instance):
    with instance.borrowed():
        log.enable()
        log.publish()
        guest.calls.clear()
    assert guest.calls == ["disable", "discard"]
    assert open_kinds(instance) == ["instance"]


def test_what_a_borrower_has_put_back_is_left_alone(log, guest, instance):
    with instance.borrowed():
        log.publish(disable=True)
        log.discard()
        guest.calls.clear()
    assert guest.calls == []


def test_a_system_log_is_not_disabled(cloud, instance):
    guest = put_behind(cloud, Log(cloud, "SYS"))
    log = GuestLog(instance, "guest")
    with instance.borrowed():
        log.publish()
        guest.calls.clear()
    assert guest.calls == ["discard"]


def test_a_refused_request_leaves_nothing_to_undo(log, guest, instance, cloud):
    def refuse(*_args, **_actions):
        raise trove_errors.BadRequest("no")

    cloud.trove.instances.log_action = refuse
    with instance.borrowed(), pytest.raises(trove_errors.BadRequest):
        log.enable()


def test_an_administrator_publishes_in_another_project(tmp_path, guest, instance):
    admin = FakeCloud(tmp_path / "cloud", "admin")
    put_behind(admin, Log(admin)).text = "one\n"
    log = GuestLog(instance, "general", admin)
    log.publish()
    assert log.text() == "one\n"
    assert GuestLog(instance, "general").text() == ""
