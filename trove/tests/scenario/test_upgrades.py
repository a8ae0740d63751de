"""Upgrades: the database goes on in another container, of its version's image."""

from uuid import uuid4

import pytest
from troveclient.exceptions import NotFound

from trove.tests.harness.workload import Workload

pytestmark = pytest.mark.upgrades


@pytest.mark.parametrize("deprecated", [False, True], ids=["put", "patch"])
def test_nothing_is_lost_over_an_upgrade(spare_instance, deprecated):
    with Workload(spare_instance) as workload:
        with workload.writing():
            spare_instance.upgrade(spare_instance.spec.version, deprecated=deprecated)
        workload.write(5)

        assert spare_instance.show()["datastore"]["version"] == spare_instance.spec.version
        workload.verify()


def test_an_upgrade_to_an_unknown_version_is_refused(shared_instance):
    with pytest.raises(NotFound):
        shared_instance.upgrade(str(uuid4()))

    assert shared_instance.status == "HEALTHY"
