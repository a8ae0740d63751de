"""Clusters: the API has them still, and no guest of this release can be part of one."""

from uuid import uuid4

import pytest
from troveclient.exceptions import BadRequest, HttpNotImplemented, NotFound
from troveclient.v1.management import MgmtClusters

from trove.tests.fixtures.applicability import Reason, skip

pytestmark = pytest.mark.clusters

TOO_FEW = "^The number of instances for your initial cluster must be at least"


@pytest.fixture
def create(cloud, instance_spec):
    """Asks for a cluster of nodes, each told by how it differs from an instance."""
    request = instance_spec.request()
    node = {"flavorRef": request["flavor_id"]}
    if "volume" in request:
        node["volume"] = request["volume"]

    def create(*nodes, **more):
        return cloud.trove.clusters.create(
            "refused",
            instance_spec.datastore,
            instance_spec.version,
            instances=[node | each for each in nodes],
            **more,
        )

    return create


@pytest.fixture
def offered(create):
    """Whether the API believes in clusters of this datastore; skips where it doesn't."""
    try:
        # One node is too few for any.
        create({})
    except HttpNotImplemented as refusal:
        skip(Reason.NOT_SUPPORTED_BY_SERVER, refusal.message)
    except BadRequest:
        return


def test_there_are_none(cloud, target):
    assert cloud.trove.clusters.list() == []


@pytest.mark.server_bug("clusters_are_taken_that_no_guest_can_be_part_of")
def test_a_cluster_that_no_guest_can_be_part_of_is_refused(create):
    with pytest.raises(HttpNotImplemented, match="^Clusters not supported for "):
        create({})


def test_too_few_nodes_are_refused(create, offered):
    with pytest.raises(BadRequest, match=TOO_FEW):
        create({}, {})


def test_nodes_of_different_sizes_are_refused(create, offered, larger_flavor):
    with pytest.raises(BadRequest, match="^The flavor for each instance in a cluster must be"):
        create({}, {}, {"flavorRef": larger_flavor})


def test_volumes_of_different_sizes_are_refused(volume_service, create, offered, instance_spec):
    larger = {"volume": {"size": instance_spec.volume_gb + 1}}

    with pytest.raises(BadRequest, match="^The volume size for each instance in a cluster must"):
        create({}, {}, larger)


def test_a_node_of_an_unknown_flavor_is_refused(create, offered):
    unknown = str(uuid4())

    with pytest.raises(BadRequest, match=f"^Resource {unknown} cannot be found"):
        create({}, {}, {"flavorRef": unknown})


@pytest.mark.parametrize(
    "key",
    [
        "network_id",
        pytest.param(
            "net-id",
            marks=pytest.mark.server_bug("networks_of_clusters_have_one_name"),
        ),
    ],
)
def test_nodes_on_different_networks_are_refused(create, offered, instance_spec, key):
    here = {"nics": [{key: instance_spec.network}]}
    elsewhere = {"nics": [{key: str(uuid4())}]}

    with pytest.raises(BadRequest, match="^The network for each instance in a cluster must be"):
        create(here, here, elsewhere)


def test_an_unknown_locality_is_refused(create, offered):
    with pytest.raises(BadRequest, match="^Invalid locality 'nearby'"):
        create({}, locality="nearby")


def test_a_cluster_of_nothing_is_refused(create):
    with pytest.raises(BadRequest, match="^Validation error: cluster 'instances' is a required"):
        create()


def test_a_cluster_of_an_unknown_datastore_is_refused(cloud, instance_spec):
    node = {"flavorRef": instance_spec.flavor}

    with pytest.raises(NotFound, match="^Datastore 'no-such-datastore' cannot be found"):
        cloud.trove.clusters.create(
            "refused", "no-such-datastore", "1", instances=[node], configuration=str(uuid4())
        )


@pytest.mark.parametrize(
    "action",
    [
        pytest.param({"grow": []}, id="grow"),
        pytest.param({"shrink": []}, id="shrink"),
        pytest.param({"restart": {}}, id="restart"),
        pytest.param({"upgrade": {"datastore_version": "1"}}, id="upgrade"),
        pytest.param({"configuration_attach": {"configuration_id": "1"}}, id="attach"),
        pytest.param({"configuration_detach": {}}, id="detach"),
        pytest.param({"reset-status": {}}, id="reset-status"),
        pytest.param({"add_shard": {}}, id="add-shard"),
    ],
)
def test_nothing_can_be_done_to_an_unknown_cluster(cloud, target, action):
    unknown = str(uuid4())

    with pytest.raises(NotFound) as refusal:
        cloud.trove.client.post(f"/clusters/{unknown}", body=action)

    assert refusal.value.message == f"Cluster '{unknown}' cannot be found."


def test_an_unknown_cluster_is_not_found(cloud, target):
    unknown = str(uuid4())

    for ask in (
        lambda: cloud.trove.clusters.get(unknown),
        lambda: cloud.trove.clusters.delete(unknown),
        lambda: cloud.trove.client.get(f"/clusters/{unknown}/instances/{uuid4()}"),
    ):
        with pytest.raises(NotFound, match=f"^Cluster '{unknown}' cannot be found"):
            ask()


def test_the_root_of_an_unknown_cluster_is_not_found(cloud, target):
    for ask in (
        lambda: cloud.trove.root.is_cluster_root_enabled(str(uuid4())),
        lambda: cloud.trove.root.create_cluster_root(str(uuid4())),
    ):
        with pytest.raises(NotFound, match="^DBCluster Not Found"):
            ask()


def test_several_actions_at_once_are_refused(cloud, target):
    with pytest.raises(BadRequest, match="^Action request should have exactly one action"):
        cloud.trove.client.post(f"/clusters/{uuid4()}", body={"restart": {}, "grow": []})


def test_the_administrator_sees_none_either(admin_cloud, target):
    clusters = MgmtClusters(admin_cloud.trove)

    assert list(clusters.index()) == []
    for ask in (clusters.show, clusters.reset_task):
        with pytest.raises(NotFound, match="^DBCluster Not Found"):
            ask(str(uuid4()))
