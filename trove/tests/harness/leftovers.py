"""What runs have left on a cloud, told by its names: no journal is needed, nor the same machine.

A thing is a run's when its whole name is one that ``Run.name`` gives, and it is in the
project of one of the two users. What Trove has made below an instance or a backup is
called after that one's id; it is a leftover when Trove itself doesn't know that one
any more.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from keystoneauth1 import exceptions as keystone_errors
from openstack import exceptions as sdk_errors
from troveclient import exceptions as trove_errors

from trove.tests.harness.clients import Cloud
from trove.tests.harness.journal import PREFIX, Entry
from trove.tests.harness.kinds import Kind, attribute
from trove.tests.harness.loading import is_guest_image
from trove.tests.harness.run import begun_at, run_of

# How Trove names a volume, a port, a security group and a backup's snapshot.
_BELOW = re.compile(r"(?:trove|trove_sg)-([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})(?:-backup)?")
# What Trove itself lists, with all that it has made for these.
_TOP = ("instance", "backup")
# Where resources say whose project they are in.
_OWNER = ("project_id", "owner_id", "tenant_id")
_ABSENT = (
    trove_errors.Forbidden,
    # What Trove answers whoever isn't its administrator.
    trove_errors.Unauthorized,
    sdk_errors.ForbiddenException,
    keystone_errors.EndpointNotFound,
    sdk_errors.NotSupported,
    # What the SDK makes of an endpoint that is not in the catalogue.
    sdk_errors.ServiceDisabledException,
)


@dataclass(frozen=True)
class Leftover:
    """Something that a run has made and not deleted.

    Attributes:
        entry: what it is.
        run: id of the run.
    """

    entry: Entry
    run: str

    @property
    def age(self) -> timedelta:
        """How long ago the run began."""
        return datetime.now(UTC) - begun_at(self.run)


@dataclass
class Found:
    """What a look at a cloud has found.

    Attributes:
        leftovers: what runs have made, of each kind the newest first.
        others: a line each for what has a name like theirs, and why it is not.
        unseen: a line each for kinds that could not be looked at, though they should.
        absent: a line each for kinds that this cloud or its users don't have.
        runs: id of the run of each instance, backup and server that a run has made, by
            the id of the instance or backup.
    """

    leftovers: list[Leftover] = field(default_factory=list)
    others: list[str] = field(default_factory=list)
    unseen: list[str] = field(default_factory=list)
    absent: list[str] = field(default_factory=list)
    runs: dict[str, str] = field(default_factory=dict)


def look(
    user: Cloud, admin: Cloud, known: Mapping[str, Kind], runs: Mapping[str, str] | None = None
) -> Found:
    """Return what runs have left on a cloud.

    Args:
        user: the cloud as the runs' user sees it.
        admin: the same as its administrator does.
        known: how to handle each kind, in the order in which to delete.
        runs: what an earlier look has found out about whose is what below Trove.
    """
    listed: dict[str, list[Any]] = {}
    found = Found(runs=dict(runs or {}))
    for kind, handling in known.items():
        try:
            listed[kind] = handling.list()
        except _ABSENT as error:
            found.absent.append(f"{kind}: {_one_line(error)}")
        except Exception as error:
            found.unseen.append(f"{kind}: {_one_line(error)}")
    _Look(listed, {user.project_id, admin.project_id}, user.project_id, found).tell()
    return found


class _Look:
    """One look at all that is listed.

    Args:
        listed: the resources of each kind.
        projects: ids of those whose resources may be a run's.
        tenant: id of that in which runs have their instances.
        found: where to put what is found.
    """

    def __init__(
        self, listed: dict[str, list[Any]], projects: set[str], tenant: str, found: Found
    ) -> None:
        self._listed = listed
        self._projects = projects
        self._tenant = tenant
        self._found = found
        self._in_trove = {each.id for kind in _TOP for each in listed.get(kind, [])}
        self._sources = {attribute(each, "instance_id") for each in listed.get("backup", [])}

    def tell(self) -> None:
        for kind, resources in self._listed.items():
            for resource in sorted(resources, key=lambda each: each.name or "", reverse=True):
                self._judge(kind, resource)
        self._tell_guest_images_versions()
        self._found.leftovers.sort(key=self._turn)

    def _judge(self, kind: str, resource: Any) -> None:
        name, top = resource.name or "", _top(resource)
        run = run_of(name) or self._found.runs.get(top)
        if run is None:
            if name.startswith(PREFIX):
                self._leave(kind, resource, "no run gives such a name")
        elif run_of(name) and not self._ours(resource):
            self._leave(kind, resource, "in another project")
        elif top is None or self._is_orphan_of(top):
            self._found.leftovers.append(Leftover(Entry(kind, name, resource.id), run))
            self._found.runs[top or resource.id] = run

    def _ours(self, resource: Any) -> bool:
        metadata = attribute(resource, "metadata") or {}
        if "trove_project_id" in metadata:
            # Trove may have servers in a project of its own; then they say for whom.
            return metadata["trove_project_id"] == self._tenant
        owners = (attribute(resource, name) for name in _OWNER)
        return next((each in self._projects for each in owners if each), True)

    def _is_orphan_of(self, top: str) -> bool:
        """Tell whether Trove doesn't know an instance or a backup, by its id, any more."""
        return top not in self._in_trove and all(kind in self._listed for kind in _TOP)

    def _tell_guest_images_versions(self) -> None:
        guests = {each.id for each in self._listed.get("image", []) if is_guest_image(each)}
        for version in self._listed.get("datastore_version", []):
            if run_of(version.name) is None and version.image in guests:
                self._leave("datastore_version", version, "of a guest image that all runs share")

    def _leave(self, kind: str, resource: Any, why: str) -> None:
        self._found.others.append(f"{kind} {_printable(resource.name)} ({resource.id}): {why}")

    def _turn(self, leftover: Leftover) -> int:
        """Put backups behind instances made of them, and before those they were made of."""
        kind, id = leftover.entry.kind, leftover.entry.id
        return 1 if kind == "backup" else 2 * (id in self._sources)


def _top(resource: Any) -> str | None:
    """Return the id of the instance or backup that Trove has made a resource for, if any."""
    metadata = attribute(resource, "metadata") or {}
    below = _BELOW.fullmatch(resource.name or "")
    return metadata.get("trove_instance_id") or (below[1] if below else None)


def _printable(name: str) -> str:
    """Return a name with the signs escaped that would do something to a terminal."""
    return "".join(
        sign if sign.isprintable() else sign.encode("unicode_escape").decode() for sign in name
    )


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__
