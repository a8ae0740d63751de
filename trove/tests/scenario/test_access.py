"""Who reaches an instance's database, and from where: tried out over the network."""

from collections.abc import Iterator

import pytest

from trove.tests.fixtures.applicability import Reason, skip
from trove.tests.harness.instances import Instance

pytestmark = pytest.mark.access

# Of nobody: a network for documentation.
ELSEWHERE = ["192.0.2.0/24"]
EVERYWHERE = ["0.0.0.0/0"]


@pytest.fixture
def open_instance(shared_instance: Instance) -> Iterator[Instance]:
    """An instance whose access tests may change; it is as before at the end."""
    before = shared_instance.show().get("access") or {}
    yield shared_instance
    shared_instance.open_to(
        public=before.get("is_public", False), cidrs=before.get("allowed_cidrs") or EVERYWHERE
    )
    shared_instance.wait_until_reached()


def test_only_allowed_addresses_reach_the_database(open_instance):
    open_instance.open_to(cidrs=ELSEWHERE)
    assert open_instance.show()["access"]["allowed_cidrs"] == ELSEWHERE
    open_instance.wait_until_reached(False)

    open_instance.open_to(cidrs=EVERYWHERE)
    open_instance.wait_until_reached()


def test_a_public_instance_answers_at_a_public_address_until_it_is_none(cloud, open_instance):
    if not list(cloud.network.networks(is_router_external=True)):
        skip(Reason.NEEDS_PUBLIC_NETWORK, "the cloud has no external network")

    open_instance.open_to(public=True, cidrs=EVERYWHERE)

    (public,) = open_instance.addresses("public")
    open_instance.wait_until_reached(address=public)

    open_instance.open_to(public=False, cidrs=EVERYWHERE)

    assert open_instance.addresses("public") == []
    open_instance.wait_until_reached(False, address=public)
