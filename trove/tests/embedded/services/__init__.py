"""What runs in the cloud, and in which order it starts; a service a module."""

from dataclasses import replace

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
from trove.tests.embedded.units import Chore, Service, Task, Unit, without

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
# The components that the others wait for. A start takes the processors, not time: what else
# could start beside these would only be in their way.
_FIRST = ("keystone", "neutron")


def units(cloud: Cloud, settings: Settings) -> list[Unit]:
    """Return every unit of the components that the settings name.

    What a unit comes after counts only where that is part of the cloud.
    """
    chosen = [*foundations.units(cloud), *switching.units(cloud)]
    for name in settings.components:
        own = _MODULES[name].units(cloud, settings)
        chosen += own if name in _FIRST else [_after_identity(unit) for unit in own]
    return without(chosen)


def _after_identity(unit: Unit) -> Unit:
    return replace(unit, after=(*unit.after, "identity")) if isinstance(unit, Service) else unit


def lost_with_the_namespaces(units: list[Unit]) -> list[Unit]:
    """Return what must be started and done again where the cloud's state is still there."""
    lasting = {
        unit.name
        for unit in units
        if isinstance(unit, Chore) or (isinstance(unit, Task) and unit.lasting)
    }
    return without(units, lasting)
