"""What Trove refuses to create, with which status and in which words."""

from uuid import uuid4

import pytest
from troveclient.exceptions import BadRequest

pytestmark = pytest.mark.instances


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
