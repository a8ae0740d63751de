"""Configuration groups: settings that an instance's owner may change."""

import pytest

pytestmark = pytest.mark.configurations


def test_a_setting_holds_while_its_group_is_attached(shared_instance):
    setting = shared_instance.spec.dialect.tunable
    default = shared_instance.setting(setting)
    group = shared_instance.create_configuration({setting: default + 7})

    shared_instance.attach(group)
    assert shared_instance.setting(setting) == default + 7

    shared_instance.detach()
    assert shared_instance.setting(setting) == default


def test_an_attached_group_is_shown_with_the_instance(shared_instance):
    setting = shared_instance.spec.dialect.tunable
    group = shared_instance.create_configuration({setting: shared_instance.setting(setting)})

    shared_instance.attach(group)

    assert shared_instance.show()["configuration"]["id"] == group
