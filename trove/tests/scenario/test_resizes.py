"""More memory, more room: an instance grows while it is in use, and loses nothing."""

import pytest

from trove.tests.harness.workload import Workload

pytestmark = pytest.mark.resizes


def test_nothing_is_lost_on_the_way_to_a_larger_flavor(spare_instance, larger_flavor):
    with Workload(spare_instance) as workload:
        with workload.writing():
            spare_instance.resize(larger_flavor)
        workload.write(5)

        assert spare_instance.show()["flavor"]["id"] == larger_flavor
        workload.verify()


def test_nothing_is_lost_on_the_way_to_a_larger_volume(volume_service, spare_instance):
    size = spare_instance.show()["volume"]["size"] + 1

    with Workload(spare_instance) as workload:
        with workload.writing():
            spare_instance.grow(size)
        workload.write(5)

        assert spare_instance.show()["volume"]["size"] == size
        workload.verify()
