"""Upgrades: the database goes on in another container, of its version's image."""

from uuid import uuid4

import pytest
from troveclient.exceptions import NotFound

from trove.tests.harness.workload import Workload

pytestmark = pytest.mark.upgrades


def test_nothing_is_lost_over_an_upgrade(twin_version, spare_instance):
    there_and_back = ((twin_version.name, False), (spare_instance.spec.version, True))

    with Workload(spare_instance) as workload:
        for version, deprecated in there_and_back:
            with workload.writing():
                spare_instance.upgrade(version, deprecated=deprecated)
            workload.write(5)

            assert spare_instance.show()["datastore"]["version"] == version
            workload.verify()


def test_an_upgrade_to_an_unknown_version_is_refused(shared_instance):
    with pytest.raises(NotFound):
        shared_instance.upgrade(str(uuid4()))

    assert shared_instance.status == "HEALTHY"
