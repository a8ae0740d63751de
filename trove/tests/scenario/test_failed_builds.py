"""Instances that can't be built: how they fail, and what is left of them."""

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from ipaddress import ip_address, ip_network
from uuid import uuid4

import pytest
from troveclient.exceptions import UnprocessableEntity

from trove.tests.fixtures.instances import need_volumes
from trove.tests.harness import networks
from trove.tests.harness.instances import Instance
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
def hopeless(instance_factory, instance_spec, impossible_flavor) -> dict[str, Instance]:
    """Instances that Trove takes for possible, by what is wrong with them; all are asked for."""
    wrong = {
        "flavor": {"flavor_id": impossible_flavor},
        "network": {"nics": [{"net-id": str(uuid4())}]},
        "availability zone": {"availability_zone": "nowhere"},
        "another zone": {"availability_zone": "elsewhere"},
    }
    if instance_spec.volume_gb:
        wrong["volume type"] = {"volume": {"size": instance_spec.volume_gb, "type": "no-such-type"}}
    return {
        what: instance_factory.request("hopeless", **change, databases=None, users=None)
        for what, change in wrong.items()
    }


@pytest.fixture(scope="module")
def failures(hopeless, admin_cloud) -> Iterator[dict[str, Future]]:
    """The fault of each, and what is left of it once it is deleted: they fail while tests run."""

    def failure(instance: Instance, traces: Traces) -> tuple[str, list[str]]:
        fault = instance.wait_until("ERROR", instance.timeouts.failed).fault
        instance.delete()
        return fault, traces.left()

    with ThreadPoolExecutor() as watching:
        yield {
            what: watching.submit(failure, hopeless[what], Traces(admin_cloud, hopeless[what]))
            for what in FAULTS
            if what in hopeless
        }


@pytest.mark.parametrize("what", FAULTS)
def test_what_can_not_be_built_fails_and_leaves_nothing(failures, what, instance_spec):
    if what == "volume type":
        need_volumes(instance_spec)

    fault, left = failures[what].result()

    assert FAULTS[what] in fault
    assert left == []


def test_the_administrator_sees_where_it_failed_and_remembers(hopeless, admin_cloud):
    instance = hopeless["another zone"]
    instance.wait_until("ERROR", instance.timeouts.failed)

    listing = admin_cloud.trove.mgmt_instances.list
    (failed,) = [each for each in every(listing) if each.id == instance.id]
    assert "Traceback" in failed.fault["details"]
    assert FAULTS["availability zone"] in instance.show()["fault"]["message"]

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
    assert instance.show()["locality"] == "anti-affinity"
    (address,) = instance.addresses("private")
    assert ip_address(address) in ip_network(cloud.network.get_subnet(subnet).cidr)

    # python-troveclient leaves out what for.
    why = {"reset_status": {"force_delete": True}}
    admin_cloud.trove.client.post(f"/instances/{instance.id}/action", body=why)
    instance.delete()

    assert found.left() == []
