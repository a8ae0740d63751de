"""How many workers a cloud has room for: each may have a few instances at a time."""

from collections.abc import Iterator
from contextlib import suppress

import psutil
from openstack.exceptions import ForbiddenException

from trove.tests.harness.clients import Cloud
from trove.tests.harness.flavors import FlavorSpec

# Of one worker at a time: a source and its replicas are the most.
INSTANCES = 3
# MiB that the services of a cloud on this machine take.
SERVICES_MB = 6 * 1024
_ANY = -1  # a limit that is none


def of_cloud(user: Cloud, admin: Cloud, size: FlavorSpec) -> int:
    """Return how many workers' instances the quotas of Trove and Nova leave room for.

    Nova's count where it is known in which project Trove has its servers.

    Args:
        user: who has the instances.
        admin: the same cloud as its administrator sees it.
        size: of an instance.
    """
    free = min(_free(user, admin, size), default=INSTANCES)
    return max(1, free // INSTANCES)


def of_machine(size: FlavorSpec, *, services_run: bool) -> int:
    """Return how many workers' instances this machine's memory is enough for.

    Args:
        size: of an instance.
        services_run: the cloud is up, and so its services have their memory already.
    """
    available = psutil.virtual_memory().available // 2**20
    left = available - (0 if services_run else SERVICES_MB)
    return max(1, left // (size.ram_mb * INSTANCES))


def _free(user: Cloud, admin: Cloud, size: FlavorSpec) -> Iterator[int]:
    """Yield how many instances each limit leaves room for."""
    for quota in admin.trove.quota.show(user.project_id):
        if quota.limit != _ANY and quota.resource == "instances":
            yield quota.limit - quota.in_use
        elif quota.limit != _ANY and quota.resource == "ram":
            yield (quota.limit - quota.in_use) // size.ram_mb
    if (project := _project_of_servers(user, admin)) is None:
        return
    # The SDK translates no names of parameters here: this is Nova's own.
    limits = admin.compute.get_limits(tenant_id=project).absolute
    for most, used, each in (
        (limits.instances, limits.instances_used, 1),
        (limits.total_cores, limits.total_cores_used, size.vcpus),
        (limits.total_ram, limits.total_ram_used, size.ram_mb),
    ):
        if most not in (None, _ANY):
            yield (most - (used or 0)) // each


def _project_of_servers(user: Cloud, admin: Cloud) -> str | None:
    """Return the project that a user's instances have their servers in, if any server tells."""
    # Where the administrator's entry isn't one, nobody tells.
    with suppress(ForbiddenException):
        for server in admin.compute.servers(all_projects=True):
            if owner := server.metadata.get("trove_project_id"):
                # Trove has them all in a project of its own, or each in its user's.
                return user.project_id if server.project_id == owner else server.project_id
    return None
