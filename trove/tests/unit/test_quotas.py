import pytest

from trove.tests.harness import quotas
from trove.tests.unit.fakes import FakeCloud, Resource


@pytest.fixture
def cloud(tmp_path):
    """A cloud with limits for every project."""
    cloud = FakeCloud(tmp_path / "cloud")
    held = {"instances": 5, "ram": -1}
    cloud.trove.quota = Resource(
        show=lambda _project: [
            Resource(resource=resource, limit=limit, in_use=1) for resource, limit in held.items()
        ],
        update=lambda _project, wanted: held.update(wanted),
    )
    return cloud


def test_limits_and_use_are_told_by_resource(cloud):
    assert quotas.limits(cloud, "42") == {"instances": 5, "ram": -1}
    assert quotas.in_use(cloud, "42") == {"instances": 1, "ram": 1}


def test_a_limit_is_put_back(cloud):
    with quotas.limited(cloud, "42", ram=0):
        assert quotas.limits(cloud, "42") == {"instances": 5, "ram": 0}

    assert quotas.limits(cloud, "42") == {"instances": 5, "ram": -1}
