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

# A guest that counts its starts on its root disk and tells the console.
_INIT = """#!/bin/sh
echo started >> /starts
number=0
while read -r _; do number=$((number + 1)); done < /starts
echo "starts: $number" > /dev/console
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

    def starts(self, server: Server) -> int:
        """Return how often the server has started, as it said last."""
        try:
            told = self._compute.get_server_console_output(server)["output"] or ""
        except NotFoundException:  # it is not there again yet
            return 0
        return int(re.findall(r"starts: (\d+)", told)[-1]) if "starts: " in told else 0


@pytest.fixture
def servers(admin, image, sizes) -> Iterator[Servers]:
    """Makes servers of the smaller size."""
    with ExitStack() as made:
        yield Servers(admin, image, sizes[0], made)


def test_a_resized_server_keeps_its_root_disk(admin, servers, sizes):
    server = servers.started()
    wait_until(lambda: servers.starts(server) == 1, timeout=20)

    admin.compute.resize_server(server, sizes[1])
    servers.wait(server, "VERIFY_RESIZE")
    admin.compute.confirm_server_resize(server)

    assert servers.wait(server, "ACTIVE").flavor.disk == 2
    wait_until(lambda: servers.starts(server) == 2, timeout=20)


def test_a_resize_is_undone_with_what_was_written_meanwhile(admin, servers, sizes):
    server = servers.started()
    wait_until(lambda: servers.starts(server) == 1, timeout=20)

    admin.compute.resize_server(server, sizes[1])
    servers.wait(server, "VERIFY_RESIZE")
    wait_until(lambda: servers.starts(server) == 2, timeout=20)
    admin.compute.revert_server_resize(server)

    assert servers.wait(server, "ACTIVE").flavor.disk == 1
    # Its third start, but the second of this disk.
    wait_until(lambda: servers.starts(server) == 2, timeout=20)


def test_a_rebuilt_server_begins_anew(admin, servers, image):
    server = servers.started()
    wait_until(lambda: servers.starts(server) == 1, timeout=20)
    admin.compute.reboot_server(server, "HARD")
    wait_until(lambda: servers.starts(server) == 2, timeout=20)
    servers.wait(server, "ACTIVE")

    admin.compute.rebuild_server(server, image=image)

    servers.wait(server, "ACTIVE")
    wait_until(lambda: servers.starts(server) == 1, timeout=20)


def test_of_servers_that_must_be_apart_one_host_takes_one(admin, servers):
    group = admin.compute.create_server_group(name="apart", policy="anti-affinity")
    first = servers.create(scheduler_hints={"group": group.id})
    servers.wait(first, "ACTIVE")

    second = servers.wait(servers.create(scheduler_hints={"group": group.id}), "ERROR")

    assert "No valid host" in second.fault["message"]
    admin.compute.delete_server_group(group)
