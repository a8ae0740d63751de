"""Guest images are built for real: once, whoever asks, and nothing else on the machine changes.

The layers below come from the home of all, or get there; disks are made anew, in a home of
these tests alone.
"""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from trove.tests.common import commands, content, matrix, paths
from trove.tests.functional.observing import look, wait_until
from trove.tests.harness import containers

BUILDER = paths.INTEGRATION / "bin" / "trove-image-builder.bash"
_WITHOUT_NETWORK = """
set -eu
echo 0 > /proc/sys/net/ipv4/ip_forward
"$@"
test "$(cat /proc/sys/net/ipv4/ip_forward)" = 0
"""

pytestmark = pytest.mark.timeout(900)


@pytest.fixture
def disks(tmp_path, monkeypatch) -> Path:
    """An empty folder that built disks get into; what they are built from is there."""
    shared = [
        *((paths.images() / each) for each in ("distro-layer", "guest-layer", "container-images")),
        paths.packages(),
    ]
    home = tmp_path / "home"
    for folder in shared:
        folder.mkdir(parents=True, exist_ok=True)
        link = home / folder.relative_to(paths.home())
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(folder)
    monkeypatch.setenv("TROVE_SCENARIO_HOME", str(home))
    monkeypatch.setenv("PYTHON", sys.executable)
    return home / "images" / "disk"


def builder(*before: str) -> subprocess.Popen:
    """Begin to build an image, by the command of that name."""
    command = [*before, str(BUILDER), "--datastore", "mariadb", "--json"]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    return subprocess.Popen(commands.dying_with_us(command), text=True, **pipes)


def built(builder: subprocess.Popen) -> tuple[dict, str]:
    """Wait for a builder; return its result and what it said."""
    result, said = builder.communicate()
    assert builder.returncode == 0, said
    return json.loads(result), said


def test_of_two_builders_one_builds_and_the_machine_is_as_it_was(disks):
    before = look()

    (one, said), (other, also_said) = map(built, [builder(), builder()])

    assert one["disk"] == other["disk"]
    assert (said + also_said).count("waiting for another process that is making") == 1
    assert len(list(disks.glob("*/entry.json"))) == 1
    assert look() == before


def test_a_killed_build_leaves_nothing_that_is_used_and_the_next_needs_no_network(disks):
    before = look()
    killed = builder()
    wait_until(lambda: look().loop_devices - before.loop_devices, timeout=600)

    killed.kill()

    killed.communicate()
    assert list(disks.glob("*.making"))
    assert not list(disks.glob("*/entry.json"))
    result, _ = built(builder("unshare", "--net", "sh", "-c", _WITHOUT_NETWORK, "sh"))
    assert not result["reused"]
    assert Path(result["disk"]).is_relative_to(disks)
    assert not list(disks.glob("*.making"))
    assert look() == before


def test_where_nothing_is_and_no_mirror_answers_one_sentence_says_so(disks, monkeypatch, tmp_path):
    monkeypatch.setenv("TROVE_SCENARIO_HOME", str(tmp_path / "empty"))

    failed = builder("unshare", "--net")

    _, said = failed.communicate()
    assert failed.returncode != 0
    assert said.splitlines()[-1].count("can't be used") == 1, said
    assert "Traceback" not in said
    assert not list((tmp_path / "empty").glob("images/**/*.making"))


@pytest.mark.parametrize("datastore", ["mysql", "mariadb", "postgresql"])
def test_the_same_packages_make_the_same_container_images(datastore, disks, monkeypatch):
    version = matrix.load().select(datastore).version
    usual = containers.ensure_container_images(version)
    checksum = content.digest(usual.archive)
    shared = disks.parent / "container-images"
    shared.unlink()
    for name, value in (("LANG", "tr_TR.UTF-8"), ("TZ", "Asia/Tokyo"), ("TMPDIR", "/nowhere")):
        monkeypatch.setenv(name, value)

    again = containers.ensure_container_images(version)

    assert again.archive.is_relative_to(shared)
    assert not shared.is_symlink()
    assert again.digests == usual.digests
    assert content.digest(again.archive) == checksum
