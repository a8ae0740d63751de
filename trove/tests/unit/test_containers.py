"""Container images: what goes into them, how they are packed, what is said when they can't be."""

import hashlib
import json
import os
import re
import subprocess
import tarfile
import time
from pathlib import Path

import pytest

from trove.tests.common import commands, matrix, paths, progress, release
from trove.tests.common.errors import ScenarioError
from trove.tests.harness import building, containers, debian, guest_agent


def version(datastore, name=None):
    return matrix.load().select(datastore, name).version


def image(tmp_path, name="db:1", layers=(b"one",), config=b"{}"):
    files = []
    for layer in layers:
        file = tmp_path / f"{hashlib.sha256(layer).hexdigest()}.tar"
        file.write_bytes(layer)
        files.append(file)
    return containers._Image(name, config, tuple(files))


def test_inputs_name_each_thing_that_goes_in(tree):
    found = containers.recipe(version("mariadb")).inputs
    assert found["mariadb:11.8"] == ("suite trixie: mariadb-client-core, mariadb-server-core")
    assert {
        "containers/mariadb/entrypoint",
        "containers/mariadb/recipe.yaml",
        "containers/mariadb-backup/initialise",
        "constraints",
        "way of packing",
    } < found.keys()
    assert found["trove"] == release.load().trove


def test_inputs_of_a_registrys_image_are_its_digest():
    found = containers.recipe(version("mysql", "8.4")).inputs
    assert found["mysql:8.4"].startswith("sha256:")
    assert "way of packing" not in found


def test_without_a_backup_program_the_release_does_not_count(tree):
    before = containers.recipe(version("mysql")).key
    with (tree / "release/guest-constraints.txt").open("a") as file:
        file.write("# changed\n")
    assert containers.recipe(version("mysql")).key == before


@pytest.mark.parametrize(
    "name",
    [
        "containers/postgresql/identify",
        "containers/postgresql-backup/recipe.yaml",
        "release/guest-constraints.txt",
    ],
)
def test_key_changes_with_what_goes_in(tree, name):
    before = containers.recipe(version("postgresql")).key
    with (tree / name).open("a") as file:
        file.write("\n# changed\n")
    assert containers.recipe(version("postgresql")).key != before


def test_key_does_not_change_with_a_readme(tree):
    before = containers.recipe(version("mysql")).key
    (tree / "containers/mysql/README.rst").write_text("other words")
    assert containers.recipe(version("mysql")).key == before


def test_every_recipe_of_the_matrix_is_there():
    for target in matrix.load().targets():
        for container in target.version.containers:
            if container.recipe:
                names = {file.name for file in containers._recipe_files(container)}
                assert {"recipe.yaml", "initialise"} <= names
                if container is target.version.database:
                    assert {"entrypoint", "prepare"} <= names


def test_a_shared_layer_is_packed_once(tmp_path):
    images = [
        image(tmp_path, "db:1", (b"one",), b'{"a": 1}'),
        image(tmp_path, "backup:1", (b"one", b"two"), b'{"a": 2}'),
    ]
    containers._pack(images, tmp_path / "images.tar")
    with tarfile.open(tmp_path / "images.tar") as packed:
        index = json.load(packed.extractfile("manifest.json"))
        names = packed.getnames()
    assert [entry["RepoTags"] for entry in index] == [["db:1"], ["backup:1"]]
    assert index[1]["Layers"][0] == index[0]["Layers"][0]
    assert len(names) == len(set(names)) == 5


def test_packing_is_the_same_each_time(tmp_path):
    for name in ("a.tar", "b.tar"):
        containers._pack([image(tmp_path)], tmp_path / name)
        os.utime(tmp_path / f"{hashlib.sha256(b'one').hexdigest()}.tar", (0, 0))
    assert (tmp_path / "a.tar").read_bytes() == (tmp_path / "b.tar").read_bytes()


def test_an_archive_is_taken_apart_into_what_was_packed(tmp_path):
    packed = image(tmp_path, layers=(b"one", b"two"))
    containers._pack([packed], tmp_path / "images.tar")
    assert containers._unpacked_image("db:1", tmp_path / "images.tar") == packed


def test_a_layer_holds_what_came_after_the_one_below(tmp_path):
    root = tmp_path / "root"
    (root / "usr/bin").mkdir(parents=True)
    (root / "usr/bin/old").touch()
    time.sleep(0.02)
    below = tmp_path / "below"
    below.touch()
    time.sleep(0.02)
    (root / "usr/new").touch()
    (root / "left-out").touch()
    layer = containers._pack_layer(root, below, ["./left-out"], tmp_path / "log", "x")
    with tarfile.open(layer) as packed:
        assert packed.getnames() == [".", "./usr", "./usr/new"]
    assert layer.stem == hashlib.sha256(layer.read_bytes()).hexdigest()


def test_another_version_in_the_suite_is_said(tmp_path, monkeypatch):
    root = tmp_path / "root"
    (root / "usr/bin").mkdir(parents=True)
    (root / "VERSION").write_text("12.3.1\n")
    monkeypatch.setattr(commands, "run", lambda *_args, **_kwargs: None)
    store = version("mariadb")
    for container in store.containers:
        (root / "VERSION").write_text("12.3.1\n")
        with pytest.raises(ScenarioError, match=r"trixie has .* 12\.3\.1 now, not 11\.8: change"):
            containers._initialise(store, container, root, tmp_path / "log")


def test_a_recipe_has_nothing_of_the_caller_s_environment(tmp_path, monkeypatch):
    root, tools = tmp_path / "root", tmp_path / "tools"
    for folder in (root / "usr/bin", tools):
        folder.mkdir(parents=True)
    for name, text in (
        ("mount", ""),
        ("unshare", f"env > {tmp_path}/seen\necho 11.8 > {root}/VERSION"),
    ):
        (tools / name).write_text(f"#!/bin/sh\n{text}\n")
        (tools / name).chmod(0o755)
    monkeypatch.setattr(building, "isolated", lambda argv: argv)
    monkeypatch.setenv("PATH", f"{tools}:{os.environ['PATH']}")
    for name in ("LANG", "TMPDIR", "TZ"):
        monkeypatch.setenv(name, "the caller's")

    store = version("mariadb")
    containers._initialise(store, store.database, root, tmp_path / "log")

    seen = dict(line.split("=", 1) for line in (tmp_path / "seen").read_text().splitlines())
    # The shell that looks has these of its own.
    assert seen.keys() - {"_", "PWD", "OLDPWD", "SHLVL"} == {"PATH"}


def test_a_registry_out_of_reach_is_said_in_one_sentence(tmp_path, monkeypatch):
    called = []

    def fail(argv, **_kwargs):
        called.append(argv)
        raise ScenarioError("skopeo ended with 1.")

    monkeypatch.setattr(commands, "run", fail)
    store = version("mysql", "8.4")
    with pytest.raises(ScenarioError, match=r"image mysql:8\.4\.11 can't be fetched .* Debian's"):
        containers._fetched(store, store.database, tmp_path)
    assert f"docker://mysql@{store.database.digest}" in called[0]


def test_data_are_prepared_where_the_container_looks_for_them():
    facts = containers._facts(version("postgresql").database)
    assert f"PREPARED_DATA={facts['prepared']}" in containers._environment(facts)
    backup = containers._facts(version("postgresql").backup)
    assert containers._environment(backup) == backup["config"]["Env"]


@pytest.mark.parametrize("datastore", ["mysql", "mariadb", "postgresql"])
def test_the_agent_shows_the_container_where_data_are_prepared(datastore):
    target = matrix.load().select(datastore)
    place = Path(containers._facts(target.version.database)["prepared"])
    database = guest_agent.database(target)
    assert database.mounts[str(place.parent)] == str(place.parent)
    # An instance's own disk is mounted over its data.
    assert not Path(database.data).is_relative_to(place.parent)


@pytest.mark.parametrize("ram_mb", [512, 1536, 8192])
def test_data_are_prepared_with_a_log_of_the_size_that_is_configured(ram_mb):
    prepare = (paths.CONTAINERS / "mariadb/prepare").read_text()
    size = re.search(r"--innodb-log-file-size=(\w+)", prepare)[1]
    target = matrix.load().select("mariadb")
    database = guest_agent.database(target)
    configuration = guest_agent.files(target, ram_mb)[database.settings_file]
    assert f"\ninnodb_log_file_size = {size}\n" in configuration


def test_a_registry_s_image_makes_its_own_data(monkeypatch):
    def make(_version, folder):
        (folder / "digests.json").write_text("{}")

    monkeypatch.setattr(containers, "_make", make)
    assert containers.ensure_container_images(version("mysql", "8.4")).prepared is None


def test_complete_images_are_reused(monkeypatch):
    def make(_version, folder):
        (folder / "images.tar").write_bytes(b"all")
        (folder / "digests.json").write_text('{"db:1": "sha256:1"}')

    monkeypatch.setattr(containers, "_make", make)
    made = containers.ensure_container_images(version("mysql"))
    assert made.digests == {"db:1": "sha256:1"}
    assert made.prepared.archive.parent == made.archive.parent
    monkeypatch.setattr(containers, "_make", None)
    assert containers.ensure_container_images(version("mysql")) == made


class Apt:
    """A stand-in for apt-get: one package, which it delivers if it is online."""

    def __init__(self, content=b"package", online=True, delivers=None):
        self.content, self.online = content, online
        self.delivers = delivers or content
        self.fetched = 0

    def run(self, argv, *, log, **_kwargs):
        folder = Path(next(word for word in argv if "Dir::State=" in word).split("=")[-1])
        if "update" in argv:
            if not self.online:
                raise ScenarioError("no answer")
            (folder / "lists/x_Packages").touch()
        elif "--print-uris" in argv:
            digest = hashlib.sha256(self.content).hexdigest()
            log.write_text(f"Reading\n'http://m/x_1.deb' x_1.deb 7 SHA256:{digest}\n")
        else:
            self.fetched += 1
            (folder / "archives/x_1.deb").write_bytes(self.delivers)


@pytest.fixture
def packages(tmp_path, monkeypatch):
    monkeypatch.setattr(building, "require_mirror", lambda: "http://m")

    def ensure(apt):
        monkeypatch.setattr(commands, "run", apt.run)
        return debian.ensure_packages("trixie", ["x"], log=tmp_path / "build.log")

    return ensure


def test_packages_are_fetched_once(packages):
    apt = Apt()
    first, second = packages(apt), packages(apt)
    assert first == second
    assert first[0].read_bytes() == b"package"
    assert apt.fetched == 1


def test_packages_at_hand_need_no_mirror(packages, monkeypatch):
    packages(Apt())
    said = []
    monkeypatch.setattr(progress, "say", said.append)
    assert packages(Apt(online=False))[0].read_bytes() == b"package"
    assert "going on with the package lists of trixie" in said[0]


def test_no_mirror_and_nothing_at_hand_is_said(packages):
    with pytest.raises(ScenarioError, match="mirror doesn't give the package lists of trixie"):
        packages(Apt(online=False))


def test_a_damaged_package_is_fetched_again(packages):
    (found,) = packages(Apt())
    found.write_bytes(b"pack")
    assert packages(Apt())[0].read_bytes() == b"package"


def test_a_package_that_arrives_damaged_is_refused(packages):
    with pytest.raises(ScenarioError, match="arrived damaged"):
        packages(Apt(delivers=b"half"))


def identify(folder, *args):
    script = paths.CONTAINERS / "postgresql/identify"
    fake = "#!/bin/sh\necho 'Mock authentication nonce:   " + "ab" * 32 + "'\n"
    tools = folder / "tools"
    tools.mkdir(exist_ok=True)
    (tools / "pg_controldata").write_text(fake)
    (tools / "pg_controldata").chmod(0o755)
    path = {"PATH": f"{tools}:{os.environ['PATH']}"}
    return subprocess.run(
        ["sh", script, folder, *args], env=path, check=False, capture_output=True, text=True
    )


def crc32c(data):
    total = 0xFFFFFFFF
    for byte in data:
        total ^= byte
        for _ in range(8):
            total = total >> 1 ^ (total & 1) * 0x82F63B78
    return (total ^ 0xFFFFFFFF).to_bytes(4, "little")


@pytest.fixture(params=[0, 1], ids=["up-to-17", "since-18"])
def cluster(tmp_path, request):
    """The two files of a cluster that tell who it is, in either form of the control file."""
    for name in ("global", "pg_wal"):
        (tmp_path / name).mkdir()
    odd = b"\x01" * request.param
    facts = b"8 bytes!" + bytes(range(248)) + odd + b"\xab" * 32 + b"\0" * (3 * request.param)
    (tmp_path / "global/pg_control").write_bytes((facts + crc32c(facts)).ljust(8192, b"\0"))
    (tmp_path / "pg_wal/000000010000000000000002").write_bytes(bytes(64))
    return tmp_path


def test_a_cluster_gets_an_identity_and_a_valid_checksum(cluster):
    done = identify(cluster, "0102030405060708", "cd" * 32)
    assert done.returncode == 0, done.stderr
    control = (cluster / "global/pg_control").read_bytes()
    end = control.index(b"\xcd" * 32) + 32
    end += -end % 4
    assert control.startswith(bytes(range(1, 9)))
    assert len(control) == 8192
    assert control[end : end + 4] == crc32c(control[:end])
    log = (cluster / "pg_wal/000000010000000000000002").read_bytes()
    assert log == bytes(24) + bytes(range(1, 9)) + bytes(32)


def test_a_control_file_of_unknown_form_is_left_alone(cluster):
    control = cluster / "global/pg_control"
    damaged = control.read_bytes().replace(b"8 bytes!", b"9 bytes!")
    control.write_bytes(damaged)
    done = identify(cluster, "0102030405060708", "cd" * 32)
    assert done.returncode == 1
    assert "another form than expected" in done.stderr
    assert control.read_bytes() == damaged
