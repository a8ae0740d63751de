"""Instances that can't be built: how they fail, and what is left of them."""

from functools import partial
from uuid import uuid4

import pytest
from troveclient.exceptions import UnprocessableEntity

from trove.tests.fixtures.instances import need_volumes
from trove.tests.harness import networks
from trove.tests.harness.instances import delete_all
from trove.tests.harness.paging import every
from trove.tests.harness.traces import Traces

pytestmark = pytest.mark.instances

FAULTS = {
    "flavor": "No valid host was found",
    "network": "Failed to create User port for instance",
    "availability zone": "The requested availability zone is not available",
    "volume type": "Volume type with name no-such-type could not be found",
}


@pytest.fixture(scope="module")
def hopeless(instance_factory, instance_spec, impossible_flavor, admin_cloud):
    """Instances that Trove takes for possible, each with its traces, by what is wrong with them.

    All are asked for at once, and fail while tests run.
    """
    wrong = {
        "flavor": {"flavor_id": impossible_flavor},
        "network": {"nics": [{"net-id": str(uuid4())}]},
        "availability zone": {"availability_zone": "nowhere"},
        "another zone": {"availability_zone": "elsewhere"},
    }
    if instance_spec.volume_gb:
        wrong["volume type"] = {"volume": {"size": instance_spec.volume_gb, "type": "no-such-type"}}
    plain = {"databases": None, "users": None}
    asked = {
        what: instance_factory.request("hopeless", **change, **plain)
        for what, change in wrong.items()
    }
    yield {what: (instance, Traces(admin_cloud, instance)) for what, instance in asked.items()}
    delete_all(asked.values(), admin_cloud)


@pytest.mark.parametrize("what", FAULTS)
def test_what_can_not_be_built_fails_and_leaves_nothing(hopeless, what, instance_spec):
    if what == "volume type":
        need_volumes(instance_spec)
    instance, traces = hopeless[what]

    assert FAULTS[what] in instance.wait_until("ERROR", instance.timeouts.failed).fault

    instance.delete()
    assert traces.left() == []


def test_the_administrator_sees_where_it_failed_and_remembers(hopeless, admin_cloud):
    instance, _ = hopeless["another zone"]
    instance.wait_until("ERROR", instance.timeouts.failed)

    listing = admin_cloud.trove.mgmt_instances.list
    (failed,) = [each for each in every(listing) if each.id == instance.id]
    assert "Traceback" in failed.fault["details"]

    instance.delete()
    (deleted,) = [each for each in every(partial(listing, deleted=True)) if each.id == instance.id]
    assert (deleted.status, deleted.deleted) == ("SHUTDOWN", True)


def test_an_instance_still_being_built_is_deleted_by_force(
    cloud, instance_factory, instance_spec, admin_cloud, traces
):
    subnet = networks.free_address(cloud, instance_spec.network)["subnet_id"]
    instance = instance_factory.request(
        "unfinished",
        locality="anti-affinity",
        nics=[{"net-id": instance_spec.network, "subnet_id": subnet}],
    )
    # Before that Trove loses what the creation, still going on, makes beside the deletion.
    instance.wait_for_server(admin_cloud)
    found = traces(instance)
    with pytest.raises(UnprocessableEntity, match="is not ready"):
        instance.cloud.trove.instances.delete(instance.id)

    # python-troveclient leaves out what for.
    why = {"reset_status": {"force_delete": True}}
    admin_cloud.trove.client.post(f"/instances/{instance.id}/action", body=why)
    instance.delete()

    assert found.left() == []
