"""What a run makes: each kind of resource, how it is found and deleted, and in which order."""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Any

from openstack import exceptions as sdk_errors
from troveclient import exceptions as trove_errors
from troveclient.apiclient.base import Resource as TroveResource

from trove.tests.harness import object_store, vault
from trove.tests.harness.clients import Cloud
from trove.tests.harness.journal import PREFIX
from trove.tests.harness.paging import every
from trove.tests.harness.timeouts import Timeouts
from trove.tests.harness.waiting import State, wait_for

RUNNING_BACKUP = ("NEW", "BUILDING", "SAVING")
UNFINISHED_BACKUP = (*RUNNING_BACKUP, "FAILED")
GONE = (trove_errors.NotFound, sdk_errors.NotFoundException)
# What is asked for is possible, but not yet.
BUSY = (trove_errors.UnprocessableEntity, sdk_errors.ConflictException)


@dataclass(frozen=True)
class Kind:
    """How to handle one kind of resource.

    Attributes:
        list: returns all that might be meant, each with ``id`` and ``name``.
        delete: asks for the deletion of the one with an id.
        get: returns the one with an id; raises "not found" when it is gone. Without it
            the list tells.
        source: returns the id of the one of its kind that a listed one can't outlive.
    """

    list: Callable[[], list[Any]]
    delete: Callable[[str], Any]
    get: Callable[[str], Any] | None = None
    source: Callable[[Any], str | None] | None = None


def kinds(user: Cloud, admin: Cloud) -> dict[str, Kind]:
    """Return every kind, in the order in which nothing is in use when it is deleted.

    Trove's own come first: with an instance Trove deletes what that consists of.

    Args:
        user: the cloud as the owner of the instances sees it.
        admin: the same as its administrator does.
    """
    trove = user.trove
    versions = admin.trove.mgmt_ds_versions
    datastores = admin.trove.datastores
    return {
        "instance": Kind(
            lambda: every(trove.instances.list),
            lambda id: delete_instance(user, id, admin=admin),
            source=lambda instance: (attribute(instance, "replica_of") or {}).get("id"),
        ),
        # A module that an instance has can't be deleted before that.
        "module": Kind(
            lambda: every(trove.modules.list), admin.trove.modules.delete, admin.trove.modules.get
        ),
        "published_log": Kind(
            list,  # its id is known before it is there
            lambda id: _discard(id, user, admin),
            lambda id: _published(id, user, admin),
        ),
        "backup": Kind(
            lambda: every(trove.backups.list),
            lambda id: _give_up_backup(user, admin, id),
            trove.backups.get,
        ),
        "backup_strategy": Kind(
            list,  # it has no name, and its id is known beforehand
            lambda id: trove.backup_strategies.delete(instance_id=id),
            lambda id: find_strategy(user, id),
        ),
        "configuration": Kind(
            lambda: every(trove.configurations.list),
            trove.configurations.delete,
            trove.configurations.get,
        ),
        "secret": Kind(
            lambda: vault.stored(user),
            lambda id: vault.delete(user, id),
            lambda id: vault.look_up(user, id),
        ),
        # Asked for one that it doesn't know, Trove says that the request is bad.
        "datastore_version": Kind(lambda: every(versions.list), versions.delete),
        "datastore": Kind(lambda: every(datastores.list), datastores.delete, datastores.get),
        # Clouds lack services: these are asked for when they are used.
        "server": Kind(
            lambda: list(admin.compute.servers(all_projects=True, name=f"^{PREFIX}")),
            lambda id: admin.compute.delete_server(id, ignore_missing=False),
            lambda id: admin.compute.get_server(id),
        ),
        "snapshot": Kind(
            lambda: list(admin.block_storage.snapshots(all_projects=True)),
            lambda id: admin.block_storage.delete_snapshot(id, ignore_missing=False),
            lambda id: admin.block_storage.get_snapshot(id),
        ),
        "volume": Kind(
            lambda: list(admin.block_storage.volumes(all_projects=True)),
            lambda id: admin.block_storage.delete_volume(id, ignore_missing=False),
            lambda id: admin.block_storage.get_volume(id),
        ),
        "port": Kind(
            lambda: list(admin.network.ports()),
            lambda id: admin.network.delete_port(id, ignore_missing=False),
            lambda id: admin.network.get_port(id),
        ),
        "security_group": Kind(
            lambda: list(admin.network.security_groups()),
            lambda id: admin.network.delete_security_group(id, ignore_missing=False),
            lambda id: admin.network.get_security_group(id),
        ),
        "network": Kind(
            lambda: list(user.network.networks()),
            lambda id: user.network.delete_network(id, ignore_missing=False),
            lambda id: user.network.get_network(id),
        ),
        "image": Kind(
            lambda: list(admin.image.images(visibility="all")),
            lambda id: admin.image.delete_image(id),
            lambda id: admin.image.get_image(id),
        ),
        "flavor": Kind(
            lambda: list(admin.compute.flavors()),
            lambda id: admin.compute.delete_flavor(id),
            lambda id: admin.compute.get_flavor(id),
        ),
        "container": Kind(
            lambda: list(user.object_store.containers()),
            lambda id: object_store.delete_container(user, id),
            lambda id: user.object_store.get_container_metadata(id),
        ),
        "user": Kind(
            lambda: list(admin.accounts.users()),
            admin.accounts.delete_user,
            admin.accounts.get_user,
        ),
        "project": Kind(
            lambda: list(admin.accounts.projects()),
            admin.accounts.delete_project,
            admin.accounts.get_project,
        ),
    }


def attribute(resource: Any, name: str) -> Any:
    """Return what a listed resource says of itself; None where it doesn't.

    For what the list doesn't have python-troveclient would ask the server, each time.
    """
    if isinstance(resource, TroveResource):
        return resource.to_dict().get(name)
    return getattr(resource, name, None)


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


def _give_up_backup(cloud: Cloud, admin: Cloud, id: str) -> None:
    """Ask for a backup's deletion, also where it still runs.

    Trove deletes none that runs, and whose instance is gone it runs for good. Of one that
    never came to its end it doesn't know what the guest has stored.
    """
    backup = cloud.trove.backups.get(id)
    if backup.status in RUNNING_BACKUP:
        with suppress(*GONE):
            admin.trove.mgmt_instances.reset_task_status(backup.instance_id)
    cloud.trove.backups.delete(id)
    if backup.status in UNFINISHED_BACKUP and cloud.has("object-store"):
        object_store.delete_beginning_with(cloud, id)


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


def _published(beginning: str, *clouds: Cloud) -> Any:
    found = [each for cloud in clouds for each in object_store.beginning_with(cloud, beginning)]
    if not found:
        raise sdk_errors.NotFoundException(f"No object begins with {beginning}.")
    return found[0]


def _discard(beginning: str, *clouds: Cloud) -> None:
    for cloud in clouds:
        object_store.delete_beginning_with(cloud, beginning)
