"""Configuration groups: settings that an instance's owner may change, read back by SQL."""

import json
from uuid import uuid4

import pytest
from troveclient.exceptions import BadRequest, NotFound, UnprocessableEntity

from trove.tests.harness.paging import every

pytestmark = pytest.mark.configurations


@pytest.mark.smoke
def test_a_setting_holds_while_its_group_is_attached(shared_instance):
    setting = shared_instance.spec.dialect.tunable
    default = shared_instance.setting(setting)
    group = shared_instance.create_configuration({setting: default + 7})

    assert shared_instance.attach(group) == "HEALTHY"
    assert shared_instance.setting(setting) == default + 7

    assert shared_instance.detach() == "HEALTHY"
    assert shared_instance.setting(setting) == default


def test_a_setting_that_needs_a_restart_waits_for_it(shared_instance):
    setting = shared_instance.spec.dialect.tunable_at_start
    default = shared_instance.setting(setting)
    group = shared_instance.create_configuration({setting: default + 1})

    assert shared_instance.attach(group) == "RESTART_REQUIRED"
    assert shared_instance.setting(setting) == default
    shared_instance.restart()
    assert shared_instance.setting(setting) == default + 1

    assert shared_instance.detach() == "RESTART_REQUIRED"
    assert shared_instance.setting(setting) == default + 1
    shared_instance.restart()
    assert shared_instance.setting(setting) == default


def test_what_is_edited_in_an_attached_group_is_in_force(cloud, shared_instance):
    setting = shared_instance.spec.dialect.tunable
    default = shared_instance.setting(setting)
    group = shared_instance.create_configuration({setting: default + 7})
    shared_instance.attach(group)

    cloud.trove.configurations.edit(group, json.dumps({setting: default + 9}))

    assert shared_instance.wait_until_configured() == "HEALTHY"
    assert shared_instance.setting(setting) == default + 9


def test_an_updated_group_has_what_it_was_updated_to(cloud, shared_instance):
    setting = shared_instance.spec.dialect.tunable
    value = shared_instance.setting(setting) + 7
    group = shared_instance.create_configuration({setting: value})

    cloud.trove.configurations.update(
        group, json.dumps({setting: value + 1}), name="updated", description="by a test"
    )

    shown = cloud.trove.configurations.get(group)
    assert (shown.name, shown.description) == ("updated", "by a test")
    assert shown.values == {setting: value + 1}


def test_an_attached_group_and_its_instance_know_of_each_other(cloud, shared_instance):
    setting = shared_instance.spec.dialect.tunable
    group = shared_instance.create_configuration({setting: shared_instance.setting(setting)})
    assert every(cloud.trove.configurations.instances, group) == []

    shared_instance.attach(group)

    assert shared_instance.show()["configuration"]["id"] == group
    (attached,) = every(cloud.trove.configurations.instances, group)
    assert attached.id == shared_instance.id
    assert cloud.trove.configurations.get(group).instance_count == 1


def test_a_group_is_listed_until_it_is_deleted(cloud, shared_instance):
    group = shared_instance.create_configuration({})
    listing = cloud.trove.configurations.list

    assert group in [each.id for each in every(listing)]

    cloud.trove.configurations.delete(group)
    assert group not in [each.id for each in every(listing)]


def test_the_defaults_of_an_instance_are_told(cloud, shared_instance):
    defaults = cloud.trove.instances.configuration(shared_instance.id).configuration

    assert shared_instance.spec.dialect.tunable in defaults


@pytest.mark.parametrize("wrong", ["unknown", "too small", "too large", "no number"])
def test_a_value_that_can_not_be_is_refused(shared_instance, target, wrong):
    name = shared_instance.spec.dialect.tunable
    (tunable,) = (each for each in target.version.parameters if each.name == name)
    values, words = {
        "unknown": ({"no_such_setting": 1}, "no_such_setting is not supported"),
        "too small": ({name: tunable.min - 1}, f"less than the minimum allowed: {tunable.min}"),
        "too large": ({name: tunable.max + 1}, f"greater than the maximum allowed: {tunable.max}"),
        "no number": ({name: "many"}, "is not of type integer"),
    }[wrong]

    with pytest.raises(UnprocessableEntity, match=words):
        shared_instance.create_configuration(values)


def test_a_refused_edit_changes_nothing(cloud, shared_instance):
    setting = shared_instance.spec.dialect.tunable
    value = shared_instance.setting(setting)
    group = shared_instance.create_configuration({setting: value})

    with pytest.raises(UnprocessableEntity):
        cloud.trove.configurations.edit(group, json.dumps({setting: "many"}))

    assert cloud.trove.configurations.get(group).values == {setting: value}


def test_an_attached_group_can_not_be_deleted(cloud, shared_instance):
    group = shared_instance.create_configuration({})
    shared_instance.attach(group)

    with pytest.raises(BadRequest):
        cloud.trove.configurations.delete(group)


def test_no_second_group_can_be_attached(cloud, shared_instance):
    shared_instance.attach(shared_instance.create_configuration({}))
    other = shared_instance.create_configuration({})

    with pytest.raises(BadRequest):
        cloud.trove.instances.update(shared_instance.id, configuration=other)


def test_an_unknown_group_can_be_neither_shown_nor_attached(cloud, shared_instance):
    unknown = str(uuid4())
    with pytest.raises(NotFound):
        cloud.trove.configurations.get(unknown)
    with pytest.raises(NotFound):
        cloud.trove.instances.update(shared_instance.id, configuration=unknown)
