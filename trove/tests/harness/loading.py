"""From a guest image on disk to a datastore version that users can ask for.

Every step finds what is already there by the image's key and uses it again, so
that doing it twice is doing it once. What was loaded is kept after the run.
"""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path
from typing import Any

from keystoneauth1 import exceptions as keystone_errors
from troveclient import exceptions as trove_errors
from troveclient.v1.management import MgmtConfigurationParameters

from trove.tests.common import progress, release
from trove.tests.common.errors import ScenarioError
from trove.tests.common.matrix import Parameter, Target
from trove.tests.harness import sweeper
from trove.tests.harness.clients import Cloud
from trove.tests.harness.images import GuestImage
from trove.tests.harness.journal import KEPT, PREFIX, REFUSED, Entry, Journal
from trove.tests.harness.paging import every
from trove.tests.harness.run import Run, run_of
from trove.tests.harness.timeouts import Timeouts
from trove.tests.harness.waiting import State, wait_for

log = logging.getLogger(__name__)

KEY_PROPERTY = "trove_image_key"
# Usable by id in every project, Trove's own among them, and in nobody's list.
VISIBILITY = "community"
_MORE_ROOM = (
    "raise the project's image_size_total limit in keystone (of a devstack: "
    "GLANCE_LIMIT_IMAGE_SIZE_TOTAL) or Glance's user_storage_quota, or delete old images"
)


@dataclass(frozen=True)
class LoadedVersion:
    """A datastore version registered in Trove.

    Attributes:
        id: its id.
        datastore: name of its datastore.
        name: its name: the database's version and the guest's distribution.
        image_id: the guest image in Glance.
    """

    id: str
    datastore: str
    name: str
    image_id: str


def version_name(target: Target) -> str:
    """Return the name of a target's datastore version, such as ``9.7-debian-trixie``.

    With the distribution in it, versions that differ in nothing else can be
    registered side by side.
    """
    return f"{target.version.name}-{target.distro.name}"


def find_image(admin: Cloud, target: Target, key: str) -> str | None:
    """Return the id of the image in Glance that was loaded with this key.

    An image whose upload wasn't completed doesn't count.
    """
    for image in admin.image.images(name=_name(target, key), visibility="all", status="active"):
        if _property(image, KEY_PROPERTY) == key:
            return image.id
    return None


def is_guest_image(image: Any) -> bool:
    """Tell whether an image of Glance's was loaded as a guest image."""
    return _property(image, KEY_PROPERTY) is not None


def upload(
    admin: Cloud,
    target: Target,
    image: GuestImage,
    journal: Journal,
    timeouts: Timeouts,
) -> str:
    """Send a guest image with its kernel and ramdisk to Glance; return its id.

    Raises:
        ScenarioError: Glance doesn't take it; nothing of it stays there.
    """
    name = _name(target, image.key)
    properties = {KEY_PROPERTY: image.key, **_facts(image.manifest)}
    with _Sender(admin, journal, timeouts) as send:
        if image.kernel:
            properties["kernel_id"] = send(f"{name}-kernel", image.kernel, "aki", "aki", {})
        if image.ramdisk:
            properties["ramdisk_id"] = send(f"{name}-ramdisk", image.ramdisk, "ari", "ari", {})
        if image.kernel_command_line:
            properties["os_command_line"] = image.kernel_command_line
        return send(name, image.disk, image.disk_format, "bare", properties)


def ensure_uploaded(
    admin: Cloud, target: Target, image: GuestImage, journal: Journal, timeouts: Timeouts
) -> str:
    """Return the id of a guest image in Glance, uploaded unless it is there.

    Raises:
        ScenarioError: Glance doesn't take it; nothing of it stays there.
    """
    found = find_image(admin, target, image.key)
    return found or upload(admin, target, image, journal, timeouts)


def register(admin: Cloud, target: Target, image_id: str, journal: Journal) -> LoadedVersion:
    """Have Trove offer a target with this image, and with the matrix's parameters."""
    found = _find_version(admin, target) or _create_version(admin, target, image_id, journal)
    if found.image != image_id or not found.active:
        admin.trove.mgmt_ds_versions.edit(found.id, image=image_id, active="true")
    _register_parameters(admin, found.id, target.version.parameters)
    return LoadedVersion(found.id, target.datastore.name, found.name, image_id)


def find_version(admin: Cloud, datastore: str, name: str) -> LoadedVersion:
    """Return a datastore version that Trove has.

    Args:
        admin: the cloud.
        datastore: name of its datastore.
        name: its name, or the database's version if only one has that; those that tests have
            for a moment don't count.

    Raises:
        ScenarioError: there is no such one, or more than one; the text lists what there is.
    """
    versions = [
        each
        for each in every(admin.trove.mgmt_ds_versions.list)
        if each.datastore_name == datastore
    ]
    found = [each for each in versions if each.name == name] or [
        each for each in versions if each.version == name and not run_of(each.name)
    ]
    if len(found) != 1:
        listed = ", ".join(sorted(each.name for each in found or versions)) or "none"
        what = f"has several versions {name}" if found else f"has no version {name!r}"
        raise ScenarioError(f"Trove {what} of {datastore!r}: {listed}. Load or name one of them.")
    return LoadedVersion(found[0].id, datastore, found[0].name, found[0].image)


def activate(admin: Cloud, version: LoadedVersion, *, instead: bool = True) -> None:
    """Make a version the one that users of its datastore get by default.

    Args:
        admin: the cloud.
        version: the version.
        instead: also where that is another one so far.
    """
    versions = _versions(admin, version.datastore)
    by_default = [each.id for each in versions if each.default and each.active]
    if by_default and not instead or version.id in by_default:
        return
    admin.trove.mgmt_ds_versions.edit(version.id, active="true", default="true")


def load(
    admin: Cloud, image: GuestImage, target: Target, journal: Journal, timeouts: Timeouts
) -> LoadedVersion:
    """Upload a guest image, unless Glance has it, and register it in Trove.

    Raises:
        ScenarioError: Glance or Trove doesn't take it.
    """
    image_id = ensure_uploaded(admin, target, image, journal, timeouts)
    return register(admin, target, image_id, journal)


@contextmanager
def spare(
    admin: Cloud, target: Target, image_id: str, run: Run, timeouts: Timeouts
) -> Iterator[LoadedVersion]:
    """Have Trove offer a target as version of a new datastore; at the end both go.

    Args:
        admin: who may.
        target: what the image is made for.
        image_id: an image in Glance.
        run: gives both their name, and has them in its journal.
        timeouts: how long deleting may take.
    """
    name = run.name("spare")
    datastore = run.journal.creating("datastore", name)
    try:
        with _for_now(admin, target, (name, name), image_id, run, timeouts) as version:
            yield version
    finally:
        sweeper.remove(datastore, admin, admin, timeouts)
        run.journal.closed(datastore)


@contextmanager
def twin(
    admin: Cloud, target: Target, image_id: str, run: Run, timeouts: Timeouts
) -> Iterator[LoadedVersion]:
    """Have Trove offer a target once more, as another version of its datastore; at the end it goes.

    By then no instance may be of it. For arguments see ``spare``.
    """
    name = run.name("twin")
    asked = (target.datastore.name, name)
    with _for_now(admin, target, asked, image_id, run, timeouts) as version:
        yield version


@contextmanager
def _for_now(
    admin: Cloud,
    target: Target,
    asked: tuple[str, str],
    image_id: str,
    run: Run,
    timeouts: Timeouts,
) -> Iterator[LoadedVersion]:
    """Have Trove offer a target as the version of a datastore, both by name, until the end."""
    datastore, name = asked
    entry = run.journal.creating("datastore_version", name, image=image_id)
    try:
        admin.trove.mgmt_ds_versions.create(
            name, datastore, target.datastore.manager, image_id, version=target.version.name
        )
        found = find_version(admin, datastore, name)
        # By its id it is found again under any name.
        entry = run.journal.created(entry, found.id)
        yield found
    finally:
        sweeper.remove(entry, admin, admin, timeouts)
        run.journal.closed(entry)


@dataclass
class _Sender:
    """Sends files to Glance, all of them or none."""

    admin: Cloud
    journal: Journal
    timeouts: Timeouts
    sent: list[Entry] = field(default_factory=list)

    def __enter__(self) -> "_Sender":
        return self

    def __exit__(self, failure: type[BaseException] | None, *_rest: object) -> None:
        for entry in self.sent:
            if failure:
                self._give_up(entry)
            else:
                self.journal.closed(entry, KEPT)

    def __call__(
        self, name: str, file: Path, disk_format: str, container: str, properties: dict[str, str]
    ) -> str:
        """Make an image of a file, wait until it is active and return its id."""
        entry = self.journal.creating("image", name)
        # Not through the SDK's create_image: that reads the file twice more to
        # compute checksums that Glance computes anyway.
        glance = self.admin.image
        made = glance.post(
            "/images",
            json={
                "name": name,
                "disk_format": disk_format,
                "container_format": container,
                "visibility": VISIBILITY,
                **properties,
            },
        )
        if 400 <= made.status_code < 500:
            self.journal.closed(entry, REFUSED)
        _check(made, name)
        id = made.json()["id"]
        self.sent.append(self.journal.created(entry, id))
        self._send(id, name, file)
        return id

    def _give_up(self, entry: Entry) -> None:
        try:
            self.admin.image.delete_image(entry.id)
        except Exception:
            # Why it is given up tells more; the end of the run deletes it.
            log.warning("image %s could not be deleted", entry.name, exc_info=True)
        else:
            self.journal.closed(entry)

    def _send(self, id: str, name: str, file: Path) -> None:
        headers = {"Content-Type": "application/octet-stream"}
        with progress.reading(f"upload {file.name}", file) as data:
            try:
                sent = self.admin.image.put(f"/images/{id}/file", data=data, headers=headers)
            except keystone_errors.ConnectionError:
                # It answers before it has read everything, and who still sends can't hear it.
                raise ScenarioError(
                    f"Glance broke off the upload of image {name} ({_mib(file)}), as it does "
                    f"where there is no room: {_MORE_ROOM}; else Glance's log tells why."
                ) from None
            if sent.status_code == HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
                raise ScenarioError(
                    f"Glance has no room for image {name} ({_mib(file)}): {_MORE_ROOM}."
                )
            _check(sent, name)
            self._wait_active(id, name)

    def _wait_active(self, id: str, name: str) -> None:
        def look() -> State:
            status = self.admin.image.get_image(id).status
            return State(status, reached=status == "active")

        failing = ("killed", "deleted", "pending_delete", "deactivated")
        wait_for(look, f"image {name} is active", self.timeouts.upload, failing=failing)


def _mib(file: Path) -> str:
    return f"{file.stat().st_size >> 20} MiB"


def _check(response: Any, name: str) -> None:
    if response.status_code >= 400:
        reason = " ".join(response.text.split())[:300]
        raise ScenarioError(f"Glance refuses image {name}: {reason} (HTTP {response.status_code}).")


def _name(target: Target, key: str) -> str:
    return f"{PREFIX}{target.name}-{key[:12]}"


def _property(image: Any, name: str) -> Any:
    # The SDK keeps properties it doesn't know of in a dictionary of their own.
    return (image.properties or {}).get(name) or getattr(image, name, None)


def _facts(manifest: dict[str, Any]) -> dict[str, str]:
    """Return a manifest's simple facts as image properties."""
    return {
        f"trove_image_{name}": str(value)
        for name, value in manifest.items()
        if isinstance(value, str | int | float)
    } | {"trove_image_container_images": " ".join(manifest.get("container_images", {}).values())}


def check_series(target: Target, image: GuestImage) -> None:
    """Check that an image is made for the servers of this tree's series.

    Raises:
        ScenarioError: it is of another series, or doesn't say of which.
    """
    series, ours = image.manifest.get("series"), release.load().series
    if series == ours:
        return
    names = f"--datastore {target.datastore.name} --version {target.version.name}"
    found = f"is of series {series}" if series else "does not say of which series it is"
    raise ScenarioError(
        f"Image {image.name} {found}, and this tree is of {ours}: build the right one with "
        f"trove-image-builder.bash {names} --distro {target.distro.name}."
    )


def check_purpose(target: Target, image: GuestImage) -> None:
    """Check that an image, if it says what it is for, is for this target.

    Raises:
        ScenarioError: it is for another one.
    """
    facts = {
        "datastore": target.datastore.name,
        "datastore_version": target.version.name,
        "distro": target.distro.name,
    }
    said = {name: image.manifest.get(name, fact) for name, fact in facts.items()}
    if said != facts:
        raise ScenarioError(
            f"Image {image.name} is for {' '.join(said.values())}, not for "
            f"{' '.join(facts.values())}: load it as that, or another image."
        )


def _versions(admin: Cloud, datastore: str) -> list[Any]:
    known = every(admin.trove.mgmt_ds_versions.list)
    return [version for version in known if version.datastore_name == datastore]


def _find_version(admin: Cloud, target: Target) -> Any:
    versions = _versions(admin, target.datastore.name)
    return next((each for each in versions if each.name == version_name(target)), None)


def _create_version(admin: Cloud, target: Target, image_id: str, journal: Journal) -> Any:
    name = version_name(target)
    entry = journal.creating("datastore_version", name, image=image_id)
    try:
        with journal.refusable(entry):
            admin.trove.mgmt_ds_versions.create(
                name,
                target.datastore.name,
                target.datastore.manager,
                image_id,
                active="true",
                version=target.version.name,
            )
    except trove_errors.BadRequest:
        # Another run on this cloud was quicker.
        if found := _find_version(admin, target):
            return found
        raise
    found = _find_version(admin, target)
    journal.closed(journal.created(entry, found.id), KEPT)
    return found


def _register_parameters(admin: Cloud, version: str, parameters: tuple[Parameter, ...]) -> None:
    api = MgmtConfigurationParameters(admin.trove)

    def known() -> dict[str, dict[str, Any]]:
        return {each.name: each.to_dict() for each in api.list_all_parameter_by_version(version)}

    before = known()
    for wanted in parameters:
        rule = (
            version,
            wanted.name,
            wanted.restart_required,
            wanted.type,
            wanted.max,
            wanted.min,
        )
        if wanted.name not in before:
            try:
                api.create(*rule)
            except trove_errors.BadRequest:
                # As above.
                if wanted.name not in known():
                    raise
        elif not _same(before[wanted.name], wanted):
            api.modify(*rule)


def _same(known: dict[str, Any], wanted: Parameter) -> bool:
    # Trove doesn't report a limit of 0.
    return (
        known["type"] == wanted.type
        and bool(known["restart_required"]) == wanted.restart_required
        and (known.get("min_size") or 0) == (wanted.min or 0)
        and (known.get("max_size") or 0) == (wanted.max or 0)
    )
