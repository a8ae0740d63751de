"""What users of Nova do with a server on the cloud's one host, where servers are containers."""

import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import openstack
import pytest
from openstack.compute.v2.server import Server
from openstack.connection import Connection
from openstack.exceptions import NotFoundException

from trove.tests.embedded import lifecycle
from trove.tests.embedded.cloud import Cloud
from trove.tests.embedded.hypervisor import KINDS
from trove.tests.functional.observing import wait_until

pytestmark = pytest.mark.timeout(300)

# A guest that keeps an id of each of its starts on its root disk, and tells all to the console.
_INIT = """#!/bin/sh
read -r start < /proc/sys/kernel/random/uuid
echo "$start" >> /starts
told=
while read -r start; do told="$told $start"; done < /starts
echo "starts:$told" > /dev/console
exec sleep infinity
"""
_PROGRAMS = ("/bin/sh", "/bin/sleep")


@pytest.fixture(scope="module")
def admin(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Connection]:
    """The administrator of a cloud whose servers are containers."""
    if fault := KINDS["lxc"].fault():
        pytest.skip(f"needs_lxc: {fault}")
    cloud = Cloud("servers")
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("config") / "openstack"
        patch.setenv("OS_CLIENT_CONFIG_FILE", str(folder / "clouds.yaml"))
        lifecycle.up(cloud, lifecycle.Wanted(hypervisor="lxc", services=["nova"]))
        with openstack.connect(cloud=cloud.admin_cloud, compute_default_microversion="2.64") as api:
            yield api
        lifecycle.down(cloud)


@pytest.fixture(scope="module")
def image(admin, tmp_path_factory: pytest.TempPathFactory) -> str:
    """Id of an image of the guest."""
    root = tmp_path_factory.mktemp("guest") / "root"
    for program in _PROGRAMS:
        _copy(Path(program), root)
        linked = subprocess.run(["ldd", program], capture_output=True, text=True, check=True)
        for library in re.findall(r"/\S+", linked.stdout):
            _copy(Path(library), root)
    init = root / "sbin" / "init"
    for name in ("sbin", "dev", "proc", "sys", "run"):
        (root / name).mkdir()
    init.write_text(_INIT)
    init.chmod(0o755)
    disk = root.with_name("disk.raw")
    subprocess.run(["mkfs.ext4", "-q", "-d", root, disk, "64M"], check=True)
    return admin.image.create_image(
        name="guest",
        filename=str(disk),
        disk_format="raw",
        container_format="bare",
        # It doesn't hear that it is to end, and Nova needn't wait for it.
        os_shutdown_timeout="1",
    ).id


def _copy(file: Path, root: Path) -> None:
    target = root / file.relative_to("/")
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(file, target)


@pytest.fixture(scope="module")
def sizes(admin) -> list[str]:
    """Ids of a flavor and a larger one."""
    return [
        admin.compute.create_flavor(name=f"size-{size}", ram=64 * size, vcpus=1, disk=size).id
        for size in (1, 2)
    ]


class Servers:
    """Makes servers, and deletes them in the end."""

    def __init__(self, admin: Connection, image: str, flavor: str, made: ExitStack) -> None:
        self._compute = admin.compute
        self._image = image
        self._flavor = flavor
        self._made = made

    def create(self, **options) -> Server:
        """Ask for a server."""
        server = self._compute.create_server(
            name="guest", image_id=self._image, flavor_id=self._flavor, networks="none", **options
        )
        self._made.callback(self._compute.wait_for_delete, server, interval=1)
        self._made.callback(self._compute.delete_server, server)
        return server

    def started(self) -> Server:
        """Return a server that has started."""
        return self.wait(self.create(), "ACTIVE")

    def wait(self, server: Server, status: str) -> Server:
        """Wait until a server has a status."""
        failing = [] if status == "ERROR" else ["ERROR"]
        now = self._compute.get_server(server)
        return self._compute.wait_for_server(now, status, failures=failing, interval=1, wait=90)

    def starts(self, server: Server) -> list[str]:
        """Return the ids of the starts that are on the server's root disk, as it said last."""
        try:
            told = self._compute.get_server_console_output(server)["output"] or ""
        except NotFoundException:  # it is not there again yet
            return []
        lines = re.findall(r"^starts:(.*)\r?\n", told, re.MULTILINE)
        return lines[-1].split() if lines else []

    def starts_since(self, server: Server, before: list[str]) -> list[str]:
        """Wait until a server has started again; return the ids of all starts on its root disk.

        How many they are by then is not said: a container may be started anew at once.
        """
        wait_until(lambda: self.starts(server) not in ([], before), timeout=20)
        return self.starts(server)


@pytest.fixture
def servers(admin, image, sizes) -> Iterator[Servers]:
    """Makes servers of the smaller size."""
    with ExitStack() as made:
        yield Servers(admin, image, sizes[0], made)


def test_a_resized_server_keeps_its_root_disk(admin, servers, sizes):
    server = servers.started()
    before = servers.starts_since(server, [])

    admin.compute.resize_server(server, sizes[1])
    servers.wait(server, "VERIFY_RESIZE")
    admin.compute.confirm_server_resize(server)

    assert servers.wait(server, "ACTIVE").flavor.disk == 2
    after = servers.starts_since(server, before)
    assert after[: len(before)] == before


def test_a_resize_is_undone_with_what_was_written_meanwhile(admin, servers, sizes):
    server = servers.started()
    before = servers.starts_since(server, [])

    admin.compute.resize_server(server, sizes[1])
    servers.wait(server, "VERIFY_RESIZE")
    resized = servers.starts_since(server, before)
    admin.compute.revert_server_resize(server)

    assert servers.wait(server, "ACTIVE").flavor.disk == 1
    undone = servers.starts_since(server, resized)
    assert undone[: len(before)] == before
    assert resized[-1] not in undone


def test_a_rebuilt_server_begins_anew(admin, servers, image):
    server = servers.started()
    first = servers.starts_since(server, [])
    admin.compute.reboot_server(server, "HARD")
    rebooted = servers.starts_since(server, first)
    assert rebooted[: len(first)] == first
    servers.wait(server, "ACTIVE")

    admin.compute.rebuild_server(server, image=image)

    servers.wait(server, "ACTIVE")
    rebuilt = servers.starts_since(server, rebooted)
    assert not set(rebuilt) & set(rebooted)


def test_of_servers_that_must_be_apart_one_host_takes_one(admin, servers):
    group = admin.compute.create_server_group(name="apart", policy="anti-affinity")
    first = servers.create(scheduler_hints={"group": group.id})
    servers.wait(first, "ACTIVE")

    second = servers.wait(servers.create(scheduler_hints={"group": group.id}), "ERROR")

    assert "No valid host" in second.fault["message"]
    admin.compute.delete_server_group(group)
