"""The cloud's volumes and objects, used as a tenant uses them."""

import hashlib
import os
import socket
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import urlsplit

import openstack
import pytest
import requests
from openstack.connection import Connection

from trove.tests.common import matrix
from trove.tests.common.errors import ScenarioError
from trove.tests.embedded.cloud import Cloud
from trove.tests.embedded.components import COMPONENTS, OBJECT_STORAGE
from trove.tests.embedded.volumes import loops
from trove.tests.functional.observing import wait_until
from trove.tests.functional.striking import kill_services
from trove.tests.harness import clients, loading
from trove.tests.harness.images import GuestImage
from trove.tests.harness.journal import Journal
from trove.tests.harness.timeouts import Timeouts

pytestmark = pytest.mark.timeout(300)

GIB = 1 << 30
MIB = 1 << 20
CONNECTOR = {"host": "embedded", "ip": "127.0.0.1", "os_type": "linux", "platform": "x86_64"}


@pytest.fixture(scope="module")
def running(full_cloud) -> Cloud:
    """A cloud with every service; it is left as it was found."""
    return full_cloud


@pytest.fixture(scope="module")
def tenant(running) -> Connection:
    """The demo user's connection."""
    return openstack.connect(cloud=running.user_cloud)


class Volumes:
    """Makes volumes and what is made of them, and removes all of it in the end."""

    def __init__(self, cloud: Connection, made: ExitStack) -> None:
        self._cloud = cloud
        self._api = cloud.block_storage
        self._made = made

    def create(self, gib: int = 1, **source):
        volume = self._api.create_volume(name="storage-test", size=gib, **source)
        self._made.callback(self.delete, volume)
        return self._until_available(volume)

    def snapshot(self, volume):
        snapshot = self._api.create_snapshot(volume_id=volume.id, force=True)
        self._made.callback(self._delete, self._api.delete_snapshot, snapshot)
        return self._until_available(snapshot)

    def backup(self, volume):
        backup = self._api.create_backup(volume_id=volume.id, name="storage-test")
        self._made.callback(self._delete, self._api.delete_backup, backup)
        return self._until_available(backup)

    def restore(self, backup):
        volume_id = self._api.restore_backup(backup.id, name="storage-test").volume_id
        volume = self._api.get_volume(volume_id)
        self._made.callback(self.delete, volume)
        return self._until_available(volume)

    def extend(self, volume, gib: int):
        self._api.extend_volume(volume, gib)
        return self._until_available(self._api.get_volume(volume.id))

    def delete(self, volume) -> None:
        self._delete(self._api.delete_volume, volume)

    def image(self, volume):
        """Return an image that was made of a volume."""
        id = self._api.upload_volume_to_image(
            volume, "storage-test", disk_format="raw", container_format="bare"
        )["image_id"]
        image = self._cloud.image.get_image(id)
        self._made.callback(self._cloud.image.delete_image, image)
        return self._cloud.image.wait_for_status(image, "active", failures=["killed"], interval=1)

    def attach(self, volume):
        """Attach a volume as a hypervisor does."""
        attachment = self._api.create_attachment(volume.id, connector=CONNECTOR, mode="rw")
        self._made.callback(self.detach, attachment)
        self._api.complete_attachment(attachment)
        return attachment

    def detach(self, attachment) -> None:
        self._api.delete_attachment(attachment, ignore_missing=True)

    def _until_available(self, thing):
        return self._api.wait_for_status(
            thing, "available", failures=["error", "error_extending"], interval=0.5, wait=120
        )

    def _delete(self, delete, thing) -> None:
        delete(thing, ignore_missing=True)
        self._api.wait_for_delete(thing, interval=0.5, wait=60)


@pytest.fixture
def volumes(tenant) -> Iterator[Volumes]:
    """Makes volumes of the tenant's."""
    with ExitStack() as made:
        yield Volumes(tenant, made)


@pytest.fixture
def container(tenant) -> Iterator[str]:
    """A container of the tenant's."""
    name = tenant.object_store.create_container("storage-test").name
    yield name
    for each in tenant.object_store.objects(name):
        tenant.object_store.delete_object(each, container=name)
    tenant.object_store.delete_container(name)


@pytest.fixture
def image(tenant) -> Iterator[tuple[str, bytes]]:
    """An image in Glance, and its content, which is smaller than any volume."""
    content = os.urandom(8 * MIB)
    made = tenant.image.create_image(
        name="storage-test", data=content, disk_format="raw", container_format="bare"
    )
    yield made.id, content
    tenant.image.delete_image(made)


def loop_devices(file_name: str) -> list[Path]:
    """Return this machine's loop devices of files of that name, as the kernel tells them."""
    return [
        backing.parents[1]
        for backing in Path("/sys/block").glob("loop*/loop/backing_file")
        if Path(_read(backing)).name == file_name
    ]


def _read(file: Path) -> str:
    try:
        return file.read_text().strip()
    except OSError:  # the device was detached since it was listed
        return ""


def size_of(device: Path) -> int:
    """Return a block device's size in bytes."""
    return int((device / "size").read_text()) * 512


def test_a_loop_device_ends_with_the_last_who_holds_it(tmp_path):
    file = tmp_path / f"volume-{tmp_path.name}"
    file.write_bytes(bytes(MIB))
    first, device = loops.attach(file)
    second = loops.hold(device, file)
    os.close(first)
    assert [size_of(each) for each in loop_devices(file.name)] == [MIB]

    os.truncate(file, 2 * MIB)
    loops.resize(second)
    assert [size_of(each) for each in loop_devices(file.name)] == [2 * MIB]
    os.close(second)
    wait_until(lambda: not loop_devices(file.name), timeout=10)
    assert loops.hold(device, file) is None


def test_another_files_loop_device_is_not_held(tmp_path):
    file, other = tmp_path / "file", tmp_path / "other"
    for each in (file, other):
        each.write_bytes(bytes(MIB))
    holder, device = loops.attach(file)
    assert loops.hold(device, other) is None
    os.close(holder)


def test_content_survives_every_way_of_copying_a_volume(volumes, image):
    image_id, content = image
    first = volumes.create(image_id=image_id)
    of_snapshot = volumes.create(snapshot_id=volumes.snapshot(first).id)
    clone = volumes.create(source_volume_id=of_snapshot.id)
    restored = volumes.restore(volumes.backup(clone))

    made = volumes.image(restored)
    expected = hashlib.new(made.hash_algo, content)
    for _ in range((GIB - len(content)) // MIB):
        expected.update(bytes(MIB))
    assert made.hash_value == expected.hexdigest()


def test_a_backup_is_in_the_users_object_store(volumes, tenant):
    backup = volumes.backup(volumes.create())
    names = [each.name for each in tenant.object_store.objects(backup.container)]
    assert any(backup.id in name for name in names)


def test_a_volume_grows(volumes):
    volume = volumes.extend(volumes.create(), 3)
    assert volume.size == 3
    volumes.attach(volume)
    assert [size_of(device) for device in loop_devices(f"volume-{volume.id}")] == [3 * GIB]


def test_a_copy_can_be_larger(volumes):
    clone = volumes.create(gib=2, source_volume_id=volumes.create().id)
    volumes.attach(clone)
    assert [size_of(device) for device in loop_devices(f"volume-{clone.id}")] == [2 * GIB]


def test_an_attached_volume_is_a_device_of_its_size_until_it_is_detached(volumes):
    volume = volumes.create()
    name = f"volume-{volume.id}"
    assert not loop_devices(name)
    attachment = volumes.attach(volume)
    assert [size_of(device) for device in loop_devices(name)] == [GIB]
    volumes.detach(attachment)
    wait_until(lambda: not loop_devices(name), timeout=10)


def test_an_attached_volume_can_be_copied(volumes):
    volume = volumes.create()
    volumes.attach(volume)
    assert volumes.create(snapshot_id=volumes.snapshot(volume).id).size == 1


def test_a_killed_volume_service_gives_attached_volumes_their_devices_again(volumes, running):
    volume = volumes.create()
    volumes.attach(volume)
    name = f"volume-{volume.id}"
    for process in running.init.children(recursive=True):
        if "cinder-volume" in " ".join(process.cmdline()):
            process.kill()
    wait_until(lambda: not loop_devices(name), timeout=10)
    wait_until(lambda: loop_devices(name), timeout=60)


def test_objects_come_back_as_they_were_put(tenant, container):
    small = os.urandom(1000)
    tenant.object_store.upload_object(container, "small", data=small)
    assert tenant.object_store.download_object("small", container) == small
    assert [each.name for each in tenant.object_store.objects(container)] == ["small"]


def test_a_large_object_is_put_in_segments(tenant, container, tmp_path):
    file = tmp_path / "large"
    file.write_bytes(os.urandom(20 * MIB))
    tenant.create_object(container, "large", filename=str(file), segment_size=8 * MIB)
    names = [each.name for each in tenant.object_store.objects(container)]
    assert len(names) == 4  # three segments and their manifest
    assert tenant.object_store.download_object("large", container) == file.read_bytes()


def test_a_temporary_url_needs_no_token(tenant, container, running):
    tenant.object_store.upload_object(container, "shared", data=b"shared")
    tenant.object_store.set_container_temp_url_key(container, "a key")
    base = tenant.object_store.get_endpoint()
    path = f"{urlsplit(base).path}/{container}/shared"
    signed = tenant.object_store.generate_temp_url(path, 60, "GET", temp_url_key="a key")
    root = base.removesuffix(urlsplit(base).path)

    def get(path: str) -> requests.Response:
        return requests.get(root + path, timeout=10, verify=running.authority)

    assert get(signed).content == b"shared"
    assert get(path).status_code == 401


@pytest.fixture
def little_room_for_images(running) -> Iterator[None]:
    """Glance that takes a few MiB of images from a project."""
    file = running.etc / "glance" / "glance-api.conf"
    usual = file.read_text()
    file.write_text(usual.replace("[DEFAULT]", "[DEFAULT]\nuser_storage_quota = 8MB", 1))
    kill_services(running, ["glance"])
    wait_until(lambda: _serves_images(running), timeout=60)
    yield
    file.write_text(usual)
    kill_services(running, ["glance"])
    wait_until(lambda: _serves_images(running), timeout=60)


def _serves_images(cloud: Cloud) -> bool:
    """Tell whether Glance answers; what was killed does not, so it is its successor."""
    url = f"https://{cloud.net.api}:{COMPONENTS['glance'].port}/versions"
    return requests.get(url, timeout=10, verify=cloud.authority).status_code == 200


def test_an_image_that_glance_has_no_room_for_leaves_nothing_there(
    running, little_room_for_images, tmp_path
):
    disk, kernel = tmp_path / "disk.qcow2", tmp_path / "kernel"
    disk.write_bytes(os.urandom(64 * MIB))
    kernel.write_bytes(b"kernel")
    image = GuestImage("0" * 20, "over-quota", disk, "qcow2", kernel, None, "", manifest={})
    admin, journal = clients.connect(running.admin_cloud), Journal(tmp_path / "journal")

    with pytest.raises(ScenarioError, match=r"image .* \(64 MiB\).*: raise the project's"):
        loading.upload(admin, matrix.load().select("mysql"), image, journal, Timeouts())

    assert list(admin.image.images(visibility="all")) == []
    assert journal.open_entries() == []


@pytest.mark.parametrize("port", OBJECT_STORAGE.values(), ids=OBJECT_STORAGE.keys())
def test_what_stores_the_objects_is_reached_through_the_proxy_alone(running, port):
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((str(running.net.api), port), timeout=5)
