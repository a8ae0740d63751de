"""Modules: files that Trove keeps, and hands to a driver on the guests they are applied to."""

import logging
from contextlib import ExitStack, suppress
from typing import Any

from troveclient.exceptions import BadRequest
from troveclient.v1.modules import Module

from trove.tests.harness.clients import Cloud
from trove.tests.harness.instances import Instance
from trove.tests.harness.journal import Entry
from trove.tests.harness.kinds import GONE
from trove.tests.harness.paging import every
from trove.tests.harness.run import Run
from trove.tests.harness.timeouts import Timeouts
from trove.tests.harness.waiting import wait_for

log = logging.getLogger(__name__)

# The driver that does nothing but answer with the message that it finds in the file.
PING = "ping"
# Trove's dates have whole seconds: a later attempt has a later one.
REAPPLY_INTERVAL = 1.0


def ping(message: str) -> str:
    """Return the contents of a module that answers with a message when it is applied."""
    return f"message={message}"


class Modules:
    """Makes modules; as a context manager it takes them back and deletes them at the end.

    Args:
        cloud: their owner's, unless said otherwise.
        run: whose journal they are written down in.
        timeouts: limits of waits.
    """

    def __init__(self, cloud: Cloud, run: Run, timeouts: Timeouts) -> None:
        self._cloud = cloud
        self._run = run
        self._timeouts = timeouts
        self._made: dict[str, tuple[Module, Entry, Cloud]] = {}
        self._applied: list[tuple[Instance, Module]] = []

    def __enter__(self) -> "Modules":
        return self

    def __exit__(self, *_error: object) -> None:
        applied = list(self._applied)
        kept = {module.id for instance, module in applied if not self._taken_back(instance, module)}
        with ExitStack() as deletions:
            for module, _, _ in self._made.values():
                if module.id not in kept:
                    deletions.callback(self.delete, module)

    def create(
        self,
        contents: str = ping("hello"),
        *,
        name: str | None = None,
        type: str = PING,
        by: Cloud | None = None,
        **options: Any,
    ) -> Module:
        """Create a module, and return it as Trove then tells of it.

        Args:
            contents: of the file.
            name: if it isn't to be a new one.
            type: name of the driver.
            by: who makes it, if it isn't the usual owner.
            options: further arguments of python-troveclient's create call.

        Raises:
            ClientException: Trove refuses.
        """
        cloud = by or self._cloud
        entry = self._run.journal.creating("module", self._run.name("module"))
        with self._run.journal.refusable(entry):
            module = cloud.trove.modules.create(name or entry.name, type, contents, **options)
        self._made[module.id] = module, self._run.journal.created(entry, module.id), cloud
        return module

    def delete(self, module: Module) -> None:
        """Delete a module, as whoever made it.

        Raises:
            Forbidden: an instance has it.
        """
        _, entry, cloud = self._made[module.id]
        with suppress(*GONE):
            cloud.trove.modules.delete(module.id)
        self._run.journal.closed(entry)
        del self._made[module.id]

    def apply(self, instance: Instance, *modules: Module) -> list[Module]:
        """Apply modules in one call; return what the guest answers, in its order."""
        answers = instance.cloud.trove.instances.module_apply(instance.id, modules)
        self._applied += [(instance, module) for module in modules]
        return answers

    def remove(self, instance: Instance, module: Module) -> None:
        """Take a module from an instance, as whoever made it.

        Raises:
            BadRequest: the guest doesn't have it, or can't.
        """
        _, _, cloud = self._made[module.id]
        cloud.trove.instances.module_remove(instance.id, module.id)
        self._applied = [each for each in self._applied if each != (instance, module)]

    def instances(self, module: Module) -> list[str]:
        """Return the ids of the instances that have a module."""
        return [each.id for each in every(self._cloud.trove.modules.instances, module.id)]

    def counts(self, module: Module) -> dict[str, Module]:
        """Return how many instances have which state of a module, by its checksum.

        Each has ``instance_count``, whether it is ``current``, and ``max_updated_date``.
        """
        told = self._cloud.trove.modules.instances(module.id, count_only=True)
        return {each.module_md5: each for each in told}

    def reapply(self, module: Module, *, md5: str | None = None, force: bool = False) -> None:
        """Have a module applied anew, and wait until its instances have the current state.

        Args:
            module: the module.
            md5: only those whose state of it has this checksum.
            force: those, too, that have the current state already.

        Raises:
            WaitTimeoutError: it took longer than a change may.
        """
        before = self._last_applied(module)

        def look() -> bool:
            self._cloud.trove.modules.reapply(module.id, md5=md5, force=force)
            current = all(each.current for each in self.counts(module).values())
            return current and (not force or self._last_applied(module) > before)

        wait_for(
            look,
            f"module {module.name} is applied anew",
            self._timeouts.change,
            interval=REAPPLY_INTERVAL,
        )

    def _last_applied(self, module: Module) -> str:
        return max((each.max_updated_date for each in self.counts(module).values()), default="")

    def _taken_back(self, instance: Instance, module: Module) -> bool:
        """Take a module from an instance; tell whether it could be done.

        What a guest can't give back it has until the instance is deleted, and so long
        Trove doesn't let go of the module: both are left to the end of the run.
        """
        try:
            self.remove(instance, module)
        except BadRequest as error:
            said = str(error).partition("\n")[0]
            log.warning("%s keeps module %s: %s", instance.name, module.name, said)
            return False
        return True
