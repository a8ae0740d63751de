"""The three commands for guest images, from words to what they print."""

import json
import os
import subprocess
from datetime import timedelta
from types import SimpleNamespace

import pytest
import yaml
from keystoneauth1 import exceptions as keystone_errors
from openstack import exceptions as sdk_errors
from troveclient import exceptions as trove_errors

from trove.tests.common import paths
from trove.tests.common.errors import ScenarioError
from trove.tests.harness import arguments, image_commands, images, loading, store, verifying
from trove.tests.harness.image_commands import ACTIVATE, BUILD, LOAD
from trove.tests.harness.images import GuestImage
from trove.tests.harness.loading import LoadedVersion


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("TROVE_SCENARIO_HOME", str(tmp_path / "home"))
    for variable in ("OS_CLOUD", "OS_ADMIN_CLOUD"):
        monkeypatch.delenv(variable, raising=False)


@pytest.fixture
def built(tmp_path, monkeypatch):
    """Images are made in no time; the names of what was asked for are noted."""
    asked = []
    disk = tmp_path / "disk.qcow2"
    disk.write_bytes(b"QFI\xfb" + bytes(2_000_000))

    def ensure_image(target, *, tuned=True, bootable=False):
        asked.append(f"{target.name}{' bootable' if bootable else ''}")
        manifest = {"series": "2026.2", "datastore": target.datastore.name}
        return GuestImage("key", target.name, disk, "qcow2", None, None, "", manifest)

    monkeypatch.setattr(images, "ensure_image", ensure_image)
    return asked


@pytest.fixture
def cloud(monkeypatch, tmp_path):
    """A cloud that takes everything; who logs in and what it was asked for is noted."""
    clouds = {name: {} for name in ("mine", "theirs", "theirs-admin", "boss")}
    (tmp_path / "clouds.yaml").write_text(yaml.safe_dump({"clouds": clouds}))
    asked = []
    version = LoadedVersion("id", "mariadb", "11.8-debian-trixie", "image-id")
    admin = SimpleNamespace(name="my-admin", identity="me")
    monkeypatch.setattr(image_commands.reaper, "watch", lambda _run: None)
    monkeypatch.setattr(image_commands.clients, "connect", lambda name: asked.append(name) or admin)
    monkeypatch.setattr(loading, "find_image", lambda *_: None)
    monkeypatch.setattr(loading, "load", lambda *words: asked.append(words[1].name) or version)
    monkeypatch.setattr(loading, "find_version", lambda _admin, *names: version)
    monkeypatch.setattr(loading, "activate", lambda _admin, one: asked.append(one.name))
    return asked


def run(capsys, *words):
    status = image_commands.main(list(words))
    out, err = capsys.readouterr()
    return status, out, err


class TestBuild:
    def test_says_where_the_image_is(self, built, capsys):
        status, out, _ = run(capsys, BUILD, "--datastore", "mariadb")
        assert status == 0
        assert out.strip().endswith("disk.qcow2 (2 MB): built")
        assert built == ["mariadb-11.8-debian-trixie"]

    def test_tells_programs_everything(self, built, capsys):
        _, out, _ = run(capsys, BUILD, "--datastore=mysql", "--bootable", "--json")
        result = json.loads(out)
        assert result["manifest"]["datastore"] == "mysql"
        assert result["bytes"] == 2_000_004
        assert result["reused"] is False
        assert built == ["mysql-9.7-debian-trixie bootable"]

    def test_writes_a_file(self, built, capsys, tmp_path):
        output = tmp_path / "mine.qcow2"
        status, out, _ = run(capsys, BUILD, "--datastore=mysql", f"--output={output}")
        assert (status, output.exists()) == (0, True)
        assert out.startswith(str(output))

    def test_verifies(self, built, capsys, monkeypatch):
        verified = verifying.Verified(accelerator="tcg", seconds={"sql": 55.0})
        monkeypatch.setattr(verifying, "verify", lambda image, target: verified)
        _, out, _ = run(capsys, BUILD, "--datastore=mysql", "--verify", "--json")
        assert json.loads(out)["verified"] == {"accelerator": "tcg", "seconds": {"sql": 55.0}}

    def test_explains_and_builds_nothing(self, built, capsys):
        status, out, _ = run(capsys, BUILD, "--datastore=mysql", "--explain")
        assert (status, built) == (0, [])
        assert "guest layer debian-trixie: to be built\n    was not made yet" in out

    @pytest.mark.parametrize(
        ("words", "sentence"),
        [
            (["--datastore=oracle"], "There is no datastore 'oracle'; known are: mariadb, mysql"),
            (["--datastore=mysql", "--version=1"], "There is no version of mysql '1'; known"),
            (["--datastore=mysql", "--distro=beos"], "There is no distribution for mysql 9.7 'be"),
            (["--datastore=mysql", "--output=/absent/x.qcow2"], "There is no folder /absent to"),
        ],
    )
    def test_answers_bad_input_with_one_sentence(self, built, capsys, words, sentence):
        status, out, err = run(capsys, BUILD, *words)
        assert (status, out, built) == (1, "", [])
        assert err.startswith(f"{BUILD}: {sentence}")
        assert len(err.splitlines()) == 1

    def test_names_the_datastores_in_its_help(self, capsys):
        with pytest.raises(SystemExit) as end:
            run(capsys, BUILD, "--help")
        assert end.value.code == 0
        assert "of mariadb, mysql, postgresql" in capsys.readouterr().out


class TestKept:
    @pytest.fixture(autouse=True)
    def two(self):
        for name in ("debian-trixie", "debian-bookworm"):
            recipe = store.Recipe("guest layer", name, {})
            store.ensure(recipe, lambda folder: (folder / "root").write_bytes(bytes(3_000_000)))

    def test_is_listed(self, capsys):
        _, out, _ = run(capsys, BUILD, "list")
        assert len(out.splitlines()) == 3
        assert "6 MB  in all" in out

    def test_is_pruned(self, capsys):
        status, out, _ = run(capsys, BUILD, "prune", "--keep=4M", "--json")
        assert status == 0
        assert len(json.loads(out)["removed"]) == 1

    def test_does_not_go_unasked(self, capsys):
        with pytest.raises(SystemExit) as end:
            run(capsys, BUILD, "prune")
        assert end.value.code == 2
        assert "say what may go" in capsys.readouterr().err


class TestLoad:
    def test_builds_what_it_loads(self, built, cloud, capsys):
        words = ["--datastore=mariadb", "--os-cloud=mine"]
        status, out, _ = run(capsys, LOAD, *words)
        assert status == 0
        assert out == "mariadb 11.8-debian-trixie: image image-id loaded\n"
        assert cloud == ["mine", "mariadb-11.8-debian-trixie"]

    def test_takes_a_file_for_what_its_manifest_says(self, built, cloud, capsys, tmp_path):
        file = tmp_path / "mine.qcow2"
        run(capsys, BUILD, "--datastore=mariadb", f"--output={file}")
        status, out, _ = run(capsys, LOAD, str(file), "--os-cloud=mine", "--json")
        assert status == 0
        assert json.loads(out)["uploaded"] is True

    def test_refuses_an_image_of_another_series(self, built, cloud, capsys, tmp_path):
        file = tmp_path / "mine.qcow2"
        run(capsys, BUILD, "--datastore=mariadb", f"--output={file}")
        manifest = tmp_path / "mine.manifest.json"
        manifest.write_text(manifest.read_text().replace("2026.2", "2020.1"))
        status, _, err = run(capsys, LOAD, str(file), "--os-cloud=mine")
        assert (status, cloud) == (1, [])
        assert "is of series 2020.1" in err
        assert f"{BUILD} --datastore mariadb --version 11.8 --distro debian-trixie" in err
        assert run(capsys, LOAD, str(file), "--os-cloud=mine", "--force")[0] == 0

    def test_refuses_an_image_for_another_datastore(self, built, cloud, capsys, tmp_path):
        file = tmp_path / "mine.qcow2"
        run(capsys, BUILD, "--datastore=mariadb", f"--output={file}")
        words = [str(file), "--datastore=mysql", "--os-cloud=mine"]
        status, _, err = run(capsys, LOAD, *words)
        assert (status, cloud) == (1, [])
        assert "is for mariadb" in err
        assert "not for mysql 9.7 debian-trixie: load it as that, or another image." in err
        assert run(capsys, LOAD, *words, "--force")[0] == 0

    @pytest.fixture
    def foreign(self, tmp_path):
        """An image without a manifest, and the words to load it with, whatever it is for."""
        file = tmp_path / "foreign.qcow2"
        file.write_bytes(b"QFI\xfb")
        return [str(file), "--os-cloud=mine", "--force"]

    @pytest.mark.parametrize(
        "said",
        [
            [],
            ["--datastore=mysql"],
            ["--datastore=mysql", "--version=9.7"],
            ["--datastore=mysql", "--distro=debian-bookworm"],
            ["--version=9.7", "--distro=debian-bookworm"],
        ],
        ids=" ".join,
    )
    def test_asks_what_a_foreign_image_is_for(self, cloud, capsys, foreign, said):
        status, _, err = run(capsys, LOAD, *foreign, *said)
        assert (status, cloud) == (1, [])
        assert "has no manifest beside it: say what it is for with --datastore, --version" in err

    def test_takes_a_foreign_image_for_what_it_is_said_to_be(self, cloud, capsys, foreign):
        said = ["--datastore=mysql", "--version=9.7", "--distro=debian-bookworm"]
        assert run(capsys, LOAD, *foreign, *said)[0] == 0
        assert cloud[0] == "mine"

    def test_asks_which_cloud(self, built, cloud, capsys):
        status, _, err = run(capsys, LOAD, "--datastore=mariadb")
        assert status == 1
        assert "Which cloud? Name one with --os-cloud or OS_CLOUD." in err

    def test_puts_templates_where_the_server_looks(self, built, cloud, capsys, tmp_path):
        words = ["--datastore=mysql", "--os-cloud=mine", f"--template-path={tmp_path}"]
        _, _, err = run(capsys, LOAD, *words)
        assert (tmp_path / "mysql/9.7/config.template").exists()
        assert "needs configuration templates" not in err
        _, _, err = run(capsys, LOAD, *words[:2])
        assert "mysql 9.7 needs configuration templates of its own" in err


class TestActivate:
    def test_makes_a_version_the_default(self, cloud, capsys):
        status, out, _ = run(capsys, ACTIVATE, "mariadb", "11.8", "--os-cloud=mine")
        assert (status, cloud) == (0, ["mine", "11.8-debian-trixie"])
        assert out == "mariadb 11.8-debian-trixie is what users of mariadb get\n"

    @pytest.mark.parametrize(
        ("words", "environment", "entry"),
        [
            ([], {"OS_CLOUD": "theirs"}, "theirs-admin"),
            ([], {"OS_CLOUD": "theirs", "OS_ADMIN_CLOUD": "boss"}, "boss"),
            (["--os-cloud=mine"], {"OS_CLOUD": "theirs", "OS_ADMIN_CLOUD": "boss"}, "mine"),
            (["--os-cloud=theirs"], {"OS_ADMIN_CLOUD": "boss"}, "theirs-admin"),
        ],
        ids=["user", "administrator", "option", "option_of_a_user"],
    )
    def test_logs_in_as_the_administrator_that_is_named(
        self, cloud, capsys, monkeypatch, words, environment, entry
    ):
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        assert run(capsys, ACTIVATE, "mariadb", "11.8", *words)[0] == 0
        assert cloud[0] == entry

    def test_tells_what_there_is(self, cloud, capsys, monkeypatch):
        def find_version(*_):
            raise ScenarioError("Trove has no version '1' of 'mariadb': none.")

        monkeypatch.setattr(loading, "find_version", find_version)
        status, _, err = run(capsys, ACTIVATE, "mariadb", "1", "--os-cloud=mine")
        assert (status, err) == (1, f"{ACTIVATE}: Trove has no version '1' of 'mariadb': none.\n")

    @pytest.mark.parametrize(
        ("error", "sentence"),
        [
            (
                trove_errors.Unauthorized("User does not have admin privileges."),
                "refuses: User does not have admin privileges. (HTTP 401): name an administrator's "
                "entry.",
            ),
            (
                sdk_errors.ForbiddenException("not yours"),
                "refuses: not yours: name an administrator's entry.",
            ),
            (keystone_errors.ConnectFailure("no route\nto host."), "fails: no route to host."),
        ],
        ids=lambda value: type(value).__name__,
    )
    def test_tells_what_the_cloud_says(self, cloud, capsys, monkeypatch, error, sentence):
        def find_version(*_):
            raise error

        monkeypatch.setattr(loading, "find_version", find_version)
        status, _, err = run(capsys, ACTIVATE, "mariadb", "1", "--os-cloud=mine")
        assert (status, err) == (1, f"{ACTIVATE}: Cloud 'my-admin' {sentence}\n")


def test_times_and_sizes():
    assert arguments.duration("8w") == timedelta(weeks=8)
    assert image_commands._size("20G") == 20 << 30
    assert image_commands._size("1500") == 1500


@pytest.mark.parametrize("command", [BUILD, LOAD, ACTIVATE])
def test_the_scripts_work_in_the_tree(command):
    script = paths.INTEGRATION / "bin" / command
    environment = {"PATH": os.environ["PATH"]}
    done = subprocess.run([script, "--help"], capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(f"usage: {command}")
