"""libvirt's hook hands a config drive over that nova makes and attaches to no container."""

import shutil
import subprocess
from xml.etree import ElementTree

import pytest

from trove.tests.embedded.containers import hook

pytestmark = pytest.mark.skipif(
    not (shutil.which("genisoimage") and shutil.which("bsdtar")),
    reason="needs_packages: of integration/bindep.txt's profile embedded",
)


@pytest.fixture
def domain(tmp_path):
    """A container's description, with a root folder."""
    (tmp_path / "rootfs").mkdir()
    source = f"<source dir='{tmp_path}/rootfs'/><target dir='/'/>"
    return ElementTree.fromstring(
        f"<domain><devices><filesystem>{source}</filesystem></devices></domain>"
    )


def test_the_config_drive_is_unpacked_where_cloud_init_looks(domain, tmp_path):
    data = tmp_path / "data" / "openstack" / "latest" / "meta_data.json"
    data.parent.mkdir(parents=True)
    data.write_text('{"name": "a name longer than eight characters"}')
    make = ["genisoimage", "-quiet", "-R", "-J", "-V", "config-2"]
    subprocess.run(
        [*make, "-o", tmp_path / "disk.config", tmp_path / "data"], check=True, timeout=60
    )

    for _ in range(2):  # a guest may start more than once
        hook.unpack_config_drive(domain)

    seed = tmp_path / "rootfs" / hook.SEED
    assert seed.stat().st_mode & 0o077 == 0
    assert (seed / "openstack/latest/meta_data.json").read_text() == data.read_text()


def test_a_container_without_one_starts_as_well(domain, tmp_path):
    hook.unpack_config_drive(domain)
    assert not (tmp_path / "rootfs" / hook.SEED).exists()
