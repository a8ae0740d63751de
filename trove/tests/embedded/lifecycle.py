"""Bring an embedded cloud up, back to its beginnings, and down again without a trace."""

import fcntl
import shutil
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout

from trove.tests.common import machine, paths, progress, proxies, release
from trove.tests.common.errors import ScenarioError
from trove.tests.common.interruptions import deferred
from trove.tests.embedded import (
    clouds_yaml,
    configuration,
    control_groups,
    hypervisor,
    lease,
    links,
    loop_devices,
    namespaces,
    packages,
)
from trove.tests.embedded.cloud import Cloud, Settings, is_name
from trove.tests.embedded.components import COMPONENTS, with_needs
from trove.tests.embedded.init import OWN_TREES
from trove.tests.embedded.supervision import RUNNING, Supervisor

_LOCK_TIMEOUT = 900
DISK_NEEDED = 12
SUBJECT = "The embedded cloud"
WAY_OUT = ", or set OS_CLOUD to test another cloud"


def known() -> list[Cloud]:
    """Return the clouds that have something below this home."""
    folders = sorted(path for path in paths.clouds().glob("*/") if path.is_dir())
    # Others lie there, too: those of probes.
    return [Cloud(folder.name) for folder in folders if is_name(folder.name)]


@contextmanager
def locked(cloud: Cloud) -> Iterator[None]:
    """Keep other processes from bringing the cloud up or down meanwhile.

    Raises:
        ScenarioError: one of them does not come to an end.
    """
    paths.clouds().mkdir(parents=True, exist_ok=True)
    lock = FileLock(cloud.lock, timeout=0)
    try:
        lock.acquire()
    except Timeout:
        progress.say(f"another process is bringing the cloud {cloud.name} up or down: waiting")
        try:
            lock.acquire(timeout=_LOCK_TIMEOUT)
        except Timeout:
            raise ScenarioError(
                f"Another process has been bringing the cloud {cloud.name} up or down for"
                f" {_LOCK_TIMEOUT} s: see trove-cloud status."
            ) from None
    try:
        yield
    finally:
        lock.release()


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """What a cloud is to be; a running one decides what is left open.

    Attributes:
        hypervisor: what runs the guests.
        services: OpenStack services it must have, besides what they need; of a new
            cloud all if none is named.
        network_isolation: Trove's option of that name; a new cloud's is off.
        lease: how long it may lie idle, such as ``8h``.
    """

    hypervisor: str = hypervisor.AUTO
    services: Sequence[str] = ()
    network_isolation: bool | None = None
    lease: str | None = None


def up(cloud: Cloud, wanted: Wanted = Wanted()) -> Settings:  # noqa: B008 -- it is frozen
    """Bring the cloud up, or attach to it where it runs already.

    A cloud whose start was not completed, or that another tree or other pins
    configured, is replaced. Services of a running one that have ended are started again.

    Raises:
        ScenarioError: something it needs is missing, or a service did not start.
    """
    machine.require_root(SUBJECT, WAY_OUT)
    _require_places()
    proxies.bypass()
    clouds_yaml.check()
    duration, components = lease.seconds(wanted.lease), with_needs(wanted.services)
    with locked(cloud):
        running, init = cloud.settings, cloud.init
        venv = str(packages.location())
        if init and running and (running.tree, running.venv) == (configuration.key(), venv):
            _require(cloud, running, wanted, components)
            _mend(cloud, running)
            clouds_yaml.add(cloud)
            if wanted.lease:
                lease.grant(cloud, duration)
            lease.renew(cloud)
            lease.watch(cloud)
            return running
        if init:
            progress.say(
                f"the running cloud {cloud.name} is not this tree's, or not complete: replaced"
            )
        return _new(cloud, wanted, components or tuple(COMPONENTS), duration)


def _require_places() -> None:
    """Say that the services could not see what they are started from.

    Raises:
        ScenarioError: it lies where a cloud has a tree of its own.
    """
    for place, way_out in (
        (paths.home(), "name another folder in TROVE_SCENARIO_HOME"),
        (paths.ROOT, "put this tree elsewhere"),
    ):
        for tree in OWN_TREES:
            if place.resolve().is_relative_to(Path("/", tree).resolve()):
                raise ScenarioError(
                    f"{SUBJECT} can't use {place}, for it has a /{tree} of its own: {way_out}."
                )


def _require(cloud: Cloud, running: Settings, wanted: Wanted, components: tuple[str, ...]) -> None:
    """Raise an error unless the running cloud is what is wanted."""
    if wanted.hypervisor not in (hypervisor.AUTO, running.hypervisor):
        conflict = f"with --hypervisor {running.hypervisor}"
    elif wanted.network_isolation not in (None, running.network_isolation):
        conflict = f"with network isolation {'on' if running.network_isolation else 'off'}"
    elif lacking := [name for name in components if name not in running.components]:
        conflict = f"without {', '.join(lacking)}"
    else:
        return
    raise ScenarioError(
        f"The cloud {cloud.name} runs {conflict}: call trove-cloud down first, or name another"
        " cloud with --name."
    )


def _mend(cloud: Cloud, settings: Settings) -> None:
    """Start the services of a running cloud that the supervisor has given up."""
    try:
        processes = Supervisor(cloud.supervisor).processes()
        ended = [facts["name"] for facts in processes if facts["statename"] != RUNNING]
        if ended:
            with progress.step(f"cloud {cloud.name} lacks {', '.join(ended)}: started again"):
                from trove.tests.embedded import launch

                launch.services_again(cloud, settings, ended)
    except (ScenarioError, OSError) as error:
        raise ScenarioError(
            f"The cloud {cloud.name} is faulty; trove-cloud reset brings it back to its"
            f" beginnings, trove-cloud down ends it. {error}"
        ) from error


def _new(
    cloud: Cloud, wanted: Wanted, components: tuple[str, ...], lease_duration: float
) -> Settings:
    machine.require(SUBJECT, gib=DISK_NEEDED, way_out=WAY_OUT)
    machine.install_packages("embedded")
    remove(cloud)
    with _starting():
        return _started(cloud, wanted, components, lease_duration)


def _starting() -> AbstractContextManager:
    """Keep what clouds are started from there for as long as one is."""
    return packages.held(fcntl.LOCK_SH, busy="trove-cloud prune is at work: waiting")


def _started(
    cloud: Cloud, wanted: Wanted, components: tuple[str, ...], lease_duration: float
) -> Settings:
    venv = packages.services_environment(paths.home() / "logs" / "services.log")
    with ThreadPoolExecutor(max_workers=1) as pool:
        choice = pool.submit(hypervisor.choose, wanted.hypervisor)
        # Meanwhile, for both take seconds.
        from trove.tests.embedded import launch
    chosen = choice.result()
    settings = Settings(
        series=release.load().series,
        tree=configuration.key(),
        venv=str(venv),
        hypervisor=chosen.name,
        network_isolation=bool(wanted.network_isolation),
        components=components,
    )
    with progress.step(f"embedded cloud {cloud.name} (guests run by {chosen.name})"):
        _complete(cloud, settings, lambda: launch.new(cloud, settings, lease_duration))
    return settings


def reset(cloud: Cloud) -> None:
    """Bring a running cloud back to what it was when its start was completed.

    All its processes end, guests included; its databases are those of then.
    Passwords and addresses stay.

    Raises:
        ScenarioError: the cloud is not up, its addresses were taken as it ended, or a
            service did not start.
    """
    clouds_yaml.check()
    with locked(cloud):
        settings = cloud.settings
        if not settings or settings.tree != configuration.key():
            raise ScenarioError(
                f"There is no complete cloud {cloud.name} of this tree: call trove-cloud up."
            )
        with _starting(), progress.step(f"embedded cloud {cloud.name} as freshly seeded"):
            from trove.tests.embedded import launch, snapshots

            def begin_again() -> None:
                _end(cloud)
                # At once: clouds that are started meanwhile take what is free.
                links.claim(cloud.folder, [cloud.net.slot])
                snapshots.restore(cloud)
                launch.again(cloud, settings)

            _complete(cloud, settings, begin_again)


def _complete(cloud: Cloud, settings: Settings, start: Callable[[], None]) -> None:
    """Start the cloud and note that it is complete; a cloud that does not start is ended."""
    try:
        start()
        clouds_yaml.add(cloud)
        cloud.mark_ready(settings)
        lease.renew(cloud)
    except Exception:
        _end(cloud)  # its logs stay, for they are named in the message
        machine.require_space_left(f"the start of cloud {cloud.name}")
        raise
    except BaseException:
        remove(cloud)
        raise


def down(cloud: Cloud) -> None:
    """End the cloud, whatever state it is in, and remove all it left.

    Raises:
        ScenarioError: a process could not be ended, or clouds.yaml not be changed.
    """
    with locked(cloud):
        remove(cloud)


def expire(cloud: Cloud) -> None:
    """End the cloud as ``down`` does, unless somebody has used it in the last moment."""
    with locked(cloud):
        if lease.remaining(cloud) > 0:
            lease.watch(cloud)
        else:
            remove(cloud)


def _end(cloud: Cloud) -> None:
    """End the cloud; what is in its folder stays."""
    with deferred():
        _stop(cloud)
        clouds_yaml.remove(cloud)


def _stop(cloud: Cloud) -> None:
    """End every process, mount and link of the cloud."""
    if init := cloud.init:
        namespaces.destroy(init)
    control_groups.remove(cloud.folder)
    loop_devices.release(cloud.disks_file)
    lease.unwatch(cloud)
    links.release(cloud.folder)
    cloud.unmark_ready()


def remove(cloud: Cloud) -> None:
    """End the cloud and remove its folder; the caller holds its lock.

    Who interrupts that waits for it.
    """
    with deferred():
        _stop(cloud)
        shutil.rmtree(cloud.folder, ignore_errors=True)
        # Last, for on a full disk there is no room for it before.
        clouds_yaml.remove(cloud)
