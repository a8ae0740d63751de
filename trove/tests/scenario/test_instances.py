"""Instances come and go."""

from functools import partial

import pytest

from trove.tests.harness import networks
from trove.tests.harness.paging import every

pytestmark = pytest.mark.instances

# As many signs as a name can have, and of the kinds that a shell, SQL or HTML would heed.
LONGEST_NAME = 'it\'s "mine"; `id` $(id) -- <b>&\\ %s {0} \N{SNOWMAN}'.ljust(255, "x")


@pytest.mark.smoke
def test_a_new_instance_is_healthy(shared_instance):
    assert shared_instance.status == "HEALTHY"


@pytest.mark.smoke
def test_a_new_instance_has_the_database_and_the_user_asked_for(shared_instance):
    assert shared_instance.database in shared_instance.databases()
    assert shared_instance.login.user in shared_instance.users()
    assert shared_instance.access(shared_instance.login.user) == [shared_instance.database]


@pytest.mark.smoke
def test_the_user_asked_for_works_in_the_database_over_the_network(shared_instance):
    user, database = shared_instance.login, shared_instance.database

    shared_instance.sql(user, "CREATE TABLE birds (name VARCHAR(20))", database=database)
    try:
        shared_instance.sql(user, "INSERT INTO birds VALUES (%s)", "wren", database=database)

        assert shared_instance.sql(user, "SELECT name FROM birds", database=database) == "wren"
    finally:
        shared_instance.sql(user, "DROP TABLE birds", database=database)


def test_an_instance_is_shown_as_it_was_asked_for(shared_instance):
    shown, spec = shared_instance.show(), shared_instance.spec

    assert shown["name"] == shared_instance.name
    assert shown["datastore"]["type"] == spec.datastore
    assert shown["datastore"]["version"] == spec.version
    assert shown["flavor"]["id"] == spec.flavor
    assert (shown.get("volume") or {"size": 0})["size"] == spec.volume_gb
    assert shown["addresses"]


def test_an_instance_that_is_to_have_its_replicas_near_says_so(spare_instance):
    assert spare_instance.show()["locality"] == "soft-affinity"


@pytest.mark.parametrize("name", ["another name", LONGEST_NAME], ids=["plain", "longest"])
def test_a_renamed_instance_is_listed_by_its_new_name(cloud, shared_instance, name):
    shared_instance.rename(name)
    try:
        names = {each.id: each.name for each in every(cloud.trove.instances.list)}
        assert names[shared_instance.id] == name
    finally:
        shared_instance.rename(shared_instance.name)


def test_an_instance_is_listed_with_its_details(cloud, shared_instance):
    listing = partial(cloud.trove.instances.list, detailed=True)
    (detailed,) = (each for each in every(listing) if each.id == shared_instance.id)

    assert detailed.datastore["version"] == shared_instance.spec.version
    assert detailed.flavor["id"] == shared_instance.spec.flavor


def test_instances_of_clusters_are_listed_when_asked_for(cloud, shared_instance):
    listing = partial(cloud.trove.instances.list, include_clustered=True)

    assert shared_instance.id in [each.id for each in every(listing)]


def test_an_instance_begins_as_it_was_asked_for_and_leaves_nothing_behind(
    cloud, admin_cloud, shared_instance, instance_factory, modules, past, traces
):
    spec = shared_instance.spec
    setting = spec.dialect.tunable
    value = shared_instance.setting(setting) + 7
    group = shared_instance.create_configuration({setting: value})
    nic = networks.free_address(cloud, spec.network)
    module = modules.create()
    public = bool(list(cloud.network.networks(is_router_external=True)))
    server = admin_cloud.compute.get_server(shared_instance.server_id(admin_cloud))
    region = cloud.connection.config.get_region_name()

    request = partial(past.request, instance_factory) if past else instance_factory.request
    instance = request(
        "furnished",
        configuration=group,
        locality="affinity",
        availability_zone=server.availability_zone,
        region_name=region,
        nics=[{"net-id": spec.network, **nic}],
        access={"is_public": public, "allowed_cidrs": ["0.0.0.0/0"]},
        modules=[module.id],
    )
    assert instance.status == "BUILD"
    instance.wait_until_built()

    if past:
        past.verify(instance)
        assert instance.accepts(past.reader)
    assert instance.setting(setting) == value
    shown = instance.show()
    assert shown["configuration"]["id"] == group
    assert shown["locality"] == "affinity"
    assert region in (None, shown["region"])
    its_server = admin_cloud.compute.get_server(instance.server_id(admin_cloud))
    assert its_server.availability_zone == server.availability_zone
    assert instance.addresses("private") == [nic["ip_address"]]
    assert bool(instance.addresses("public")) == public
    assert instance.id in modules.instances(module)
    page = cloud.trove.instances.list(limit=1)
    rest = every(cloud.trove.instances.list, marker=page.next)
    assert {instance.id, shared_instance.id} <= {each.id for each in [*page, *rest]}

    made = traces(instance)
    assert made.found()
    instance.delete()
    assert not instance.exists
    assert made.left() == []
