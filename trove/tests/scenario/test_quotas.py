"""What a project may have of Trove, and what happens when it wants more."""

import pytest
from troveclient.exceptions import BadRequest, NotFound, RequestEntityTooLarge, Unauthorized

from trove.tests.fixtures.instances import need_volumes
from trove.tests.harness import quotas

pytestmark = pytest.mark.catalogue


@pytest.fixture(autouse=True)
def _alone(run):
    """Limits are a project's: nobody changes them while another test looks, whatever it tests."""
    with run.alone("limits"):
        yield


def test_a_new_project_has_nothing_and_the_limits_that_all_have(neighbour, admin_cloud, target):
    assert set(quotas.in_use(neighbour, neighbour.project_id).values()) == {0}
    assert quotas.limits(neighbour, neighbour.project_id) == quotas.limits(
        admin_cloud, neighbour.project_id
    )


def test_a_limit_can_be_changed(neighbour, admin_cloud, target):
    before = quotas.limits(neighbour, neighbour.project_id)

    with quotas.limited(admin_cloud, neighbour.project_id, instances=3, backups=2):
        changed = quotas.limits(neighbour, neighbour.project_id)
        assert changed == before | {"instances": 3, "backups": 2}
        assert neighbour.trove.limits.list()[0].max_instances == 3

    assert quotas.limits(neighbour, neighbour.project_id) == before


@pytest.mark.parametrize("resource", ["instances", "ram", "volumes"])
def test_more_than_the_quota_is_refused(neighbour, admin_cloud, refusal, resource, instance_spec):
    if resource == "volumes":
        need_volumes(instance_spec)

    with quotas.limited(admin_cloud, neighbour.project_id, **{resource: 0}):
        # Without a network: those there are belong to others.
        answer = refusal(by=neighbour, nics=None)

    assert type(answer) is RequestEntityTooLarge
    assert answer.message == f"Quota exceeded for resources: ['{resource}']."
    assert set(quotas.in_use(neighbour, neighbour.project_id).values()) == {0}


def test_a_limit_below_none_is_refused(neighbour, admin_cloud, target):
    with pytest.raises(BadRequest, match=r"^Quota limit '-2' for 'instances' is too small"):
        admin_cloud.trove.quota.update(neighbour.project_id, {"instances": -2})


def test_a_limit_of_something_unknown_is_refused(neighbour, admin_cloud, target):
    with pytest.raises(NotFound, match="^Unknown quota resources elephants"):
        admin_cloud.trove.quota.update(neighbour.project_id, {"elephants": 1})


def test_a_user_does_not_change_limits(plain_user, target):
    with pytest.raises(Unauthorized, match="^User does not have admin privileges"):
        plain_user.trove.quota.update(plain_user.project_id, {"instances": 1000})
