"""Instances that an earlier run has left behind on purpose, for a later one."""

from collections.abc import Iterator
from typing import Any

from trove.tests.common import paths
from trove.tests.harness.instances import HEALTHY, Instance
from trove.tests.harness.run import Run, earlier_runs
from trove.tests.harness.sql import AccessRefusedError
from trove.tests.harness.sweeper import GONE
from trove.tests.harness.waiting import WaitError


def instances(run: Run, what: str) -> Iterator[tuple[Run, str, dict[str, Any]]]:
    """Yield what earlier runs on this run's cloud have kept as it should be, the last one first.

    With each come the run that has kept it, and the name of the result there.

    Args:
        run: the run that looks for them.
        what: how the names of the shared results begin that hold them.
    """
    identity = run.journal.facts()["identity"]
    for earlier in earlier_runs():
        if earlier.id == run.id or earlier.journal.facts().get("identity") != identity:
            continue
        kept = earlier.journal.kept()
        for number, dumped in reversed(earlier.made(what).items()):
            result = f"{what}-{number}"
            if dumped["name"] in kept and not earlier.is_lent(result):
                yield earlier, result, dumped


def borrow(run: Run, result: str, dumped: dict[str, Any]) -> dict[str, Any] | None:
    """Return what a run has kept as a result of another run's; None if a third one was faster."""
    if not run.lend(result):
        return None
    return dumped | {"kept_by": run.id, "kept_as": result}


def give_back(dumped: dict[str, Any]) -> None:
    """Let other runs have again what was borrowed, if it was."""
    if id := dumped.get("kept_by"):
        Run(id, paths.runs() / id).take_back(dumped["kept_as"])


def why_not(instance: Instance) -> str | None:
    """Return why an instance is not what its factory would make now, and healthy; else None."""
    try:
        shown = instance.show()
    except GONE:
        return "it is gone"
    status = shown.get("operating_status") or shown["status"]
    wanted = instance.spec
    found = {
        "datastore version": (shown["datastore"]["version"], wanted.version),
        "flavor": (shown["flavor"]["id"], wanted.flavor),
        "volume": (shown.get("volume", {}).get("size", 0), wanted.volume_gb),
        "status": (status, HEALTHY),
    }
    for what, (is_now, should_be) in found.items():
        if is_now != should_be:
            return f"its {what} is {is_now}, not {should_be}"
    try:
        with instance.connected(database=instance.database):
            return None
    except (AccessRefusedError, WaitError) as error:
        return f"its user can't log in: {error}"
