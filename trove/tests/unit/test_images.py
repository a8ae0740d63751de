"""Guest images: what their keys depend on, when they are reused, what is checked."""

import json
import os
import threading
from pathlib import Path
from types import SimpleNamespace

import pytest

from trove.tests.common import machine, matrix, registries
from trove.tests.common.errors import ScenarioError
from trove.tests.fixtures.images import Builds
from trove.tests.harness import building, debian, images, layers, store


@pytest.fixture
def target():
    return matrix.load().select("mysql")


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("TROVE_SCENARIO_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.fixture(autouse=True)
def _no_mirror_is_named(monkeypatch):
    for name in ("DISTRIBUTION", "DEBIAN_DISTRIBUTION", "DEBIAN_SECURITY"):
        monkeypatch.delenv(f"DIB_{name}_MIRROR", raising=False)


def a_file(tree):
    return tree / "elements/trove-guest-agent/package-installs.yaml"


def keys(target):
    return {recipe.kind: recipe.key for recipe in images.recipes(target, bootable=True)}


def changed(before, after):
    return {kind for kind in before if before[kind] != after[kind]}


class TestKeys:
    def test_are_the_same_for_the_same_content(self, tree, target):
        before = keys(target)
        os.utime(a_file(tree), (0, 0))
        (tree / "elements/trove-guest-agent/README.rst").write_text("other words")
        (tree / "elements/trove-guest-agent/__pycache__").mkdir()
        (tree / "elements/trove-guest-agent/__pycache__/x.pyc").write_text("x")
        assert keys(target) == before

    @pytest.mark.parametrize(
        ("name", "lowest"),
        [
            ("elements/trove-guest-kernel/extra-data.d/50-small-kernel", "distro layer"),
            ("elements/trove-guest-agent/install.d/60-guest-agent", "guest layer"),
            ("release/guest-constraints.txt", "guest layer"),
            ("containers/mysql/entrypoint", "container images"),
            ("elements/trove-datastore/post-root.d/60-load-container-image", "disk"),
        ],
    )
    def test_change_from_the_layer_up_that_something_goes_into(self, tree, target, name, lowest):
        before = keys(target)
        with (tree / name).open("a") as file:
            file.write("\n# changed\n")
        order = ["distro layer", "guest layer", "disk", "bootable disk"]
        above = set(order[order.index(lowest) :]) if lowest in order else {"disk", "bootable disk"}
        # Where a database's image needs the constraints, too, is told by its own tests.
        assert changed(before, keys(target)) - {"container images"} == above

    @pytest.mark.parametrize(
        ("name", "lowest"),
        [("DIB_UBUNTU_KERNEL", "distro layer"), ("DIB_TROVE_AGENT_PYTHON", "guest layer")],
    )
    def test_change_with_other_software_that_the_environment_asks_for(
        self, target, monkeypatch, name, lowest
    ):
        monkeypatch.delenv(name, raising=False)
        before = keys(target)
        monkeypatch.setenv(name, "other")
        order = ["distro layer", "guest layer", "disk", "bootable disk"]
        assert changed(before, keys(target)) == set(order[order.index(lowest) :])

    def test_change_with_a_package_that_any_element_wants(self, tree, target):
        before = keys(target)
        a_file(tree).write_text("vim:\n")
        assert "distro layer" in changed(before, keys(target))

    def test_change_with_a_file_made_executable(self, tree, target):
        before = keys(target)
        a_file(tree).chmod(0o755)
        assert changed(before, keys(target)) == {"guest layer", "disk", "bootable disk"}

    def test_change_with_the_image_builder(self, target, monkeypatch):
        before = keys(target)
        monkeypatch.setattr(layers.importlib.metadata, "version", lambda _: "0.0")
        assert {"distro layer", "guest layer", "disk"} <= changed(before, keys(target))

    def test_change_with_what_the_kernel_is_told(self, target, monkeypatch):
        before = keys(target)
        monkeypatch.setattr(images, "KERNEL_COMMAND_LINE", "root=/dev/vda other")
        assert changed(before, keys(target)) == {"disk", "bootable disk"}

    def test_of_other_datastores_share_distribution_and_guest(self, target):
        other = keys(matrix.load().select("mariadb"))
        same = keys(target).items() & other.items()
        assert {kind for kind, _ in same} == {"distro layer", "guest layer"}

    def test_of_an_untuned_guest_are_others(self, target):
        assert images.recipe(target).key != images.recipe(target, tuned=False).key

    def test_tell_of_prepared_data_where_the_database_would_not_make_them(self):
        files = "trove-prepared-data/post-root.d/70-prepared-data"
        for version, tuned, laid in (
            ("9.7", True, True),
            ("9.7", False, False),
            ("8.4", True, False),
        ):
            target = matrix.load().select("mysql", version)
            inputs = images.recipe(target, tuned=tuned).inputs
            assert any(name.endswith(files) for name in inputs) == laid


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
        files = {
            "loop3": "/x/image.making/scratch/i.raw (deleted)",
            "loop4": "/y/i.raw",
            # In memory: of a build that lives, and of one that doesn't.
            "loop5": "/image0.raw\n",
            "loop6": "/image0.raw\n",
        }
        mounted = Path("/proc/self/mountinfo").read_text().split()[2]
        numbers = {"/dev/loop5": f"{mounted}\n", "/dev/loop6": "999:999\n"}
        for device, file in files.items():
            backing = tmp_path / "block" / device / "loop" / "backing_file"
            backing.parent.mkdir(parents=True)
            backing.write_text(file)
        detached = []

        def losetup(argv, **_):
            if "--detach" in argv:
                detached.append(argv[-1])
            return SimpleNamespace(stdout=numbers.get(argv[-1], ""))

        monkeypatch.setattr(building, "_BLOCK_DEVICES", tmp_path / "block")
        monkeypatch.setattr(building.subprocess, "run", losetup)
        (tmp_path / "image.making").mkdir()
        building.made_once(tmp_path / "image", lambda _folder: None)
        assert sorted(detached) == ["/dev/loop3", "/dev/loop6"]

    def test_what_a_killed_build_left_goes_even_if_nothing_is_to_be_made(self, tmp_path):
        (tmp_path / "image").mkdir()
        (tmp_path / "other.making").mkdir()
        building.made_once(tmp_path / "image", lambda _folder: None)
        assert not (tmp_path / "other.making").exists()


class TestEnsureImage:
    def test_reuses_what_is_there(self, target, home):
        def make(folder):
            (folder / "manifest.json").write_text(json.dumps({"series": "x"}))

        folder = store.ensure(images.recipe(target), make)
        image = images.ensure_image(target)
        assert image.key == images.key(target)
        assert image.disk == folder / "disk.qcow2"
        assert image.manifest == {"series": "x"}
        assert "root=/dev/vda" in image.kernel_command_line

    def test_needs_a_mirror(self, target, home, monkeypatch):
        monkeypatch.setattr(os, "geteuid", lambda: 0)
        monkeypatch.setattr(machine.platform, "machine", lambda: "x86_64")
        monkeypatch.setattr(registries, "host_distribution", lambda: ("debian", "12"))
        monkeypatch.setattr(registries, "debian_mirrors", dict)
        with pytest.raises(ScenarioError, match="no Debian mirror"):
            images.ensure_image(target)

    def test_needs_what_the_distribution_begins_with(self, home, monkeypatch):
        for harmless in ("require_root", "require", "install_packages"):
            monkeypatch.setattr(images.machine, harmless, lambda *_, **__: None)
        monkeypatch.setattr(images, "_make", lambda *_, **__: None)
        monkeypatch.setattr(building, "require_mirror", lambda: "http://m/debian")
        monkeypatch.setattr(layers.shutil, "which", lambda *_, **__: None)
        with pytest.raises(ScenarioError, match="guests of rocky-9 needs podman"):
            images.ensure_image(matrix.load().select("mysql", distro="rocky-9"))


@pytest.mark.parametrize(
    ("distro", "tool", "variable"),
    [
        ("rocky-9", "podman", "DIB_CONTAINERFILE_RUNTIME"),
        ("fedora-44", "podman", "DIB_CONTAINERFILE_RUNTIME"),
        ("ubuntu-noble", "/usr/share/keyrings/ubuntu-archive-keyring.gpg", "DIB_APT_KEYRING"),
    ],
)
def test_what_a_distribution_needs_of_the_machine_is_named(
    home, tmp_path, monkeypatch, distro, tool, variable
):
    monkeypatch.delenv(variable, raising=False)
    monkeypatch.setattr(layers.shutil, "which", lambda name, **_: None if name == tool else name)
    wanted = matrix.load().distros[distro]
    with pytest.raises(ScenarioError, match=f"{distro} needs {tool}: install it .* {variable}"):
        layers.require_tool(wanted)

    monkeypatch.setenv(variable, "another")
    layers.require_tool(wanted)


def test_a_distribution_that_is_laid_down_needs_no_more(home, monkeypatch):
    monkeypatch.setattr(layers.shutil, "which", lambda *_, **__: None)
    rocky = matrix.load().distros["rocky-9"]
    store.ensure(layers.distro_layer(rocky), lambda folder: (folder / "root").touch())
    layers.require_tool(rocky)


def test_what_builds_need_is_installed_before_they_begin_and_only_for_missing_images(
    target, home, monkeypatch
):
    done = []
    for harmless in ("require_root", "require"):
        monkeypatch.setattr(machine, harmless, lambda *_, **__: None)
    monkeypatch.setattr(building, "require_mirror", lambda: None)
    monkeypatch.setattr(
        machine,
        "install_packages",
        lambda *_: done.append(("installed", threading.current_thread())),
    )
    monkeypatch.setattr(images, "ensure_image", lambda target: done.append(("built", target)))

    builds = Builds([target])
    builds.start()
    builds.result(target)
    assert done == [("installed", threading.main_thread()), ("built", target)]

    done.clear()
    images.recipe(target).folder.mkdir(parents=True)
    builds.start()
    builds.result(target)
    assert done == [("built", target)]


def test_what_killed_builds_left_is_gone_before_room_is_looked_for(target, home, monkeypatch):
    left = Path(f"{layers.distro_layer(target.distro).folder}.making")
    left.mkdir(parents=True)
    seen = []
    monkeypatch.setattr(machine, "require_root", lambda *_: None)
    monkeypatch.setattr(machine, "require", lambda *_, **__: seen.append(left.exists()))
    monkeypatch.setattr(machine, "install_packages", lambda *_: None)
    monkeypatch.setattr(building, "require_mirror", lambda: None)

    images.prepare_machine([target])

    assert seen == [False]


def test_what_keeps_images_from_being_built_is_told_to_who_wants_one(target, home, monkeypatch):
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    builds = Builds([target])
    builds.start()
    way_out = r"needs root: .*, or load an image .*: load-trove-image\.bash FILE\.$"
    with pytest.raises(ScenarioError, match=way_out):
        builds.result(target)


def test_everything_is_built_from_the_mirror_that_is_named(target, tmp_path, monkeypatch):
    monkeypatch.setattr(registries, "debian_mirrors", dict)
    monkeypatch.setenv("DIB_DISTRIBUTION_MIRROR", "http://named/debian")

    debian._prepared("sid", tmp_path)

    assert " http://named/debian sid main" in (tmp_path / "sources.list").read_text()
    assert layers._mirrors(target.distro) == {
        "DIB_DISTRIBUTION_MIRROR": "http://named/debian",
        "DIB_APT_MINIMAL_CREATE_INTERFACES": "0",
    }


def test_beside_a_guest_of_another_distribution_debian_s_mirror_has_a_name_of_its_own(monkeypatch):
    monkeypatch.setenv("DIB_DISTRIBUTION_MIRROR", "http://named/ubuntu")
    monkeypatch.setenv("DIB_DEBIAN_DISTRIBUTION_MIRROR", "http://named/debian")

    assert building.require_mirror() == "http://named/debian"
    assert layers._mirrors(matrix.load().distros["ubuntu-noble"]) == {}


def test_a_mirror_of_security_updates_that_is_named_is_left_as_it_is(target, monkeypatch):
    mirrors = {"main": "http://m/debian", "security": "http://m/debian-security"}
    monkeypatch.setattr(registries, "debian_mirrors", lambda: mirrors)
    variable = "DIB_DEBIAN_SECURITY_MIRROR"

    assert layers._mirrors(target.distro)[variable] == mirrors["security"]
    monkeypatch.setenv(variable, "http://named/security")
    assert variable not in layers._mirrors(target.distro)


def test_a_mirror_that_does_not_answer_is_named(target, monkeypatch):
    monkeypatch.setattr(registries, "debian_mirrors", lambda: {"main": "http://127.0.0.1:1/debian"})
    with pytest.raises(
        ScenarioError, match=r"can't be used \(http://127.0.0.1:1/debian/dists/trix"
    ):
        layers._require_mirror(target.distro)


def test_packages_of_all_elements_are_installed_with_the_distribution(tmp_path):
    layers._write_packages_element(tmp_path / "trove-packages")
    wanted = json.loads((tmp_path / "trove-packages/package-installs.yaml").read_text())
    assert {"docker.io", "sudo", "busybox-static"} <= wanted.keys()


def test_folders_of_local_indexes_are_found(tmp_path):
    (tmp_path / "index/simple").mkdir(parents=True)
    (tmp_path / "wheels").mkdir()
    registry = {
        "UV_DEFAULT_INDEX": "https://index.example/simple",
        "UV_INDEX": f"file://{tmp_path}/index/simple",
        "UV_FIND_LINKS": f"{tmp_path}/wheels {tmp_path}/absent",
    }
    assert layers.local_folders(registry) == [f"{tmp_path}/index", f"{tmp_path}/wheels"]


def test_folders_that_uv_itself_is_told_of_are_there_for_the_agent_s_packages(
    home, tmp_path, monkeypatch
):
    monkeypatch.setenv("UV_FIND_LINKS", str(tmp_path))
    monkeypatch.setattr(registries, "_pip_settings", dict)
    assert layers._agent()["DIB_TROVE_AGENT_FOLDERS"].split()[0] == str(tmp_path)
