"""A backup of an instance, as its owner handles it.

A backup's data is in Swift, written by a program in the guest, or in Cinder, as a
snapshot of the instance's volume. What one borrower of a ``BackupFactory`` made is
deleted when it is done.
"""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from openstack import exceptions as sdk_errors

from trove.tests.common.errors import ScenarioError
from trove.tests.harness.clients import Cloud
from trove.tests.harness.instances import Instance
from trove.tests.harness.journal import Entry, Journal
from trove.tests.harness.kinds import GONE, delete_backup, find_strategy, wait_until_gone
from trove.tests.harness.run import Run
from trove.tests.harness.timeouts import Timeouts
from trove.tests.harness.waiting import State, WaitTimeoutError, wait_for

COMPLETED = ("COMPLETED", "RESTORED")  # the latter of one that was made elsewhere
FAILING = ("FAILED", "DELETE_FAILED")
IN_CINDER = "cinder://"  # begins the location of a volume backup; an object's is an HTTP address
LOOK_INTERVAL = 0.5  # seconds; a small backup takes two


class Backup:
    """One backup.

    Args:
        cloud: its owner's.
        entry: its place in the journal, with its name and id.
        journal: the journal.
        timeouts: limits of waits.
    """

    def __init__(self, cloud: Cloud, entry: Entry, journal: Journal, timeouts: Timeouts) -> None:
        self.cloud = cloud
        self.id = str(entry.id)
        self.name = entry.name
        self._entry = entry
        self._journal = journal
        self._timeouts = timeouts
        self._is_stuck = False

    def __repr__(self) -> str:
        return f"<Backup {self.name} {self.id}>"

    def show(self) -> dict[str, Any]:
        """Return everything that Trove tells its owner about it."""
        return self.cloud.trove.backups.get(self.id).to_dict()

    @property
    def status(self) -> str:
        """Its status, such as ``COMPLETED``."""
        return self.show()["status"]

    @property
    def exists(self) -> bool:
        """Whether Trove knows it."""
        try:
            self.show()
        except GONE:
            return False
        return True

    def wait_until_completed(self) -> None:
        """Wait until it can be restored from.

        Raises:
            FailedStateError: it failed.
            WaitTimeoutError: it took too long.
        """

        def look() -> State:
            status = self.status
            return State(status, status in COMPLETED)

        try:
            wait_for(
                look,
                f"backup {self.name} is complete",
                self._timeouts.backup,
                interval=LOOK_INTERVAL,
                failing=FAILING,
            )
        except WaitTimeoutError:
            self._is_stuck = True
            raise

    def delete(self) -> None:
        """Delete it with all its children, once it is over, and wait until Trove has forgotten it.

        A child that was deleted with its parent is no error.
        """
        with suppress(*GONE):
            delete_backup(self.cloud, self.id, self._timeouts)
        self.wait_until_gone()
        self._journal.closed(self._entry)

    def discard(self) -> None:
        """Delete it, unless it was waited for in vain.

        Trove deletes none that still runs. At the end of the run its instance goes first,
        and with that Trove gives it up.
        """
        if not self._is_stuck:
            self.delete()

    def wait_until_gone(self) -> None:
        """Wait until Trove doesn't know it any more."""
        wait_until_gone(self.show, f"backup {self.name} is deleted", self._timeouts.gone)

    # Its data

    @cached_property
    def location(self) -> str:
        """Where its data is; remembered when it has been deleted.

        Raises:
            ScenarioError: it has none yet.
        """
        location = self.show()["locationRef"]
        if not location:
            raise ScenarioError(f"Backup {self.name} has no location: it is {self.status}.")
        return location

    @property
    def container(self) -> str:
        """Name of the Swift container that its data is in; none of a volume backup."""
        return "" if self.location.startswith(IN_CINDER) else self.location.split("/")[-2]

    def objects(self) -> list[str]:
        """Return the names of its objects in Swift; none once its data is gone."""
        store = self.cloud.object_store
        with suppress(sdk_errors.NotFoundException):
            if self.container:
                return [each.name for each in store.objects(self.container, prefix=self.id)]
        return []

    def snapshots(self, admin: Cloud) -> list[str]:
        """Return the ids of its snapshots in Cinder; none if its data is gone, or in Swift.

        Args:
            admin: who sees them: Trove may keep volumes in a project of its own.
        """
        if not self.location.startswith(IN_CINDER):
            # Such a cloud may have no Cinder to ask.
            return []
        id = self.location.removeprefix(IN_CINDER)
        listed = admin.block_storage.snapshots(details=False, all_projects=True)
        return [each.id for each in listed if each.id == id]

    def wait_until_erased(self, admin: Cloud) -> None:
        """Wait until its data is gone: that may be later than Trove forgets the backup."""
        wait_for(
            lambda: not (self.snapshots(admin) or self.objects()),
            f"data of backup {self.name} is gone",
            self._timeouts.change,
        )


@dataclass
class BackupFactory:
    """Makes backups, and makes them known to the run.

    Attributes:
        cloud: their owner's.
        timeouts: limits of waits.
        run: whose journal they are written down in.
    """

    cloud: Cloud
    timeouts: Timeouts
    run: Run
    _undo: list[Callable[[], None]] = field(default_factory=list, repr=False)

    def request(self, instance: Instance, **more: Any) -> Backup:
        """Ask Trove for a backup of an instance; don't wait.

        Args:
            instance: what to back up.
            more: further arguments of python-troveclient's create call.

        Raises:
            ClientException: Trove refuses.
        """
        return self._ask(instance.id, more)

    def create(self, instance: Instance, **more: Any) -> Backup:
        """Back up an instance and wait until it is done; for arguments see ``request``."""
        backup = self.request(instance, **more)
        backup.wait_until_completed()
        return backup

    def register(self, location: str, datastore_version: str, size: float) -> Backup:
        """Make a backup known to Trove whose data is in Swift already.

        Args:
            location: address of the object.
            datastore_version: id of the version that it is of.
            size: GiB that it takes when it is restored.

        Raises:
            ClientException: Trove refuses.
        """
        origin = {
            "restore_from": location,
            "restore_ds_version": datastore_version,
            "restore_size": size,
        }
        return self._ask(None, origin)

    def container(self) -> str:
        """Return the name of a new Swift container; it is removed once it is empty."""
        name = self.run.name("container")
        entry = self.run.journal.created(self.run.journal.creating("container", name), name)
        self._undo.append(lambda: self._remove_container(entry))
        return name

    def set_strategy(self, instance: Instance, container: str) -> None:
        """Have an instance's backups go into a container of their own from now on."""
        journal = self.run.journal
        entry = journal.creating("backup_strategy", f"of {instance.name}")
        entry = journal.created(entry, instance.id)
        self.cloud.trove.backup_strategies.create(instance.id, container)

        def undo() -> None:
            self.remove_strategy(instance)
            journal.closed(entry)

        self._undo.append(undo)

    def strategy(self, instance: Instance) -> Any:
        """Return an instance's own strategy, None where it has none."""
        try:
            return find_strategy(self.cloud, instance.id)
        except GONE:
            return None

    def remove_strategy(self, instance: Instance) -> None:
        """Have an instance's backups go where all go."""
        self.cloud.trove.backup_strategies.delete(instance_id=instance.id)

    @contextmanager
    def borrowed(self) -> Iterator["BackupFactory"]:
        """Lend the factory; at the end delete what was made through it, newest first."""
        self._undo = []
        try:
            yield self
        finally:
            with ExitStack() as undo:
                for each in self._undo:
                    undo.callback(each)
                self._undo = []

    def _ask(self, instance: str | None, more: dict[str, Any]) -> Backup:
        journal = self.run.journal
        entry = journal.creating("backup", self.run.name("backup"))
        with journal.refusable(entry):
            made = self.cloud.trove.backups.create(entry.name, instance, **more)
        backup = Backup(self.cloud, journal.created(entry, made.id), journal, self.timeouts)
        self._undo.append(backup.discard)
        return backup

    def _remove_container(self, entry: Entry) -> None:
        self.cloud.object_store.delete_container(entry.name, ignore_missing=True)
        self.run.journal.closed(entry)
