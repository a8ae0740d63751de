"""A restart of the database."""

import pytest

from trove.tests.harness.workload import Workload

pytestmark = pytest.mark.restarts


@pytest.mark.smoke
def test_nothing_is_lost_over_a_restart(shared_instance):
    with Workload(shared_instance) as workload:
        with workload.writing():
            shared_instance.restart()
        workload.write(5)

        workload.verify()
