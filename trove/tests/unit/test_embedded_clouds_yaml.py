"""The entries in clouds.yaml come and go; everything else stays as it was."""

import errno
import stat
from pathlib import Path

import pytest
import yaml

from trove.tests.common.errors import ScenarioError
from trove.tests.embedded import clouds_yaml
from trove.tests.embedded.cloud import Cloud

SOMEONE_ELSES = """\
# my clouds
clouds:
  work:  # the one that pays
    auth:
      auth_url: https://cloud.example/v3
"""


@pytest.fixture
def cloud(tmp_path, monkeypatch) -> Cloud:
    monkeypatch.setenv("TROVE_SCENARIO_HOME", str(tmp_path / "home"))
    monkeypatch.setenv(
        "OS_CLIENT_CONFIG_FILE", str(tmp_path / "conf" / "openstack" / "clouds.yaml")
    )
    cloud = Cloud()
    cloud.make_folders()
    return cloud


@pytest.fixture
def someone_elses(cloud) -> Path:
    """The file, with an entry that is not ours."""
    file = clouds_yaml.location()
    file.parent.mkdir(parents=True)
    file.write_text(SOMEONE_ELSES)
    return file


def test_both_users_get_an_entry(cloud):
    file = clouds_yaml.add(cloud)
    entries = yaml.safe_load(file.read_text())["clouds"]
    assert set(entries) == {"trove-embedded", "trove-embedded-admin"}
    assert entries["trove-embedded"]["auth"]["username"] == "demo"
    assert entries["trove-embedded"]["auth"]["auth_url"] == "https://198.18.0.2:5000/v3"
    assert entries["trove-embedded"]["cacert"] == str(cloud.authority)


def test_the_file_is_for_its_owner_alone(cloud):
    assert stat.S_IMODE(clouds_yaml.add(cloud).stat().st_mode) == 0o600


def test_other_entries_and_comments_survive_unchanged(cloud, someone_elses):
    clouds_yaml.add(cloud)
    assert "# the one that pays" in someone_elses.read_text()
    clouds_yaml.remove(cloud)
    assert someone_elses.read_text() == SOMEONE_ELSES


def test_a_file_of_ours_alone_is_removed_with_its_folder(cloud, tmp_path):
    clouds_yaml.add(cloud)
    clouds_yaml.remove(cloud)
    assert not (tmp_path / "conf").exists()


@pytest.mark.parametrize("there", ["conf", "conf/openstack"])
def test_an_empty_folder_that_was_there_before_stays(cloud, tmp_path, there):
    (tmp_path / there).mkdir(parents=True)
    clouds_yaml.add(cloud)
    clouds_yaml.remove(cloud)
    assert list((tmp_path / there).iterdir()) == []


def test_the_last_of_several_clouds_takes_the_file_and_its_folder_along(cloud, tmp_path):
    other = Cloud("other")
    other.make_folders()
    clouds_yaml.add(cloud)
    clouds_yaml.add(other)
    clouds_yaml.remove(cloud)
    assert set(yaml.safe_load(clouds_yaml.location().read_text())["clouds"]) == {
        "trove-other",
        "trove-other-admin",
    }
    clouds_yaml.remove(other)
    assert not (tmp_path / "conf").exists()


def test_a_link_stays_one_and_the_file_that_it_leads_to_gets_the_entries(cloud, tmp_path):
    link, file = clouds_yaml.location(), tmp_path / "dotfiles" / "clouds.yaml"
    for folder in (link.parent, file.parent):
        folder.mkdir(parents=True)
    file.write_text(SOMEONE_ELSES)
    link.symlink_to(file)
    clouds_yaml.add(cloud)
    assert link.is_symlink()
    assert "trove-embedded" in file.read_text()
    clouds_yaml.remove(cloud)
    assert link.is_symlink()
    assert file.read_text() == SOMEONE_ELSES


def test_owner_and_mode_of_a_file_stay(cloud, someone_elses, monkeypatch):
    owners = []
    monkeypatch.setattr(clouds_yaml.os, "chown", lambda _file, *owner: owners.append(owner))
    someone_elses.chmod(0o640)
    before = someone_elses.stat()
    clouds_yaml.add(cloud)
    assert stat.S_IMODE(someone_elses.stat().st_mode) == 0o640
    assert owners == [(before.st_uid, before.st_gid)]


def test_removing_twice_is_harmless(cloud):
    clouds_yaml.remove(cloud)
    clouds_yaml.remove(cloud)
    assert not clouds_yaml.location().exists()


def test_a_cloud_of_another_home_may_take_the_name_and_keeps_it(
    cloud, tmp_path, monkeypatch, capsys
):
    cloud.authority.parent.mkdir(parents=True, exist_ok=True)
    cloud.authority.touch()
    clouds_yaml.add(cloud)
    first = str(cloud.authority)

    with monkeypatch.context() as another_home:
        another_home.setenv("TROVE_SCENARIO_HOME", str(tmp_path / "another-home"))
        cloud.make_folders()
        file = clouds_yaml.add(cloud)
        second = str(cloud.authority)
    clouds_yaml.remove(cloud)

    assert f"meant the cloud of {first}" in capsys.readouterr().err
    entries = yaml.safe_load(file.read_text())["clouds"]
    assert entries["trove-embedded"]["cacert"] == second != first


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("clouds:\n\twork: {}\n", r"found character '\t' that cannot start any token in line 2"),
        ("clouds:\n  a: {x: secret}\n  a: {x: y}\n", 'found duplicate key "a" in line 3'),
        ("clouds: [", "expected the node content, but found '<stream end>' in line 1"),
        ("clouds: \x01", "unacceptable character #x0001: special characters are not allowed"),
        ("- clouds", "it has no mapping named clouds"),
        ("clouds: [work]", "it has no mapping named clouds"),
    ],
)
@pytest.mark.parametrize(
    "use", [clouds_yaml.add, clouds_yaml.remove, lambda _: clouds_yaml.check()]
)
def test_a_file_that_cant_be_read_is_told_and_stays(cloud, someone_elses, text, fault, use):
    someone_elses.write_text(text)
    with pytest.raises(ScenarioError) as told:
        use(cloud)
    assert str(told.value) == (
        f"{someone_elses} can't be read: {fault}."
        " Correct it, or name another file in OS_CLIENT_CONFIG_FILE."
    )
    assert someone_elses.read_text() == text


def test_a_full_disk_is_told_and_the_file_stays(cloud, someone_elses, monkeypatch):
    def fail(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(clouds_yaml.YAML, "dump", fail)
    with pytest.raises(ScenarioError, match=r"clouds.yaml can't be written: No space left on dev"):
        clouds_yaml.add(cloud)
    assert list(someone_elses.parent.iterdir()) == [someone_elses]
    assert someone_elses.read_text() == SOMEONE_ELSES


@pytest.mark.parametrize("text", ["", "clouds:\n", "# nothing yet\n"])
def test_an_empty_file_gets_entries_and_is_no_error(cloud, someone_elses, text):
    someone_elses.write_text(text)
    clouds_yaml.remove(cloud)
    assert someone_elses.read_text() == text
    clouds_yaml.add(cloud)
    assert len(yaml.safe_load(someone_elses.read_text())["clouds"]) == 2
    clouds_yaml.remove(cloud)
    assert not yaml.safe_load(someone_elses.read_text())["clouds"]


@pytest.mark.parametrize("variable", ["OS_CLIENT_CONFIG_FILE", "XDG_CONFIG_HOME"])
def test_who_is_told_of_the_file_finds_it_from_any_folder(monkeypatch, tmp_path, variable):
    monkeypatch.delenv("OS_CLIENT_CONFIG_FILE")
    monkeypatch.setenv(variable, "mine")
    monkeypatch.chdir(tmp_path)
    assert clouds_yaml.location().is_relative_to(tmp_path / "mine")
