"""From a guest image on disk to a datastore version that users can ask for.

Every step finds what is already there by the image's key and uses it again, so
that doing it twice is doing it once. What was loaded is kept after the run.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from troveclient.v1.management import MgmtConfigurationParameters

from trove.tests.common import progress, release
from trove.tests.common.errors import ScenarioError
from trove.tests.harness.clients import Cloud
from trove.tests.harness.images import GuestImage
from trove.tests.harness.journal import PREFIX, Journal
from trove.tests.harness.matrix import Parameter, Target
from trove.tests.harness.paging import every
from trove.tests.harness.timeouts import Timeouts
from trove.tests.harness.waiting import State, wait_for

KEY_PROPERTY = "trove_image_key"
# Usable by id in every project, Trove's own among them, and in nobody's list.
VISIBILITY = "community"


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


def upload(
    admin: Cloud, target: Target, image: GuestImage, journal: Journal, timeouts: Timeouts
) -> str:
    """Send a guest image with its kernel and ramdisk to Glance; return its id.

    Raises:
        ScenarioError: the image is of another series than this tree.
    """
    _check_series(target, image)
    properties = {KEY_PROPERTY: image.key, **_facts(image.manifest)}
    name = _name(target, image.key)
    send = _Sender(admin, journal, timeouts)
    if image.kernel:
        properties["kernel_id"] = send(f"{name}-kernel", image.kernel, "aki", "aki", {})
    if image.ramdisk:
        properties["ramdisk_id"] = send(f"{name}-ramdisk", image.ramdisk, "ari", "ari", {})
    if image.kernel_command_line:
        properties["os_command_line"] = image.kernel_command_line
    return send(name, image.disk, image.disk_format, "bare", properties)


def register(admin: Cloud, target: Target, image_id: str, journal: Journal) -> LoadedVersion:
    """Have Trove offer a target with this image, and with the matrix's parameters."""
    versions = admin.trove.mgmt_ds_versions
    found = _find_version(admin, target)
    if found is None:
        name = version_name(target)
        entry = journal.creating("datastore_version", name, image=image_id)
        versions.create(
            name,
            target.datastore.name,
            target.datastore.manager,
            image_id,
            active="true",
            version=target.version.name,
        )
        found = _find_version(admin, target)
        journal.closed(journal.created(entry, found.id), "kept")
    elif found.image != image_id or not found.active:
        versions.edit(found.id, image=image_id, active="true")
    _register_parameters(admin, found.id, target.version.parameters)
    return LoadedVersion(found.id, target.datastore.name, found.name, image_id)


def activate(admin: Cloud, version: LoadedVersion) -> None:
    """Make a version the one that users of its datastore get by default."""
    if not admin.trove.mgmt_ds_versions.get(version.id).default:
        admin.trove.mgmt_ds_versions.edit(version.id, active="true", default="true")


def load(
    admin: Cloud, image: GuestImage, target: Target, journal: Journal, timeouts: Timeouts
) -> LoadedVersion:
    """Upload a guest image, unless Glance has it, and register it in Trove."""
    image_id = find_image(admin, target, image.key)
    if image_id is None:
        image_id = upload(admin, target, image, journal, timeouts)
    return register(admin, target, image_id, journal)


@dataclass(frozen=True)
class _Sender:
    """Sends files to Glance."""

    admin: Cloud
    journal: Journal
    timeouts: Timeouts

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
        _check(made, name)
        id = made.json()["id"]
        entry = self.journal.created(entry, id)
        with progress.step(f"upload {file.name} ({file.stat().st_size >> 20} MiB)"):
            with file.open("rb") as data:
                headers = {"Content-Type": "application/octet-stream"}
                _check(glance.put(f"/images/{id}/file", data=data, headers=headers), name)
            self._wait_active(id, name)
        self.journal.closed(entry, "kept")
        return id

    def _wait_active(self, id: str, name: str) -> None:
        def look() -> State:
            status = self.admin.image.get_image(id).status
            return State(status, reached=status == "active")

        failing = ("killed", "deleted", "pending_delete", "deactivated")
        wait_for(look, f"image {name} is active", self.timeouts.upload, failing=failing)


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
        if isinstance(value, str | int | float) and name != "key"
    }


def _check_series(target: Target, image: GuestImage) -> None:
    series = image.manifest.get("series")
    ours = release.load().series
    if series and str(series) != ours:
        raise ScenarioError(
            f"Image {image.name} is of series {series}, this tree of {ours}: build the right "
            f"one with trove-image-builder.bash {target.name}."
        )


def _find_version(admin: Cloud, target: Target) -> Any:
    wanted = target.datastore.name, version_name(target)
    for version in every(admin.trove.mgmt_ds_versions.list):
        if (version.datastore_name, version.name) == wanted:
            return version
    return None


def _register_parameters(admin: Cloud, version: str, parameters: tuple[Parameter, ...]) -> None:
    api = MgmtConfigurationParameters(admin.trove)
    known = {each.name: each.to_dict() for each in api.list_all_parameter_by_version(version)}
    for wanted in parameters:
        rule = (
            version,
            wanted.name,
            wanted.restart_required,
            wanted.type,
            wanted.max,
            wanted.min,
        )
        if wanted.name not in known:
            api.create(*rule)
        elif not _same(known[wanted.name], wanted):
            api.modify(*rule)


def _same(known: dict[str, Any], wanted: Parameter) -> bool:
    # Trove doesn't report a limit of 0.
    return (
        known["type"] == wanted.type
        and bool(known["restart_required"]) == wanted.restart_required
        and (known.get("min_size") or 0) == (wanted.min or 0)
        and (known.get("max_size") or 0) == (wanted.max or 0)
    )
