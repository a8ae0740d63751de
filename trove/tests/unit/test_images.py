"""Guest images: what their keys depend on, when they are reused, what is checked."""

import json
import os
import shutil
import threading

import pytest

from trove.tests.common import paths, registries, release
from trove.tests.common.errors import ScenarioError
from trove.tests.harness import building, containers, images, matrix


@pytest.fixture
def target():
    return matrix.load().select("mysql")


@pytest.fixture
def tree(tmp_path, monkeypatch):
    """A copy of all that images are made from."""
    integration = tmp_path / "integration"
    shutil.copytree(paths.INTEGRATION, integration)
    monkeypatch.setattr(paths, "ELEMENTS", integration / "elements")
    monkeypatch.setattr(paths, "CONTAINERS", integration / "containers")
    monkeypatch.setattr(paths, "RELEASE", integration / "release")
    monkeypatch.setattr(release, "CONSTRAINTS", integration / "release/constraints.txt")
    return integration


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("TROVE_SCENARIO_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def a_file(tree):
    return tree / "elements/trove-guest-agent/package-installs.yaml"


class TestKey:
    def test_is_the_same_for_the_same_content(self, tree, target):
        before = images.key(target)
        os.utime(a_file(tree), (0, 0))
        (tree / "elements/trove-guest-agent/__pycache__").mkdir()
        (tree / "elements/trove-guest-agent/__pycache__/x.pyc").write_text("x")
        assert images.key(target) == before

    @pytest.mark.parametrize(
        "name",
        [
            "elements/trove-guest-agent/package-installs.yaml",
            "containers/mysql/entrypoint",
            "release/release.yaml",
            "release/constraints.txt",
        ],
    )
    def test_changes_with_what_goes_in(self, tree, target, name):
        before = images.key(target)
        with (tree / name).open("a") as file:
            file.write("\n# changed\n")
        assert images.key(target) != before

    def test_changes_with_a_file_made_executable(self, tree, target):
        before = images.key(target)
        a_file(tree).chmod(0o755)
        assert images.key(target) != before

    def test_changes_with_a_file_renamed(self, tree, target):
        before = images.key(target)
        a_file(tree).rename(a_file(tree).with_name("other.yaml"))
        assert images.key(target) != before

    def test_changes_with_the_image_builder(self, target, monkeypatch):
        before = images.key(target)
        monkeypatch.setattr(images.importlib.metadata, "version", lambda _: "0.0")
        assert images.key(target) != before

    def test_of_the_container_does_not_change_with_an_element(self, tree, target):
        before = containers.key(target.version)
        a_file(tree).write_text("{}")
        assert containers.key(target.version) == before


class TestMadeOnce:
    def test_is_made_once(self, tmp_path):
        made = []

        def make(folder):
            made.append(folder)
            (folder / "disk").touch()

        for _ in range(2):
            folder = building.made_once(tmp_path / "image", make)
        assert len(made) == 1
        assert (folder / "disk").exists()

    def test_a_failed_build_leaves_nothing(self, tmp_path):
        def make(folder):
            (folder / "half").touch()
            raise ScenarioError("full disk")

        with pytest.raises(ScenarioError, match="full disk"):
            building.made_once(tmp_path / "image", make)
        assert [entry for entry in tmp_path.iterdir() if entry.is_dir()] == []

    def test_an_interrupted_build_leaves_nothing(self, tmp_path):
        def make(_folder):
            raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            building.made_once(tmp_path / "image", make)
        assert [entry for entry in tmp_path.iterdir() if entry.is_dir()] == []

    def test_what_a_killed_build_left_is_not_reused(self, tmp_path):
        for name in ("image", "other"):
            (tmp_path / f"{name}.making").mkdir()
            (tmp_path / f"{name}.making" / "half").touch()

        def make(folder):
            assert list(folder.iterdir()) == []

        building.made_once(tmp_path / "image", make)
        assert not (tmp_path / "other.making").exists()

    def test_what_another_process_is_making_is_left_alone(self, tmp_path):
        making = tmp_path / "other.making"
        making.mkdir()
        lock = building.FileLock(tmp_path / "other.lock")
        with lock:
            building.made_once(tmp_path / "image", lambda _folder: None)
            assert making.exists()

    def test_two_at_a_time_build_once(self, tmp_path):
        made = []
        begun, go_on = threading.Event(), threading.Event()

        def make(_folder):
            made.append(1)
            begun.set()
            go_on.wait(10)

        def build():
            building.made_once(tmp_path / "image", make)

        builders = [threading.Thread(target=build) for _ in range(2)]
        builders[0].start()
        assert begun.wait(10)
        builders[1].start()
        go_on.set()
        for builder in builders:
            builder.join(10)
        assert made == [1]

    def test_loop_devices_of_a_killed_build_are_detached(self, tmp_path, monkeypatch):
        files = {"loop3": "/x/image.making/scratch/i.raw (deleted)", "loop4": "/y/i.raw"}
        for device, file in files.items():
            backing = tmp_path / "block" / device / "loop" / "backing_file"
            backing.parent.mkdir(parents=True)
            backing.write_text(file)
        detached = []
        monkeypatch.setattr(building, "_BLOCK_DEVICES", tmp_path / "block")
        monkeypatch.setattr(building.subprocess, "run", lambda argv, **_: detached.append(argv[-1]))
        (tmp_path / "image.making").mkdir()
        building.made_once(tmp_path / "image", lambda _folder: None)
        assert detached == ["/dev/loop3"]

    def test_what_a_killed_build_left_goes_even_if_nothing_is_to_be_made(self, tmp_path):
        (tmp_path / "image").mkdir()
        (tmp_path / "other.making").mkdir()
        building.made_once(tmp_path / "image", lambda _folder: None)
        assert not (tmp_path / "other.making").exists()


class TestEnsureImage:
    def test_reuses_a_complete_folder(self, target, home):
        folder = paths.images() / images.key(target)
        folder.mkdir(parents=True)
        (folder / "manifest.json").write_text(json.dumps({"series": "x"}))
        image = images.ensure_image(target)
        assert image.key == images.key(target)
        assert image.disk == folder / "disk.qcow2"
        assert image.manifest == {"series": "x"}
        assert "root=/dev/vda" in image.kernel_command_line

    def test_needs_a_mirror(self, target, home, monkeypatch):
        monkeypatch.setattr(os, "geteuid", lambda: 0)
        monkeypatch.setattr(registries, "host_distribution", lambda: ("debian", "12"))
        monkeypatch.setattr(registries, "debian_mirrors", dict)
        with pytest.raises(ScenarioError, match="no Debian mirror"):
            images.ensure_image(target)


def test_folders_of_local_indexes_are_found(tmp_path):
    (tmp_path / "index/simple").mkdir(parents=True)
    (tmp_path / "wheels").mkdir()
    registry = {
        "UV_DEFAULT_INDEX": "https://index.example/simple",
        "UV_INDEX": f"file://{tmp_path}/index/simple",
        "UV_FIND_LINKS": f"{tmp_path}/wheels {tmp_path}/absent",
    }
    assert images._local_folders(registry) == [f"{tmp_path}/index", f"{tmp_path}/wheels"]
