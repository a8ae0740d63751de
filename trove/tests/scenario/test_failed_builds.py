"""Instances that can't be built: how they fail, and what is left of them."""

from functools import partial
from uuid import uuid4

import pytest
from troveclient.exceptions import UnprocessableEntity

from trove.tests.fixtures.applicability import Reason, skip
from trove.tests.harness.paging import every

pytestmark = pytest.mark.instances


@pytest.fixture
def hopeless(instance_factory, admin_cloud):
    """Asks for instances that Trove takes for possible, and deletes those that are left."""
    asked = []

    def ask(**request):
        asked.append(instance_factory.request("hopeless", **request))
        return asked[-1]

    yield ask
    for instance in asked:
        if instance.exists:
            instance.delete(admin_cloud)


def test_a_server_for_which_no_host_is_large_enough(hopeless, impossible_flavor, traces):
    instance = hopeless(flavor_id=impossible_flavor)

    instance.wait_until("ERROR", instance.timeouts.failed)

    assert "No valid host was found" in instance.show()["fault"]["message"]
    found = traces(instance)
    instance.delete()
    assert found.left() == []


def test_an_availability_zone_that_is_not_there(hopeless, traces):
    instance = hopeless(availability_zone="nowhere")

    instance.wait_until("ERROR", instance.timeouts.failed)

    assert "availability zone" in instance.show()["fault"]["message"]
    found = traces(instance)
    instance.delete()
    assert found.left() == []


def test_a_network_that_is_not_there(hopeless, traces):
    instance = hopeless(nics=[{"net-id": str(uuid4())}])

    instance.wait_until("ERROR", instance.timeouts.failed)

    assert "network" in instance.show()["fault"]["message"].lower()
    found = traces(instance)
    instance.delete()
    assert found.left() == []


def test_a_volume_type_that_is_not_there(hopeless, instance_spec, traces):
    if not instance_spec.volume_gb:
        skip(Reason.NEEDS_VOLUMES, "this Trove gives its instances none")
    instance = hopeless(volume={"size": instance_spec.volume_gb, "type": "no-such-type"})

    instance.wait_until("ERROR", instance.timeouts.failed)

    assert "volume" in instance.show()["fault"]["message"].lower()
    found = traces(instance)
    instance.delete()
    assert found.left() == []


def test_the_administrator_sees_why_and_remembers(hopeless, admin_cloud):
    instance = hopeless(availability_zone="nowhere")
    instance.wait_until("ERROR", instance.timeouts.failed)

    fault = admin_cloud.trove.mgmt_instances.show(instance.id).fault
    assert "availability zone" in fault["message"]
    assert "Traceback" in fault["details"]

    instance.delete()
    deleted = every(partial(admin_cloud.trove.mgmt_instances.list, deleted=True))
    (remembered,) = [each for each in deleted if each.id == instance.id]
    assert remembered.status == "SHUTDOWN"


def test_an_instance_still_being_built_is_deleted_by_force(hopeless, admin_cloud, traces):
    instance = hopeless()
    with pytest.raises(UnprocessableEntity, match="is not ready"):
        instance.cloud.trove.instances.delete(instance.id)

    admin_cloud.trove.instances.reset_status(instance.id)
    found = traces(instance)
    instance.delete()

    assert found.left() == []
