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
from trove.tests.embedded.units import Unit

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
    names = {unit.name for unit in chosen}
    return [
        replace(unit, after=tuple(name for name in unit.after if name in names)) for unit in chosen
    ]
