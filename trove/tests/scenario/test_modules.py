"""Modules: files that Trove keeps, and hands to drivers on the guests they are applied to."""

from pathlib import Path

import pytest
from troveclient.exceptions import BadRequest, Forbidden, NotFound

from trove.tests.fixtures.applicability import Reason, skip
from trove.tests.harness.modules import ping
from trove.tests.harness.paging import every
from trove.tests.harness.run import run_of

pytestmark = [pytest.mark.modules, pytest.mark.usefixtures("datastore_version")]

ADMINISTRATORS_OPTIONS = [
    {"auto_apply": True},
    {"all_tenants": True},
    {"visible": False},
    {"priority_apply": True},
    {"full_access": True},
    {"full_access": False},
]


# Kept by Trove


def test_a_new_module_is_shown_and_listed(modules, cloud, datastore, datastore_version):
    anywhere = modules.create()
    module = modules.create(
        description="for one version",
        datastore=datastore.name,
        datastore_version=datastore_version.name,
    )

    shown = cloud.trove.modules.get(module.id)
    assert (shown.name, shown.type, shown.description) == (module.name, "ping", "for one version")
    assert (shown.datastore, shown.datastore_version) == (datastore.name, datastore_version.name)
    assert (shown.visible, shown.auto_apply, shown.live_update) == (True, False, False)
    assert (shown.priority_apply, shown.apply_order, shown.is_admin) == (False, 5, False)

    def listed(**query):
        return {each.id for each in cloud.trove.modules.list(**query)}

    assert listed() >= {module.id, anywhere.id}
    assert listed(datastore=datastore.name) >= {module.id}
    assert listed(datastore=datastore.name).isdisjoint({anywhere.id})
    assert listed(datastore="all") >= {anywhere.id}
    assert listed(datastore="all").isdisjoint({module.id})


def test_a_module_can_be_changed(modules, cloud, datastore, datastore_version):
    module = modules.create(datastore=datastore.name, datastore_version=datastore_version.name)

    cloud.trove.modules.update(
        module.id,
        name=f"{module.name}-2",
        description="changed",
        contents=ping("changed"),
        apply_order=1,
        live_update=True,
        all_datastores=True,
        all_datastore_versions=True,
    )
    changed = cloud.trove.modules.get(module.id)

    assert (changed.name, changed.description) == (f"{module.name}-2", "changed")
    assert (changed.apply_order, changed.live_update) == (1, True)
    assert (changed.datastore, changed.datastore_version) == ("all", "all")
    assert changed.md5 != module.md5
    # The same contents have the same checksum.
    assert cloud.trove.modules.update(module.id, contents=ping("changed")).md5 == changed.md5


def test_a_deleted_module_is_gone(modules, cloud):
    module = modules.create()

    modules.delete(module)

    with pytest.raises(NotFound):
        cloud.trove.modules.get(module.id)
    assert module.id not in {each.id for each in cloud.trove.modules.list()}
    with pytest.raises(NotFound):
        cloud.trove.modules.delete(module.id)


def test_a_module_that_makes_no_sense_is_refused(modules, cloud, datastore, datastore_version):
    module = modules.create(datastore=datastore.name)
    version = datastore_version.name

    with pytest.raises(BadRequest, match=f"^A module with the name '{module.name}' already exists"):
        modules.create(ping("again"), name=module.name, datastore=datastore.name)
    with pytest.raises(NotFound, match="^Module type 'no-such-type' was not found"):
        modules.create(type="no-such-type")
    with pytest.raises(NotFound, match="^Datastore 'no-such-datastore' cannot be found"):
        modules.create(datastore="no-such-datastore")
    with pytest.raises(BadRequest, match="^Datastore version 'no-such-version' cannot be found"):
        modules.create(datastore=datastore.name, datastore_version="no-such-version")
    with pytest.raises(BadRequest, match=f"^Datastore 'None' has no version '{version}'"):
        modules.create(datastore_version=version)
    with pytest.raises(BadRequest, match="^Datastore 'None' has no version"):
        cloud.trove.modules.update(module.id, all_datastores=True, datastore_version=version)
    with pytest.raises(BadRequest, match=r"\['contents'\] '' is too short|should be non-empty"):
        modules.create(contents="")
    with pytest.raises(BadRequest, match="apply_order"):
        modules.create(apply_order=10)


# Who may do what


@pytest.mark.usefixtures("plain_user")
@pytest.mark.parametrize("option", ADMINISTRATORS_OPTIONS, ids=str)
def test_an_administrators_option_is_refused_to_others(modules, cloud, option):
    module = modules.create()

    with pytest.raises(Forbidden, match="^You must be admin to create a module"):
        modules.create(**option)
    with pytest.raises(Forbidden, match="^You must be admin to update a module"):
        cloud.trove.modules.update(module.id, **option)


@pytest.mark.usefixtures("plain_user")
def test_an_administrators_module_is_seen_by_all_and_changed_by_none(modules, cloud, admin_cloud):
    module = modules.create(
        by=admin_cloud, all_tenants=True, priority_apply=True, live_update=True, apply_order=9
    )

    shown = cloud.trove.modules.get(module.id)
    assert (shown.is_admin, shown.tenant, shown.tenant_id) == (True, "all", None)
    assert (shown.priority_apply, shown.live_update, shown.apply_order) == (True, True, 9)
    assert module.id in {each.id for each in cloud.trove.modules.list()}
    with pytest.raises(Forbidden, match="Module is an admin module"):
        cloud.trove.modules.update(module.id, description="mine")
    with pytest.raises(Forbidden, match="^You must be admin to delete a module"):
        cloud.trove.modules.delete(module.id)


@pytest.mark.usefixtures("plain_user")
def test_an_invisible_module_is_none_to_users(modules, cloud, admin_cloud):
    module = modules.create(by=admin_cloud, all_tenants=True, visible=False)

    assert module.id not in {each.id for each in cloud.trove.modules.list()}
    for call in (cloud.trove.modules.get, cloud.trove.modules.delete):
        with pytest.raises(NotFound):
            call(module.id)
    with pytest.raises(NotFound):
        cloud.trove.modules.update(module.id, description="mine")

    admin_cloud.trove.modules.update(module.id, visible=True)
    assert cloud.trove.modules.get(module.id).visible


@pytest.mark.usefixtures("plain_user")
def test_an_administrator_switches_a_modules_options(modules, cloud, admin_cloud):
    # In the administrator's project: new instances of others must not get it.
    module = modules.create(by=admin_cloud, auto_apply=True)
    update = admin_cloud.trove.modules.update
    assert (module.auto_apply, module.is_admin) == (True, True)
    with pytest.raises(NotFound):
        cloud.trove.modules.get(module.id)

    assert not update(module.id, auto_apply=False).auto_apply
    assert update(module.id, priority_apply=True).priority_apply
    assert not update(module.id, priority_apply=False).priority_apply
    assert update(module.id, all_tenants=True).tenant == "all"
    assert update(module.id, all_tenants=False).tenant_id == admin_cloud.project_id


def test_full_access_makes_an_administrators_module_an_ordinary_one(modules, admin_cloud):
    module = modules.create(by=admin_cloud, full_access=True)
    update = admin_cloud.trove.modules.update

    assert not module.is_admin
    assert modules.create(by=admin_cloud, full_access=False).is_admin
    assert update(module.id, full_access=False).is_admin
    assert not update(module.id, full_access=True).is_admin
    with pytest.raises(BadRequest, match="Cannot make module full access"):
        modules.create(by=admin_cloud, full_access=True, auto_apply=True)


@pytest.mark.server_bug("administrators_cannot_list_modules")
def test_an_administrator_lists_all_modules(modules, admin_cloud):
    module = modules.create()
    hidden = modules.create(by=admin_cloud, visible=False)

    listed = {each.id for each in admin_cloud.trove.modules.list()}

    assert listed >= {module.id, hidden.id}


@pytest.mark.server_bug("instances_of_modules_are_miscounted")
def test_a_module_knows_how_many_instances_have_it(modules, cloud):
    assert cloud.trove.modules.get(modules.create().id).instance_count == 0


# Applied to an instance


def test_modules_are_applied_in_their_order(modules, cloud, admin_cloud, shared_instance):
    late = modules.create(ping("late"), apply_order=9)
    early = modules.create(ping("early"), apply_order=0)
    wrong = modules.create("greeting=hello", apply_order=5)
    urgent = modules.create(
        ping("urgent"), by=admin_cloud, all_tenants=True, priority_apply=True, apply_order=9
    )
    assert modules.instances(late) == []
    assert modules.counts(late) == {}

    answers = modules.apply(shared_instance, late, early, wrong, urgent)

    assert [(each.id, each.status, each.message) for each in answers] == [
        (urgent.id, "OK", "urgent"),
        (early.id, "OK", "early"),
        (wrong.id, "ERROR", "Message not found in contents file"),
        (late.id, "OK", "late"),
    ]
    assert modules.instances(late) == [shared_instance.id]
    assert modules.counts(late)[late.md5].instance_count == 1
    (clustered,) = cloud.trove.modules.instances(late.id, include_clustered=True)
    assert clustered.id == shared_instance.id


def test_an_applied_module_can_be_neither_changed_nor_deleted(modules, cloud, shared_instance):
    module = modules.create()
    modules.apply(shared_instance, module)

    with pytest.raises(Forbidden, match="^A module cannot be deleted or its contents modified"):
        cloud.trove.modules.update(module.id, contents=ping("changed"))
    with pytest.raises(Forbidden, match="^A module cannot be deleted or its contents modified"):
        modules.delete(module)


def test_a_live_module_is_changed_and_applied_anew(modules, cloud, shared_instance):
    module = modules.create(live_update=True)
    modules.apply(shared_instance, module)
    assert modules.counts(module)[module.md5].current

    changed = cloud.trove.modules.update(module.id, contents=ping("changed"))
    assert not modules.counts(module)[module.md5].current

    modules.reapply(module, md5=module.md5)
    assert modules.counts(module).keys() == {changed.md5}
    assert modules.counts(module)[changed.md5].instance_count == 1

    modules.reapply(module, force=True)
    assert modules.counts(module).keys() == {changed.md5}


def test_a_module_for_another_datastore_is_refused(modules, cloud, datastore, shared_instance):
    # Those of other runs go again.
    others = [
        each.name
        for each in every(cloud.trove.datastores.list)
        if each.name != datastore.name and not run_of(each.name)
    ]
    if not others:
        skip(Reason.NEEDS_ANOTHER_DATASTORE, f"Trove has none but {datastore.name}")
    module = modules.create(datastore=others[0])

    with pytest.raises(BadRequest, match="Wrong datastore"):
        modules.apply(shared_instance, module)


def test_what_is_not_applied_can_not_be_removed(modules, shared_instance):
    module = modules.create()

    with pytest.raises(BadRequest, match=f"Module '{module.name}' has not been applied"):
        modules.remove(shared_instance, module)


@pytest.mark.server_bug("applied_modules_are_unreadable")
def test_the_guest_tells_which_modules_it_has(modules, cloud, admin_cloud, shared_instance):
    module = modules.create()
    hidden = modules.create(by=admin_cloud, all_tenants=True, visible=False)
    modules.apply(shared_instance, module, hidden)

    def told(call):
        return {each.id: each.md5 for each in call(shared_instance.id)}

    for call in (cloud.trove.instances.modules, cloud.trove.instances.module_query):
        assert told(call) == {module.id: module.md5}
    assert told(admin_cloud.trove.instances.module_query).keys() == {module.id, hidden.id}


@pytest.mark.server_bug("applied_modules_are_unreadable")
def test_contents_are_read_back_from_the_guest(
    modules, cloud, admin_cloud, shared_instance, tmp_path
):
    module = modules.create(ping("read back"))
    admins = modules.create(ping("secret"), by=admin_cloud, all_tenants=True)
    modules.apply(shared_instance, module, admins)

    def contents(cloud):
        files = cloud.trove.instances.module_retrieve(shared_instance.id, directory=tmp_path)
        return {name: Path(file).read_text() for name, file in files.items()}

    assert contents(cloud)[module.name] == ping("read back")
    assert contents(cloud)[admins.name].startswith("Must be admin")
    assert contents(admin_cloud)[admins.name] == ping("secret")


@pytest.mark.server_bug("applied_modules_are_unreadable")
def test_a_removed_module_can_be_deleted(modules, shared_instance):
    module = modules.create()
    modules.apply(shared_instance, module)

    modules.remove(shared_instance, module)

    assert modules.instances(module) == []
    assert modules.counts(module) == {}
    modules.delete(module)
