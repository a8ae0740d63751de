"""Datastores and their versions, as an administrator keeps them."""

from uuid import uuid4

import pytest
from troveclient.exceptions import BadRequest, Forbidden, NotFound, Unauthorized
from troveclient.v1.management import MgmtConfigurationParameters

from trove.tests.harness.paging import every

pytestmark = pytest.mark.administration


def test_a_new_version_is_offered_with_its_datastore(cloud, spare_version):
    datastore = cloud.trove.datastores.get(spare_version.datastore)

    assert [version["id"] for version in datastore.versions] == [spare_version.id]
    assert datastore.name in [each.name for each in every(cloud.trove.datastores.list)]


def test_the_administrator_sees_what_a_version_is_made_of(admin_cloud, spare_version, target):
    shown = admin_cloud.trove.mgmt_ds_versions.get(spare_version.id)

    assert (shown.name, shown.version) == (spare_version.name, target.version.name)
    assert (shown.datastore_name, shown.datastore_manager) == (
        spare_version.datastore,
        target.datastore.manager,
    )
    assert (shown.image, shown.active) == (spare_version.image_id, True)
    assert spare_version.id in [each.id for each in every(admin_cloud.trove.mgmt_ds_versions.list)]


@pytest.mark.usefixtures("plain_user")
def test_an_inactive_version_is_offered_to_nobody(cloud, admin_cloud, spare_version, refusal):
    admin_cloud.trove.mgmt_ds_versions.edit(spare_version.id, active="false")

    answer = refusal(datastore=spare_version.datastore, datastore_version=spare_version.name)

    assert isinstance(answer, BadRequest)
    assert answer.message == f"Datastore version '{spare_version.name}' is not active."
    assert every(cloud.trove.datastore_versions.list, spare_version.datastore) == []


def test_a_version_can_be_made_the_default_and_no_longer(cloud, admin_cloud, spare_version):
    versions = admin_cloud.trove.mgmt_ds_versions

    versions.edit(spare_version.id, default="true")
    assert versions.get(spare_version.id).default
    assert cloud.trove.datastores.get(spare_version.datastore).default_version == spare_version.id

    versions.edit(spare_version.id, default="false")
    assert not versions.get(spare_version.id).default


def test_a_version_can_be_renamed(cloud, admin_cloud, spare_version):
    admin_cloud.trove.mgmt_ds_versions.edit(spare_version.id, name="renamed")

    assert cloud.trove.datastore_versions.get(spare_version.datastore, "renamed").id == (
        spare_version.id
    )


def test_tags_that_no_image_has_are_refused(admin_cloud, spare_version):
    versions = admin_cloud.trove.mgmt_ds_versions

    with pytest.raises(BadRequest, match=r"^Failed to retrieve image with tags: \['no-such-tag'\]"):
        versions.edit(spare_version.id, image_tags=["no-such-tag"])

    assert versions.get(spare_version.id).image == spare_version.image_id


def test_a_second_version_of_the_same_name_is_refused(admin_cloud, spare_version, target):
    with pytest.raises(BadRequest, match="^The datastore version .* already exists"):
        admin_cloud.trove.mgmt_ds_versions.create(
            spare_version.name,
            spare_version.datastore,
            target.datastore.manager,
            spare_version.image_id,
            version=target.version.name,
        )


def test_a_version_without_image_is_refused(admin_cloud, spare_version, target):
    unknown = str(uuid4())

    with pytest.raises(BadRequest, match=f"^Image {unknown} cannot be found"):
        admin_cloud.trove.mgmt_ds_versions.create(
            "without", spare_version.datastore, target.datastore.manager, unknown
        )


def test_parameters_come_change_and_go(cloud, admin_cloud, spare_version):
    parameters = MgmtConfigurationParameters(admin_cloud.trove)
    shown = cloud.trove.configuration_parameters

    parameters.create(spare_version.id, "speed", False, "integer", max_size=9, min_size=1)
    created = shown.get_parameter_by_version(spare_version.id, "speed")
    assert (created.min, created.max, created.restart_required) == (1, 9, False)

    parameters.modify(spare_version.id, "speed", True, "integer", max_size=8, min_size=2)
    (modified,) = parameters.list_all_parameter_by_version(spare_version.id)
    assert (modified.min_size, modified.max_size) == (2, 8)
    assert parameters.get_any_parameter_by_version(spare_version.id, "speed").max_size == 8
    assert shown.get_parameter_by_version(spare_version.id, "speed").restart_required

    parameters.delete(spare_version.id, "speed")
    with pytest.raises(NotFound):
        shown.get_parameter_by_version(spare_version.id, "speed")


def test_a_number_needs_limits(admin_cloud, spare_version):
    parameters = MgmtConfigurationParameters(admin_cloud.trove)

    with pytest.raises(BadRequest, match="^max_size is required for integer data type"):
        parameters.create(spare_version.id, "speed", False, "integer")
    with pytest.raises(BadRequest, match="^max_size must be greater than or equal to min_size"):
        parameters.create(spare_version.id, "speed", False, "integer", max_size=1, min_size=9)

    assert parameters.list_all_parameter_by_version(spare_version.id) == []


def test_a_deleted_version_and_its_datastore_are_gone(cloud, admin_cloud, spare_version):
    with pytest.raises(BadRequest, match="^Datastore versions exist for datastore"):
        admin_cloud.trove.datastores.delete(spare_version.datastore)

    admin_cloud.trove.mgmt_ds_versions.delete(spare_version.id)
    admin_cloud.trove.datastores.delete(spare_version.datastore)

    known = [each.id for each in every(admin_cloud.trove.mgmt_ds_versions.list)]
    assert spare_version.id not in known
    with pytest.raises(NotFound):
        cloud.trove.datastores.get(spare_version.datastore)


def test_a_version_in_use_is_not_deleted(cloud, admin_cloud, datastore_version, shared_instance):
    with pytest.raises(BadRequest, match="^Datastore version is in use by instance"):
        admin_cloud.trove.mgmt_ds_versions.delete(datastore_version.id)

    assert cloud.trove.datastore_versions.get_by_uuid(datastore_version.id).id


def test_a_user_keeps_no_versions(plain_user, spare_version):
    versions = plain_user.trove.mgmt_ds_versions
    parameters = MgmtConfigurationParameters(plain_user.trove)

    for forbidden in (
        versions.list,
        lambda: versions.get(spare_version.id),
        lambda: versions.create("theirs", spare_version.datastore, "mine", spare_version.image_id),
        lambda: versions.edit(spare_version.id, active="false"),
        lambda: versions.delete(spare_version.id),
        lambda: parameters.list_all_parameter_by_version(spare_version.id),
        lambda: parameters.create(spare_version.id, "speed", False, "string"),
        lambda: parameters.delete(spare_version.id, "speed"),
    ):
        with pytest.raises(Unauthorized, match="^User does not have admin privileges"):
            forbidden()
    with pytest.raises(Forbidden, match="^Policy doesn't allow datastore:delete"):
        plain_user.trove.datastores.delete(spare_version.datastore)
