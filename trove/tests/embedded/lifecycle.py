"""Bring an embedded cloud up, and down again without a trace."""

import shutil

from filelock import FileLock, Timeout

from trove.tests.common import machine, paths, progress, release
from trove.tests.common.errors import ScenarioError
from trove.tests.embedded import (
    certificates,
    clouds_yaml,
    configuration,
    control_groups,
    hypervisor,
    links,
    loop_devices,
    namespaces,
    packages,
    services,
)
from trove.tests.embedded.cloud import Cloud, Settings
from trove.tests.embedded.components import COMPONENTS
from trove.tests.embedded.startup import Startup, task_environment
from trove.tests.embedded.units import Service

_LOCK_TIMEOUT = 900
DISK_NEEDED = 12
WAY_OUT = ", or set OS_CLOUD to test another cloud"


def _locked(cloud: Cloud) -> FileLock:
    paths.clouds().mkdir(parents=True, exist_ok=True)
    return FileLock(cloud.lock, timeout=_LOCK_TIMEOUT)


def up(cloud: Cloud, hypervisor_name: str = hypervisor.AUTO) -> Settings:
    """Bring the cloud up, or attach to it where it runs already.

    A cloud whose start was not completed, or that another tree or other pins
    configured, is replaced.

    Raises:
        ScenarioError: something it needs is missing, or a service did not start.
    """
    machine.require("The embedded cloud", gib=DISK_NEEDED, way_out=WAY_OUT)
    try:
        with _locked(cloud):
            return _up(cloud, hypervisor_name)
    except Timeout:
        raise ScenarioError(
            f"Another process has been bringing the cloud {cloud.name} up or down for"
            f" {_LOCK_TIMEOUT} s: see trove-cloud status."
        ) from None


def _up(cloud: Cloud, hypervisor_name: str) -> Settings:
    machine.install_packages("embedded")
    venv = packages.services_environment(paths.home() / "logs" / "services.log")
    running, init = cloud.settings, cloud.init
    if init and running and (running.tree, running.venv) == (configuration.key(), str(venv)):
        if hypervisor_name not in (hypervisor.AUTO, running.hypervisor):
            raise ScenarioError(
                f"The cloud {cloud.name} runs with --hypervisor {running.hypervisor}:"
                " call trove-cloud down first."
            )
        clouds_yaml.add(cloud)
        return running
    if init:
        progress.say(
            f"the running cloud {cloud.name} is not this tree's, or not complete: replaced"
        )
    _remove(cloud)
    chosen = hypervisor.choose(hypervisor_name)
    settings = Settings(
        series=release.load().series,
        tree=configuration.key(),
        venv=str(venv),
        hypervisor=chosen.name,
        components=tuple(COMPONENTS),
    )
    with progress.step(f"embedded cloud {cloud.name} (guests run by {chosen.name})"):
        _start(cloud, settings)
    return settings


def _start(cloud: Cloud, settings: Settings) -> None:
    try:
        cloud.make_folders(links.claim(cloud.folder))
        tls = cloud.folder / "tls"
        certificates.make(cloud.name, [cloud.net.api], cloud.authority, tls / "server.pem")
        everything = services.units(cloud, settings)
        long_running = [unit for unit in everything if isinstance(unit, Service)]
        configuration.write_all(cloud, settings, long_running)
        init = namespaces.create(
            cloud.folder,
            f"{settings.venv}/bin/supervisord",
            control_group=_control_group(cloud, settings),
        )
        links.connect(init, cloud.net, cloud.log("network"))
        Startup(cloud, init, task_environment(settings.venv)).run(everything)
        clouds_yaml.add(cloud)
        cloud.mark_ready(settings)
    except Exception:
        _end(cloud)  # its logs stay, for they are named in the message
        raise
    except BaseException:
        _remove(cloud)
        raise


def _control_group(cloud: Cloud, settings: Settings) -> str | None:
    """Return the name of the cloud's control groups, None where its guests need none."""
    containers = hypervisor.KINDS[settings.hypervisor].containers
    return control_groups.name(cloud.folder) if containers else None


def down(cloud: Cloud) -> None:
    """End the cloud, whatever state it is in, and remove all it left.

    Raises:
        ScenarioError: a process could not be ended.
    """
    with _locked(cloud):
        _remove(cloud)


def _end(cloud: Cloud) -> None:
    """End every process, mount and link of the cloud."""
    if init := cloud.init:
        namespaces.destroy(init)
    control_groups.remove(cloud.folder)
    loop_devices.release(cloud.disks_file)
    links.release(cloud.folder)
    clouds_yaml.remove(cloud)


def _remove(cloud: Cloud) -> None:
    _end(cloud)
    shutil.rmtree(cloud.folder, ignore_errors=True)
