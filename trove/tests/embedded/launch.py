"""Start a cloud's processes: a new cloud's, or those of one that is given its state back.

Apart from the rest of the life cycle because what it imports takes two seconds,
and attaching to a cloud that runs needs none of it.
"""

import shutil
from collections.abc import Collection, Sequence
from dataclasses import replace

from trove.tests.embedded import (
    certificates,
    configuration,
    control_groups,
    hypervisor,
    lease,
    links,
    namespaces,
    services,
    snapshots,
)
from trove.tests.embedded.cloud import Cloud, Settings
from trove.tests.embedded.startup import Startup, task_environment
from trove.tests.embedded.supervision import Supervisor
from trove.tests.embedded.units import Service, Unit, without


def new(cloud: Cloud, settings: Settings, duration: float) -> None:
    """Make a cloud and seed it.

    Args:
        cloud: the cloud; nothing of it may be there.
        settings: what it is made of.
        duration: seconds of its lease.

    Raises:
        ScenarioError: this machine refused something, or a service did not start.
    """
    cloud.make_folders(links.claim(cloud.folder))
    lease.grant(cloud, duration)
    tls = cloud.folder / "tls"
    certificates.make(cloud.name, [cloud.net.api], cloud.authority, tls / "server.pem")
    units = services.units(cloud, settings)
    long_running = [unit for unit in units if isinstance(unit, Service)]
    configuration.write_all(cloud, settings, long_running)
    _start(cloud, settings, snapshots.from_template(cloud, units))
    snapshots.take(cloud)


def again(cloud: Cloud, settings: Settings) -> None:
    """Start a cloud whose configuration, state and claim are there and whose processes are not.

    Raises:
        ScenarioError: a service did not start.
    """
    # Probes read logs: what ended processes wrote must not speak for their successors.
    before = cloud.folder / "logs.before-reset"
    shutil.rmtree(before, ignore_errors=True)
    cloud.logs.rename(before)
    cloud.logs.mkdir()
    units = services.units(cloud, settings)
    _start(cloud, settings, services.lost_with_the_namespaces(units))


def services_again(cloud: Cloud, settings: Settings, names: Collection[str]) -> None:
    """Start services of a running cloud that have ended, none before those that it needs.

    Raises:
        ScenarioError: the first one that did not start.
    """
    units = services.units(cloud, settings)
    others = {unit.name for unit in units if unit.name not in names}
    ended = [_ready_when_it_stays(cloud, unit) for unit in without(units, others)]
    Startup(cloud, cloud.init, task_environment(settings.venv)).run(ended)


def _ready_when_it_stays(cloud: Cloud, service: Service) -> Service:
    # A probe that reads logs finds what its predecessor wrote.
    def ready() -> str | None:
        return service.ready() or Supervisor(cloud.supervisor).lacking(service.name)

    return replace(service, ready=ready)


def _start(cloud: Cloud, settings: Settings, units: Sequence[Unit]) -> None:
    init = namespaces.create(
        cloud.folder,
        f"{settings.venv}/bin/python",
        environment=task_environment(settings.venv),
        control_group=_control_group(cloud, settings),
    )
    lease.watch(cloud)
    links.connect(init, cloud.net, cloud.log("network"))
    Startup(cloud, init, task_environment(settings.venv)).run(units)


def _control_group(cloud: Cloud, settings: Settings) -> str | None:
    """Return the name of the cloud's control groups, None where its guests need none."""
    containers = hypervisor.KINDS[settings.hypervisor].containers
    return control_groups.name(cloud.folder) if containers else None
