"""Delete what a journal still has, in an order in which nothing is in use.

Only what the journal names is touched: by its id, or, where the run died before
it was told the id, by its exact name, which has the project's prefix.
"""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from itertools import groupby
from typing import Any

from openstack import exceptions as sdk_errors
from troveclient import exceptions as trove_errors

from trove.tests.common import progress
from trove.tests.harness import object_store, vault
from trove.tests.harness.clients import Cloud
from trove.tests.harness.journal import PREFIX, Entry, Journal
from trove.tests.harness.paging import every
from trove.tests.harness.run import dead_runs
from trove.tests.harness.timeouts import Timeouts
from trove.tests.harness.waiting import State, wait_for

log = logging.getLogger(__name__)

ATTEMPTS = 2
RUNNING_BACKUP = ("NEW", "BUILDING", "SAVING")
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

    One failure doesn't keep the rest from being deleted. What a newer version of this
    harness has made, and only that can delete, stays in the journal.
    """
    kinds = _kinds(user, admin, timeouts)
    order = {kind: place for place, kind in enumerate(kinds)}
    # An instance's volume can't go while its snapshots are there, nor they perhaps while
    # volumes made of them are: instances and backups go together, the newest first.
    order["backup"] = order["instance"]
    entries = journal.open_entries()
    # Another version of the tree may have written this journal.
    strange = [entry for entry in entries if entry.kind not in kinds]
    pending = [entry for entry in reversed(entries) if entry.kind in kinds]
    pending.sort(key=lambda entry: order[entry.kind])
    problems: list[tuple[Entry, Exception]] = []
    # Newest first, so that replicas go before their source; but which is the source
    # may have changed, and then it can be deleted once they are gone.
    for _ in range(ATTEMPTS):
        problems = []
        for kind, batch in groupby(pending, key=lambda entry: entry.kind):
            problems += _remove_together(list(batch), kinds[kind], journal, timeouts)
        pending = [entry for entry, _ in problems]
    return [
        *(f"{entry.kind} {entry.name} ({entry.id or 'no id'}): {why}" for entry, why in problems),
        *(f"{entry.kind} {entry.name}: unknown to this version" for entry in strange),
    ]


def remove(entry: Entry, user: Cloud, admin: Cloud, timeouts: Timeouts) -> None:
    """Delete one resource of a journal, if it is still there, and wait until it is gone."""
    kind = _kinds(user, admin, timeouts)[entry.kind]
    _wait_until_gone(entry, kind, _ask(entry, kind), timeouts)


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


def find_instance(cloud: Cloud, id: str) -> Any:
    """Return an instance, by its id, as the list of all has it.

    For what it shows of one alone Trove asks the guest, also one that never came up: of
    an instance in error it knows nothing for as long as a guest may take to answer.

    Raises:
        NotFound: there is none.
    """
    for instance in every(partial(cloud.trove.instances.list, detailed=True)):
        if instance.id == id:
            return instance
    raise trove_errors.NotFound(f"There is no instance {id}.")


def delete_backup(cloud: Cloud, id: str, timeouts: Timeouts) -> None:
    """Ask for a backup's deletion, with all its increments, once it is over.

    Args:
        cloud: its owner's.
        id: the backup's.
        timeouts: how long it may take to be over.

    Raises:
        NotFound: it is gone already.
    """

    def look() -> State:
        status = cloud.trove.backups.get(id).status
        return State(status, reached=status not in RUNNING_BACKUP)

    # Trove deletes none that still runs.
    wait_for(look, f"backup {id} is over", timeouts.backup, interval=0.5)
    cloud.trove.backups.delete(id)


def find_strategy(cloud: Cloud, instance: str) -> Any:
    """Return the backup strategy of an instance, by its id.

    Raises:
        NotFound: it has none.
    """
    for strategy in cloud.trove.backup_strategies.list(instance_id=instance):
        return strategy
    raise trove_errors.NotFound(f"Instance {instance} has no backup strategy.")


def wait_until_gone(get: Callable[[], Any], label: str, timeout: float) -> None:
    """Wait until ``get`` raises "not found"."""

    def look() -> State:
        try:
            found = get()
        except GONE:
            return State("gone", reached=True)
        return State(getattr(found, "status", None) or "there", reached=False)

    wait_for(look, label, timeout)


def _remove_together(
    entries: list[Entry], kind: Kind, journal: Journal, timeouts: Timeouts
) -> list[tuple[Entry, Exception]]:
    """Delete resources of a kind side by side; return those that can't be, and why."""
    problems: list[tuple[Entry, Exception]] = []

    @contextmanager
    def noted(entry: Entry) -> Iterator[None]:
        try:
            yield
        except Exception as error:
            log.warning("deleting %s %s failed", entry.kind, entry.name, exc_info=True)
            problems.append((entry, error))

    asked: list[tuple[Entry, list[str]]] = []
    for entry in entries:
        with noted(entry):
            asked.append((entry, _ask(entry, kind)))
    for entry, ids in asked:
        with noted(entry):
            _wait_until_gone(entry, kind, ids, timeouts)
            journal.closed(entry)
    return problems


def _ask(entry: Entry, kind: Kind) -> list[str]:
    """Ask for the deletion of what an entry means; return the ids of what was still there."""
    asked = []
    for id in [entry.id] if entry.id else _ids_by_name(entry, kind):
        log.info("deleting %s %s (%s)", entry.kind, entry.name, id)
        with suppress(*GONE):
            kind.delete(id)
            asked.append(id)
    return asked


def _wait_until_gone(entry: Entry, kind: Kind, ids: list[str], timeouts: Timeouts) -> None:
    for id in ids:
        wait_until_gone(lambda id=id: kind.get(id), f"{entry.name} is deleted", timeouts.gone)


def _ids_by_name(entry: Entry, kind: Kind) -> list[str]:
    if entry.name.startswith(PREFIX):
        return [each.id for each in kind.list() if each.name == entry.name]
    if entry.kind == "datastore_version":
        # Its name is the database's version; the image is what makes it ours.
        image = entry.details["image"]
        return [each.id for each in kind.list() if each.image == image]
    return []


def _version(admin: Cloud, id: str) -> Any:
    # Asked for one that it doesn't know, Trove says that the request is bad.
    for version in every(admin.trove.mgmt_ds_versions.list):
        if version.id == id:
            return version
    raise trove_errors.NotFound(f"There is no datastore version {id}.")


def _published(beginning: str, *clouds: Cloud) -> Any:
    found = [each for cloud in clouds for each in object_store.beginning_with(cloud, beginning)]
    if not found:
        raise sdk_errors.NotFoundException(f"No object begins with {beginning}.")
    return found[0]


def _discard(beginning: str, *clouds: Cloud) -> None:
    for cloud in clouds:
        object_store.delete_beginning_with(cloud, beginning)


def _kinds(user: Cloud, admin: Cloud, timeouts: Timeouts) -> dict[str, Kind]:
    """Return every kind, in the order in which to delete."""
    trove = user.trove
    versions = admin.trove.mgmt_ds_versions
    datastores = admin.trove.datastores
    return {
        "instance": Kind(
            lambda: every(trove.instances.list),
            lambda id: find_instance(user, id),
            lambda id: delete_instance(user, id, admin=admin),
        ),
        # A module that an instance has can't be deleted before that.
        "module": Kind(
            lambda: every(trove.modules.list), admin.trove.modules.get, admin.trove.modules.delete
        ),
        "published_log": Kind(
            list,  # its id is known before it is there
            lambda id: _published(id, user, admin),
            lambda id: _discard(id, user, admin),
        ),
        "backup": Kind(
            lambda: every(trove.backups.list),
            trove.backups.get,
            lambda id: delete_backup(user, id, timeouts),
        ),
        "backup_strategy": Kind(
            list,  # it has no name, and its id is known beforehand
            lambda id: find_strategy(user, id),
            lambda id: trove.backup_strategies.delete(instance_id=id),
        ),
        "container": Kind(
            lambda: list(user.object_store.containers()),
            user.object_store.get_container_metadata,
            user.object_store.delete_container,
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
        "datastore_version": Kind(
            lambda: every(versions.list),
            lambda id: _version(admin, id),
            lambda id: versions.delete(_version(admin, id).id),
        ),
        "datastore": Kind(lambda: every(datastores.list), datastores.get, datastores.delete),
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
        "user": Kind(
            lambda: list(admin.accounts.users()),
            admin.accounts.get_user,
            admin.accounts.delete_user,
        ),
        "project": Kind(
            lambda: list(admin.accounts.projects()),
            admin.accounts.get_project,
            admin.accounts.delete_project,
        ),
    }
