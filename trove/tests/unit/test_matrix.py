"""The matrix: selection, and what is said of wrong names and wrong entries."""

import pytest

from trove.tests.common import matrix
from trove.tests.common.errors import ScenarioError


@pytest.fixture
def changed(tmp_path):
    """Return a function that writes the tree's matrix with one text replaced."""

    def write(old, new):
        text = matrix.MATRIX.read_text()
        assert old in text
        path = tmp_path / "datastores.yaml"
        path.write_text(text.replace(old, new))
        return path

    return write


def line_of(path, text):
    return next(n for n, line in enumerate(path.read_text().splitlines(), 1) if text in line)


def test_defaults_fill_what_is_not_asked_for():
    target = matrix.load().select("mysql")
    assert target.name == "mysql-9.7-debian-trixie"
    assert target == matrix.load().select("mysql", "9.7", "debian-trixie")


def test_facts_of_a_version():
    target = matrix.load().select("mysql")
    assert target.datastore.port == 3306
    assert target.version.tagged(target.version.database) == "mysql:9.7"
    assert target.version.distros["debian-trixie"] == ("image", "embedded", "devstack")
    assert "max_connections" in [one.name for one in target.version.parameters]


def test_every_target_can_be_selected():
    whole = matrix.load()
    for target in whole.targets():
        names = (target.datastore.name, target.version.name, target.distro.name)
        assert whole.select(*names) == target


@pytest.mark.parametrize(
    ("names", "sentence"),
    [
        (["oracle"], "There is no datastore 'oracle'; known are: mariadb, mysql, postgresql."),
        (["mysql", "5.7"], "There is no version of mysql '5.7'; known are: 8.4, 9.7."),
        (
            ["mysql", "9.7", "beos"],
            "There is no distribution for mysql 9.7 'beos'; known are: debian-bookworm, "
            "debian-trixie, fedora-44, rocky-10, rocky-9, ubuntu-noble, ubuntu-resolute.",
        ),
    ],
)
def test_unknown_names_are_answered_with_the_known_ones(names, sentence):
    with pytest.raises(ScenarioError) as refused:
        matrix.load().select(*names)
    assert str(refused.value) == sentence


def test_wrong_type_names_its_place(changed):
    path = changed("port: 5432", "port: many")
    with pytest.raises(
        ScenarioError, match=r"datastores\.postgresql\.port: 'many' is not of type"
    ) as e:
        matrix.load(path)
    assert f"line {line_of(path, 'port: many')}:" in str(e.value)


def test_unknown_word_names_its_place(changed):
    path = changed("recipe: mysql", "receipt: mysql")
    with pytest.raises(ScenarioError, match=r"versions\.9\.7\.database: .*receipt") as e:
        matrix.load(path)
    assert f"line {line_of(path, 'database:')}:" in str(e.value)


@pytest.mark.parametrize(
    ("old", "new", "place"),
    [
        ('default_version: "9.7"', 'default_version: "9.8"', "mysql.default_version: is none"),
        ("default_distro: debian-trixie", "default_distro: beos", "mysql.default_distro: is no"),
        (
            "debian-bookworm: []\n          ubuntu",
            "beos: []\n          ubuntu",
            "'beos' is not defined",
        ),
    ],
)
def test_names_used_must_be_defined(changed, old, new, place):
    with pytest.raises(ScenarioError) as refused:
        matrix.load(changed(old, new))
    assert place in str(refused.value)


def test_a_container_image_is_made_or_fetched(changed):
    path = changed("recipe: postgresql-backup", "reference: postgres:18")
    with pytest.raises(ScenarioError, match=r"backup: .*recipe"):
        matrix.load(path)


def test_what_keeps_changing_has_no_digest():
    version = matrix.load().select("mysql", "8.4").version
    assert version.database.digest.startswith("sha256:")
    assert version.backup.digest is None


def test_versions_of_a_datastore_have_one_image_name(changed):
    other = "image: mariadb2\n          reference: mariadb:11.4.12"
    path = changed("image: mariadb\n          reference: mariadb:11.4.12", other)
    with pytest.raises(ScenarioError, match=r"11\.4\.database\.image: is not 'mariadb'"):
        matrix.load(path)


def test_what_the_agent_asks_for():
    datastores = matrix.load().datastores
    assert datastores["postgresql"].docker_image == "postgres"
    assert datastores["mysql"].backup_docker_image == "openstacktrove/db-backup-mysql"


def test_broken_yaml(tmp_path):
    path = tmp_path / "datastores.yaml"
    path.write_text("datastores: [")
    with pytest.raises(ScenarioError, match="is not valid YAML"):
        matrix.load(path)
