"""What Trove offers: its API, datastores and versions, flavors, parameters and limits."""

from uuid import uuid4

import pytest
from troveclient.exceptions import Forbidden, NotFound

from trove.tests.harness import flavors, quotas
from trove.tests.harness.paging import every

pytestmark = pytest.mark.catalogue


# The API


def test_the_api_tells_its_versions(cloud, target):
    (version,) = cloud.connection.session.get(f"{cloud.trove_url}/").json()["versions"]

    assert (version["id"], version["status"]) == ("v1.0", "CURRENT")


@pytest.mark.server_bug("the_version_can_not_be_shown")
def test_the_api_tells_of_its_one_version(cloud, target):
    version = cloud.connection.session.get(f"{cloud.trove_url}/v1.0/").json()["version"]

    assert version["id"] == "v1.0"


# Datastores


def test_the_datastore_is_listed_with_its_version(cloud, datastore_version):
    (listed,) = [
        each
        for each in every(cloud.trove.datastores.list)
        if each.name == datastore_version.datastore
    ]

    versions = [version["id"] for version in listed.versions]
    assert datastore_version.id in versions
    assert listed.default_version in versions


def test_the_datastore_is_shown_by_name_and_by_id(cloud, datastore_version):
    by_name = cloud.trove.datastores.get(datastore_version.datastore)
    by_id = cloud.trove.datastores.get(by_name.id)

    for shown in (by_name, by_id):
        assert (shown.id, shown.name) == (by_name.id, datastore_version.datastore)
        # Another test may have one more for a moment.
        assert datastore_version.id in [version["id"] for version in shown.versions]


def test_the_version_is_listed_with_its_datastore(cloud, datastore_version):
    listed = every(cloud.trove.datastore_versions.list, datastore_version.datastore)

    assert datastore_version.name in [version.name for version in listed]


def test_the_version_is_shown_by_name_and_by_id(cloud, datastore_version, target):
    versions = cloud.trove.datastore_versions
    by_name = versions.get(datastore_version.datastore, datastore_version.name)
    by_id = versions.get(datastore_version.datastore, datastore_version.id)
    by_id_alone = versions.get_by_uuid(datastore_version.id)

    assert by_name.to_dict() == by_id.to_dict() == by_id_alone.to_dict()
    assert (by_name.id, by_name.version) == (datastore_version.id, target.version.name)


def test_an_unknown_datastore_is_not_found(cloud, target):
    for ask in (
        lambda: cloud.trove.datastores.get("no-such-datastore"),
        lambda: cloud.trove.datastore_versions.list("no-such-datastore"),
        lambda: cloud.trove.datastore_versions.get("no-such-datastore", "1"),
        lambda: cloud.trove.configuration_parameters.parameters("no-such-datastore", "1"),
    ):
        with pytest.raises(NotFound, match="^Datastore 'no-such-datastore' cannot be found"):
            ask()


@pytest.mark.server_bug("unknown_versions_are_bad_requests")
def test_an_unknown_version_is_not_found(cloud, datastore):
    versions = cloud.trove.datastore_versions

    with pytest.raises(NotFound):
        versions.get(datastore.name, "no-such-version")
    with pytest.raises(NotFound):
        versions.get_by_uuid(str(uuid4()))


# Flavors and volume types


def test_the_flavor_is_listed_and_shown_with_its_size(cloud, guest_flavor):
    size = flavors.size_of(cloud, guest_flavor)
    shown = cloud.trove.flavors.get(guest_flavor)

    assert guest_flavor in [flavor.str_id for flavor in cloud.trove.flavors.list()]
    assert (shown.str_id, shown.ram) == (guest_flavor, size.ram_mb)
    assert (shown.vcpus, shown.disk) == (size.vcpus, size.disk_gb)


def test_an_unknown_flavor_is_not_found(cloud, target):
    unknown = str(uuid4())

    with pytest.raises(NotFound, match=f"^Resource {unknown} cannot be found"):
        cloud.trove.flavors.get(unknown)


def test_the_version_may_have_the_flavor(cloud, datastore_version, guest_flavor):
    offered = cloud.trove.flavors.list_datastore_version_associated_flavors(
        datastore_version.datastore, datastore_version.id
    )

    assert guest_flavor in [flavor.str_id for flavor in offered]


def test_the_version_may_have_the_volume_types_of_the_cloud(
    volume_service, cloud, datastore_version
):
    offered = cloud.trove.volume_types.list_datastore_version_associated_volume_types(
        datastore_version.datastore, datastore_version.id
    )

    assert {each.id for each in offered} == {
        each.id for each in cloud.connection.block_storage.types()
    }


@pytest.mark.server_bug("unknown_versions_have_all_flavors")
def test_an_unknown_version_has_no_flavors(cloud, datastore):
    with pytest.raises(NotFound):
        cloud.trove.flavors.list_datastore_version_associated_flavors(datastore.name, str(uuid4()))


# Parameters of configuration groups


def test_the_parameters_are_those_of_the_matrix(cloud, datastore_version, target):
    parameters = cloud.trove.configuration_parameters
    of_name = parameters.parameters(datastore_version.datastore, datastore_version.name)
    of_id = parameters.parameters_by_version(datastore_version.id)

    for listed in (of_name, of_id):
        assert {each.name: _rule(each) for each in listed} == {
            each.name: (each.type, each.restart_required, each.min, each.max)
            for each in target.version.parameters
        }


def test_each_parameter_is_shown(cloud, datastore_version, target):
    parameters = cloud.trove.configuration_parameters
    for expected in target.version.parameters:
        by_name = parameters.get_parameter(
            datastore_version.datastore, datastore_version.name, expected.name
        )
        by_id = parameters.get_parameter_by_version(datastore_version.id, expected.name)

        assert by_name.to_dict() == by_id.to_dict()
        assert _rule(by_name) == (
            expected.type,
            expected.restart_required,
            expected.min,
            expected.max,
        )


def test_an_unknown_parameter_is_not_found(cloud, datastore_version):
    parameters = cloud.trove.configuration_parameters

    with pytest.raises(NotFound, match="^Resource no_such_setting cannot be found"):
        parameters.get_parameter(
            datastore_version.datastore, datastore_version.name, "no_such_setting"
        )
    with pytest.raises(NotFound, match="^Resource no_such_setting cannot be found"):
        parameters.get_parameter_by_version(datastore_version.id, "no_such_setting")


# Limits


def test_the_limits_are_the_projects_quotas(cloud, target):
    absolute, *rates = cloud.trove.limits.list()
    quota = quotas.limits(cloud, cloud.project_id)

    assert absolute.verb == "ABSOLUTE"
    assert {name: getattr(absolute, f"max_{name}") for name in quota} == quota
    assert {rate.verb for rate in rates} >= {"GET", "POST", "PUT", "DELETE"}


def test_an_instance_counts_for_its_project(cloud, admin_cloud, shared_instance):
    used = quotas.in_use(cloud, cloud.project_id)
    size = flavors.size_of(cloud, shared_instance.spec.flavor)

    # The project may have more of them.
    assert used["instances"] >= 1
    assert used["ram"] >= size.ram_mb
    assert used["volumes"] >= shared_instance.spec.volume_gb
    assert quotas.limits(admin_cloud, cloud.project_id) == quotas.limits(cloud, cloud.project_id)


def test_another_projects_quota_is_not_shown(plain_user, admin_cloud, target):
    with pytest.raises(Forbidden, match="^Operation not allowed for tenant"):
        plain_user.trove.quota.show(admin_cloud.project_id)


def _rule(parameter):
    """Return what the matrix says of a parameter, too."""
    return (
        parameter.type,
        parameter.restart_required,
        getattr(parameter, "min", None),
        getattr(parameter, "max", None),
    )
