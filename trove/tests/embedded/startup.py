"""Start a cloud's units in the order of their dependencies, side by side."""

import os
import threading
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, CancelledError, Future, ThreadPoolExecutor, wait
from graphlib import TopologicalSorter

import psutil
from keystoneauth1.exceptions import ClientException
from openstack.exceptions import SDKException

from trove.tests.common import machine, progress
from trove.tests.common.commands import run, tail
from trove.tests.common.errors import ScenarioError
from trove.tests.embedded.cloud import Cloud
from trove.tests.embedded.namespaces import enter
from trove.tests.embedded.supervision import Supervisor
from trove.tests.embedded.units import Chore, Seed, Service, Task, Unit

READY_TIMEOUT = 240
_POLL = 0.3


class Startup:
    """One start of a cloud: every unit once, none before what it depends on."""

    def __init__(self, cloud: Cloud, init: psutil.Process, environment: dict[str, str]) -> None:
        self._cloud = cloud
        self._init = init
        self._environment = environment
        self._cancelled = threading.Event()

    def run(self, units: Sequence[Unit]) -> None:
        """Start all units.

        Raises:
            ScenarioError: the first unit that failed, with its last log lines.
        """
        by_name = {unit.name: unit for unit in units}
        graph = TopologicalSorter({unit.name: unit.after for unit in units})
        graph.prepare()
        pool = ThreadPoolExecutor(max_workers=len(units), thread_name_prefix="startup")
        running: dict[Future, str] = {}
        try:
            with progress.parts(f"start of cloud {self._cloud.name}", len(units)) as parts:
                while graph.is_active():
                    for name in graph.get_ready():
                        running[pool.submit(self._start, by_name[name], parts)] = name
                    finished, _ = wait(running, timeout=1, return_when=FIRST_COMPLETED)
                    machine.require_space_left(f"the start of cloud {self._cloud.name}")
                    for future in finished:
                        name = running.pop(future)
                        future.result()
                        graph.done(name)
        finally:
            self._cancelled.set()
            pool.shutdown(wait=False, cancel_futures=True)

    def _start(self, unit: Unit, parts: progress.Parts) -> None:
        with parts.part(unit.name):
            self._bring(unit)

    def _bring(self, unit: Unit) -> None:
        if unit.folders:
            # Inside, where file systems are mounted that the host does not see.
            folders = [self._cloud.state / folder for folder in unit.folders]
            self._run(unit, ("mkdir", "--parents", "--mode=700", *map(str, folders)))
        if isinstance(unit, Service):
            self._start_service(unit)
        elif isinstance(unit, Task):
            self._run_task(unit)
        elif isinstance(unit, Seed):
            self._plant(unit)
        elif isinstance(unit, Chore):
            unit.action()

    def _plant(self, seed: Seed) -> None:
        try:
            seed.action()
        except (SDKException, ClientException) as error:
            raise ScenarioError(
                f"Seeding the cloud's {seed.name} failed: {error}. See {self._cloud.logs}."
            ) from error

    def _start_service(self, service: Service) -> None:
        supervisor = Supervisor(self._cloud.supervisor)
        supervisor.start(service.name)
        deadline = time.monotonic() + READY_TIMEOUT
        while missing := service.ready():
            if self._cancelled.wait(_POLL):
                raise CancelledError
            reason = supervisor.hopeless(service.name)
            if time.monotonic() > deadline:
                reason = f"not ready after {READY_TIMEOUT} s ({missing})"
            if reason:
                log = self._cloud.log(service.name)
                raise ScenarioError(
                    f"{service.name} did not start: {reason}. Last lines of {log}:\n{tail(log)}"
                )

    def _run_task(self, task: Task) -> None:
        for command in task.commands:
            if self._cancelled.is_set():
                raise CancelledError
            self._run(task, command, task.environment)

    def _run(
        self, unit: Unit, command: Sequence[str], environment: Mapping[str, str] | None = None
    ) -> None:
        run(
            enter(self._init, command),
            log=self._cloud.log(unit.name),
            what=unit.name,
            env={**self._environment, **(environment or {})},
            bare=True,
            timeout=READY_TIMEOUT,
        )


def task_environment(venv: str) -> dict[str, str]:
    """Return the variables that programs run inside the cloud need.

    They get no others: a caller's may name another cloud, proxies, or modules for Python.
    """
    # Logs without a zone are read as this process's.
    zone = {"TZ": os.environ["TZ"]} if "TZ" in os.environ else {}
    return {
        **zone,
        "PATH": f"{venv}/bin:{os.defpath}:/usr/sbin:/sbin",
        "HOME": "/var/lib/home",
        "TMPDIR": "/var/tmp",
        "XDG_CACHE_HOME": f"{venv}/cache",
        "LANG": "C.UTF-8",
    }
