"""The superuser, who may log in only while the instance's owner wants it."""

import pytest

from trove.tests.harness.sql import AccessRefusedError

pytestmark = pytest.mark.root


def test_root_is_not_enabled_unasked(shared_instance):
    assert not shared_instance.root_enabled


def test_root_logs_in_while_enabled_and_not_after(shared_instance):
    root = shared_instance.enable_root()
    assert shared_instance.root_enabled
    assert shared_instance.sql(root, "SELECT 42") == 42

    shared_instance.disable_root()

    assert not shared_instance.root_enabled
    with pytest.raises(AccessRefusedError):
        shared_instance.sql(root, "SELECT 42")
