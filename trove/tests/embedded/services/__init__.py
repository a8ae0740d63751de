"""What runs in the cloud, and in which order it starts; a service a module."""

from trove.tests.embedded.cloud import Cloud, Settings
from trove.tests.embedded.services import (
    barbican,
    cinder,
    foundations,
    glance,
    keystone,
    neutron,
    nova,
    placement,
    swift,
    switching,
    trove,
)
from trove.tests.embedded.units import Chore, Task, Unit, without

_MODULES = {
    "keystone": keystone,
    "glance": glance,
    "placement": placement,
    "neutron": neutron,
    "nova": nova,
    "swift": swift,
    "cinder": cinder,
    "barbican": barbican,
    "trove": trove,
}


def units(cloud: Cloud, settings: Settings) -> list[Unit]:
    """Return every unit of the components that the settings name.

    What a unit comes after counts only where that is part of the cloud.
    """
    chosen = [*foundations.units(cloud), *switching.units(cloud)]
    for name in settings.components:
        chosen += _MODULES[name].units(cloud, settings)
    return without(chosen)


def lost_with_the_namespaces(units: list[Unit]) -> list[Unit]:
    """Return what must be started and done again where the cloud's state is still there."""
    lasting = {
        unit.name
        for unit in units
        if isinstance(unit, Chore) or (isinstance(unit, Task) and unit.lasting)
    }
    return without(units, lasting)
