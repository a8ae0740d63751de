"""Trove's own limits of what a project may have."""

from collections.abc import Iterator
from contextlib import contextmanager

from trove.tests.harness.clients import Cloud


def limits(cloud: Cloud, project: str) -> dict[str, int]:
    """Return a project's limits by resource; -1 is none."""
    return {quota.resource: quota.limit for quota in cloud.trove.quota.show(project)}


def in_use(cloud: Cloud, project: str) -> dict[str, int]:
    """Return what a project has by resource: instances, and what they take."""
    return {quota.resource: quota.in_use for quota in cloud.trove.quota.show(project)}


@contextmanager
def limited(admin: Cloud, project: str, **wanted: int) -> Iterator[None]:
    """Give a project other limits, and at the end those that it had.

    Args:
        admin: who may.
        project: its id.
        wanted: limits by resource: ``instances``, ``ram`` in MiB, ``volumes`` in GiB,
            ``backups``.
    """
    before = limits(admin, project)
    admin.trove.quota.update(project, wanted)
    try:
        yield
    finally:
        admin.trove.quota.update(project, {resource: before[resource] for resource in wanted})
