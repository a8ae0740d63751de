"""The table of the cloud's services."""

import pytest

from trove.tests.common.errors import ScenarioError
from trove.tests.embedded.components import COMPONENTS, with_needs


def test_a_component_brings_all_it_needs():
    assert with_needs(["nova"]) == ("keystone", "glance", "placement", "neutron", "nova")


def test_an_unknown_one_is_answered_with_the_known():
    with pytest.raises(ScenarioError, match="'nonesuch': choose from keystone"):
        with_needs(["nonesuch"])


def test_no_two_share_a_port_or_a_database():
    ports = [component.port for component in COMPONENTS.values()]
    databases = [name for component in COMPONENTS.values() for name in component.databases]
    assert len(set(ports)) == len(ports)
    assert len(set(databases)) == len(databases)
