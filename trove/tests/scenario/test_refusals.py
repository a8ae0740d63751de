"""What Trove refuses, with which status and in which words."""

from uuid import uuid4

import pytest
from troveclient.exceptions import BadRequest


def test_an_unknown_flavor_is_refused(cloud, instance_spec):
    unknown = str(uuid4())

    with pytest.raises(BadRequest) as refusal:
        cloud.trove.instances.create("refused", **instance_spec.request() | {"flavor_id": unknown})

    assert refusal.value.message == f"Resource {unknown} cannot be found."


def test_an_unknown_datastore_version_is_refused(cloud, instance_spec):
    request = instance_spec.request() | {"datastore_version": "no-such-version"}

    with pytest.raises(BadRequest) as refusal:
        cloud.trove.instances.create("refused", **request)

    assert refusal.value.message == "Datastore version 'no-such-version' cannot be found."


def test_a_database_name_without_letter_or_digit_is_refused(cloud, shared_instance):
    with pytest.raises(BadRequest, match=r"^Validation error: databases\[0\]\['name'\] '---'"):
        cloud.trove.databases.create(shared_instance.id, [{"name": "---"}])


def test_a_reserved_database_name_is_refused(cloud, shared_instance):
    reserved = shared_instance.spec.dialect.reserved_database

    with pytest.raises(BadRequest, match=f'^Database name "{reserved}" is on the reserved list'):
        cloud.trove.databases.create(shared_instance.id, [{"name": reserved}])


def test_a_second_database_of_the_same_name_is_refused(cloud, shared_instance):
    shared_instance.create_database("library")

    with pytest.raises(BadRequest) as refusal:
        cloud.trove.databases.create(shared_instance.id, [{"name": "library"}])

    assert refusal.value.message == 'A database with the name "library" already exists.'
