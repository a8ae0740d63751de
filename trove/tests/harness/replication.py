"""An instance and its replicas, whoever is the source of them at a time."""

from collections.abc import Callable

from trove.tests.harness.clients import Cloud
from trove.tests.harness.instances import (
    FAILING,
    HEALTHY,
    HELD,
    LOOK_INTERVAL,
    RUNNING,
    Instance,
)
from trove.tests.harness.waiting import State, wait_for
from trove.tests.harness.workload import Workload


class ReplicationGroup:
    """Instances that replicate each other's data.

    Args:
        source: the one that takes writes at first.
        replicas: the others.
    """

    def __init__(self, source: Instance, replicas: list[Instance]) -> None:
        self.source = source
        self.replicas = replicas
        self._timeouts = source.timeouts

    @property
    def members(self) -> list[Instance]:
        """Return all of them, the source first."""
        return [self.source, *self.replicas]

    def promote(self, replica: Instance) -> None:
        """Make a replica the source of the others; wait until all are healthy so."""
        self.request_promotion(replica)
        self.wait_until_promoted(replica)

    def request_promotion(self, replica: Instance) -> None:
        """Ask Trove to make a replica the source of the others; don't wait."""
        replica.cloud.trove.instances.promote_to_replica_source(replica.id)

    def wait_until_promoted(self, replica: Instance) -> None:
        """Wait until a replica is the source of the others, and all are healthy so."""
        self._settle(replica, self.members)

    def eject(self) -> Instance:
        """Have Trove choose a new source in place of one that is dead; returns the dead one.

        Raises:
            BadRequest: Trove still hears of the source.
        """
        dead = self.source
        dead.cloud.trove.instances.eject_replica_source(dead.id)
        survivors = list(self.replicas)
        heirs: list[Instance] = []

        def look() -> State:
            failed = [each.status for each in survivors if each.status in FAILING]
            heirs[:] = [each for each in survivors if _source_of(each) is None]
            return State(failed[0] if failed else "EJECT", bool(heirs))

        wait_for(
            look,
            f"a replica of {dead.name} has taken its place",
            self._timeouts.failover,
            interval=LOOK_INTERVAL,
            failing=FAILING,
        )
        self._settle(heirs[0], survivors)
        return dead

    def revive(self, admin: Cloud, workload: Workload) -> None:
        """Switch the server of a dead source on again, as if nothing had been asked of Trove.

        Returns once all are healthy and the replicas serve what a workload writes to it.
        """
        admin.compute.start_server(self.source.server_id(admin))
        for member in self.members:
            admin.trove.mgmt_instances.reset_task_status(member.id)
        # Until their agents report, what is remembered of them may be a failure.
        for member in self.members:
            member.wait_until(HEALTHY, self._timeouts.failover, hold=HELD)
        self._settle(self.source, self.members)
        # They call a dead source less and less often. Started anew they call at once.
        for replica in self.replicas:
            replica.restart()
        workload.write(1)
        self.wait_until_served(workload)

    def detach(self, replica: Instance) -> None:
        """Make a replica an instance of its own; wait until it is healthy so."""
        replica.cloud.trove.instances.update(replica.id, detach_replica_source=True)
        self.replicas.remove(replica)
        self._wait(lambda: _source_of(replica) is None, replica, "is no replica")

    def wait_until_served(self, workload: Workload, within: float | None = None) -> None:
        """Wait until every replica has all that a workload has had acknowledged.

        Args:
            workload: wrote to the source.
            within: seconds; by default what replicas may lag behind.

        Raises:
            WaitTimeoutError: one lags behind for too long.
            LostDataError: a row has come damaged.
        """
        wanted = workload.acknowledged()
        for replica in self.replicas:
            wait_for(
                lambda replica=replica: (
                    workload.is_on(replica) and wanted <= workload.numbers(replica)
                ),
                f"{replica.name} serves {len(wanted)} rows",
                within or self._timeouts.lag,
                interval=0.2,
            )

    def _settle(self, source: Instance, members: list[Instance]) -> None:
        """Wait until all replicate from a source; it is the group's then."""
        self._wait(lambda: _source_of(source) is None, source, "is the source")
        replicas = [member for member in members if member is not source]
        for replica in replicas:
            self._wait(
                lambda replica=replica: _source_of(replica) == source.id,
                replica,
                f"is a replica of {source.name}",
            )
        self.source, self.replicas = source, replicas

    def _wait(self, look: Callable[[], bool], instance: Instance, label: str) -> None:
        def state() -> State:
            status = instance.status
            return State(status, status in RUNNING and look())

        wait_for(
            state,
            f"{instance.name} is healthy and {label}",
            self._timeouts.failover,
            interval=LOOK_INTERVAL,
            failing=FAILING,
        )


def kill(instance: Instance, admin: Cloud) -> None:
    """Switch an instance's server off behind Trove's back, as a dead host would."""
    server = instance.server_id(admin)
    admin.compute.stop_server(server)
    wait_for(
        lambda: admin.compute.get_server(server).status == "SHUTOFF",
        f"the server of {instance.name} is off",
        instance.timeouts.restart,
    )


def _source_of(instance: Instance) -> str | None:
    return (instance.show().get("replica_of") or {}).get("id")
