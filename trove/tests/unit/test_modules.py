import pytest
from troveclient import exceptions as trove_errors

from trove.tests.harness import modules as modules_
from trove.tests.harness.instances import InstanceFactory, InstanceSpec
from trove.tests.harness.modules import Modules, ping
from trove.tests.harness.run import Run
from trove.tests.harness.timeouts import Timeouts
from trove.tests.harness.waiting import WaitTimeoutError
from trove.tests.unit.fakes import FakeCloud, Resource


class Guest:
    """The modules of one instance, with every call noted."""

    def __init__(self):
        self.has = []
        self.calls = []
        self.refuses = False

    def apply(self, _instance, modules):
        self.has += [module.id for module in modules]
        return modules

    def remove(self, _instance, id):
        self.calls.append(f"remove {id}")
        if self.refuses:
            raise trove_errors.BadRequest("It can't.\nTraceback: …")
        self.has.remove(id)


class Applied:
    """How many instances have a module: each look finds the next of what is coming."""

    def __init__(self, *coming):
        self.coming = list(coming)
        self.asked = []

    def instances(self, _id, count_only):
        assert count_only
        current, date = self.coming[0] if len(self.coming) == 1 else self.coming.pop(0)
        return [Resource(module_md5="md5", current=current, max_updated_date=date)]

    def reapply(self, _id, **how):
        self.asked.append(how)


@pytest.fixture
def cloud(tmp_path):
    cloud = FakeCloud(tmp_path / "cloud")
    cloud.guest = Guest()
    cloud.trove.instances.module_apply = cloud.guest.apply
    cloud.trove.instances.module_remove = cloud.guest.remove
    return cloud


@pytest.fixture
def admin(tmp_path):
    return FakeCloud(tmp_path / "admin")


@pytest.fixture
def run():
    return Run.new()


@pytest.fixture
def modules(cloud, run):
    return Modules(cloud, run, Timeouts(change=0.2))


@pytest.fixture
def instance(cloud, run):
    spec = InstanceSpec("mysql", "9.7", "small", "net", 0, False, 3306, dialect=None)
    return InstanceFactory(cloud, spec, Timeouts(), Run.new()).request("db")


def test_it_is_in_the_journal_before_trove_hears_of_it(modules, cloud, run):
    def see(name, type, contents, **options):
        assert (type, contents, options) == ("ping", ping("hello"), {"visible": True})
        assert [entry.name for entry in run.journal.open_entries()] == [name]
        raise KeyboardInterrupt

    cloud.trove.modules.create = see
    with pytest.raises(KeyboardInterrupt):
        modules.create(visible=True)
    assert [entry.kind for entry in run.journal.open_entries()] == ["module"]


def test_one_of_a_name_that_another_has_is_still_told_from_it(modules, cloud, run):
    with modules:
        first = modules.create()
        second = modules.create(name=first.name)
        assert second.name == first.name
        assert len(run.journal.open_entries()) == 2
    assert cloud.store.all("module") == run.journal.open_entries() == []


def test_what_is_refused_leaves_nothing(modules, cloud, run):
    def refuse(*_args):
        raise trove_errors.Forbidden("no")

    cloud.trove.modules.create = refuse
    with modules, pytest.raises(trove_errors.Forbidden):
        modules.create()
    assert run.journal.open_entries() == []


def test_at_the_end_all_are_taken_back_and_then_deleted(modules, cloud, run, instance):
    with modules:
        applied, other = modules.create(), modules.create()
        modules.apply(instance, applied)
    assert cloud.guest.calls == [f"remove {applied.id}"]
    assert cloud.guest.has == []
    assert cloud.store.calls()[-2:] == [
        f"delete module {other.name}",
        f"delete module {applied.name}",
    ]
    assert run.journal.open_entries() == []


def test_what_is_deleted_or_removed_already_is_left_alone(modules, cloud, instance):
    with modules:
        deleted, removed = modules.create(), modules.create()
        modules.apply(instance, removed)
        modules.delete(deleted)
        modules.remove(instance, removed)
        cloud.guest.calls.clear()
    assert cloud.guest.calls == []
    assert cloud.store.all("module") == []


def test_what_a_guest_keeps_is_left_to_the_end_of_the_run(modules, cloud, run, instance):
    cloud.guest.refuses = True
    with modules:
        kept, other = modules.create(), modules.create()
        modules.apply(instance, kept, other)
        cloud.guest.refuses = False
        modules.remove(instance, other)
        cloud.guest.refuses = True
    assert [each.id for each in cloud.store.all("module")] == [kept.id]
    assert [entry.id for entry in run.journal.open_entries()] == [kept.id]


def test_an_administrators_module_is_an_administrators_to_delete(modules, cloud, admin):
    with modules:
        modules.create(by=admin)
        assert len(admin.store.all("module")) == 1
    assert admin.store.all("module") == cloud.store.all("module") == []


@pytest.mark.parametrize(
    ("force", "coming"),
    [
        (False, [(False, "1"), (False, "1"), (True, "1")]),
        # Each look at a forced one asks for both.
        (True, [(True, "1"), (True, "1"), (True, "1"), (True, "2")]),
    ],
)
def test_it_is_applied_anew_until_it_is(modules, cloud, monkeypatch, force, coming):
    monkeypatch.setattr(modules_, "REAPPLY_INTERVAL", 0.01)
    applied = Applied(*coming)
    cloud.trove.modules.instances, cloud.trove.modules.reapply = applied.instances, applied.reapply
    modules.reapply(modules.create(), md5="old", force=force)
    assert applied.asked[-1] == {"md5": "old", "force": force}
    assert len(applied.coming) == 1

    applied.coming = [(False, "1")]
    with pytest.raises(WaitTimeoutError, match="is applied anew"):
        modules.reapply(modules.create())
