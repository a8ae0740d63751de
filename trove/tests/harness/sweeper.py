"""Delete what a journal still has, in an order in which nothing is in use.

Only what the journal names is touched: by its id, or, where the run died before
it was told the id, by its exact name, which has the project's prefix.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from openstack import exceptions as sdk_errors
from troveclient import exceptions as trove_errors

from trove.tests.common import progress
from trove.tests.harness import vault
from trove.tests.harness.clients import Cloud
from trove.tests.harness.journal import PREFIX, Entry, Journal
from trove.tests.harness.paging import every
from trove.tests.harness.run import dead_runs
from trove.tests.harness.timeouts import Timeouts
from trove.tests.harness.waiting import State, wait_for

log = logging.getLogger(__name__)

ATTEMPTS = 2
GONE = (trove_errors.NotFound, sdk_errors.NotFoundException)


@dataclass(frozen=True)
class Kind:
    """How to handle one kind of resource.

    Attributes:
        list: returns all that might be meant, each with ``id`` and ``name``.
        get: returns the one with an id; raises "not found" when it is gone.
        delete: asks for the deletion of the one with an id.
    """

    list: Callable[[], list[Any]]
    get: Callable[[str], Any]
    delete: Callable[[str], Any]


def sweep(journal: Journal, user: Cloud, admin: Cloud, timeouts: Timeouts) -> list[str]:
    """Delete everything that is open in ``journal``; return what went wrong.

    One failure doesn't keep the rest from being deleted.
    """
    kinds = _kinds(user, admin)
    order = list(kinds)
    entries = journal.open_entries()
    # Another version of the tree may have written this journal.
    strange = [entry for entry in entries if entry.kind not in kinds]
    pending = [entry for entry in reversed(entries) if entry.kind in kinds]
    pending.sort(key=lambda entry: order.index(entry.kind))
    problems: list[tuple[Entry, Exception]] = []
    # Newest first, so that replicas go before their source; but which is the source
    # may have changed, and then it can be deleted once they are gone.
    for _ in range(ATTEMPTS):
        problems = []
        for entry in pending:
            try:
                _remove(entry, kinds[entry.kind], timeouts)
            except Exception as error:
                log.warning("deleting %s %s failed", entry.kind, entry.name, exc_info=True)
                problems.append((entry, error))
            else:
                journal.closed(entry)
        pending = [entry for entry, _ in problems]
    return [
        *(f"{entry.kind} {entry.name} ({entry.id or 'no id'}): {why}" for entry, why in problems),
        *(f"{entry.kind} {entry.name}: unknown to this version" for entry in strange),
    ]


def sweep_after_dead_runs(user: Cloud, admin: Cloud, timeouts: Timeouts, *, but: str = "") -> None:
    """Delete what runs on this cloud have left whose process died.

    Args:
        user: the cloud as those runs' user sees it.
        admin: the same as its administrator does.
        timeouts: how long deleting may take.
        but: id of a run to leave alone.
    """
    for dead in dead_runs():
        if dead.id != but and dead.journal.facts().get("identity") == user.identity:
            with progress.step(f"clean-up after run {dead.id}, which died"):
                for problem in sweep(dead.journal, user, admin, timeouts):
                    progress.say(f"not cleaned up: {problem}")


def delete_instance(cloud: Cloud, id: str, *, admin: Cloud | None = None) -> None:
    """Ask for an instance's deletion, by force where it is still being built.

    Args:
        cloud: its owner's.
        id: the instance's.
        admin: who may reset a status; without it nothing is forced.
    """
    try:
        cloud.trove.instances.delete(id)
    except GONE:
        return
    except trove_errors.UnprocessableEntity:
        if admin is None:
            raise
        admin.trove.instances.reset_status(id)
        cloud.trove.instances.delete(id)


def wait_until_gone(get: Callable[[], Any], label: str, timeout: float) -> None:
    """Wait until ``get`` raises "not found"."""

    def look() -> State:
        try:
            found = get()
        except GONE:
            return State("gone", reached=True)
        return State(getattr(found, "status", None) or "there", reached=False)

    wait_for(look, label, timeout)


def _remove(entry: Entry, kind: Kind, timeouts: Timeouts) -> None:
    for id in [entry.id] if entry.id else _ids_by_name(entry, kind):
        log.info("deleting %s %s (%s)", entry.kind, entry.name, id)
        try:
            kind.delete(id)
        except GONE:
            continue
        wait_until_gone(lambda id=id: kind.get(id), f"{entry.name} is deleted", timeouts.gone)


def _ids_by_name(entry: Entry, kind: Kind) -> list[str]:
    if entry.kind == "datastore_version":
        # Its name is the database's version; the image is what makes it ours.
        image = entry.details["image"]
        return [each.id for each in kind.list() if each.image == image]
    if not entry.name.startswith(PREFIX):
        return []
    return [each.id for each in kind.list() if each.name == entry.name]


def _kinds(user: Cloud, admin: Cloud) -> dict[str, Kind]:
    """Return every kind, in the order in which to delete."""
    trove = user.trove
    versions = admin.trove.mgmt_ds_versions
    return {
        "instance": Kind(
            lambda: every(trove.instances.list),
            trove.instances.get,
            lambda id: delete_instance(user, id, admin=admin),
        ),
        "configuration": Kind(
            lambda: every(trove.configurations.list),
            trove.configurations.get,
            trove.configurations.delete,
        ),
        "secret": Kind(
            lambda: vault.stored(user),
            lambda id: vault.look_up(user, id),
            lambda id: vault.delete(user, id),
        ),
        "datastore_version": Kind(lambda: every(versions.list), versions.get, versions.delete),
        "image": Kind(
            lambda: list(admin.image.images(visibility="all")),
            admin.image.get_image,
            admin.image.delete_image,
        ),
        "flavor": Kind(
            lambda: list(admin.compute.flavors()),
            admin.compute.get_flavor,
            admin.compute.delete_flavor,
        ),
    }
