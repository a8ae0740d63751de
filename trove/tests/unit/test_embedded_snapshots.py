"""Where databases come from, and what must be done again when the state is there already."""

import shutil
from graphlib import TopologicalSorter

import pytest

from trove.tests.embedded import configuration, services, snapshots
from trove.tests.embedded.cloud import Cloud, Settings
from trove.tests.embedded.units import Chore, Migration, Seed, Service, Task, Unit, without

SETTINGS = Settings(series="2026.2", tree="", venv="/venv", hypervisor="qemu")


@pytest.fixture
def cloud(tmp_path, monkeypatch) -> Cloud:
    monkeypatch.setenv("TROVE_SCENARIO_HOME", str(tmp_path))
    monkeypatch.setattr(snapshots, "_SERVER", tmp_path / "mariadbd")
    (tmp_path / "mariadbd").write_text("10.11")
    cloud = Cloud()
    cloud.make_folders()
    return cloud


def order(units: list[Unit]) -> list[str]:
    """Return one order in which the units may start."""
    return list(TopologicalSorter({unit.name: unit.after for unit in units}).static_order())


def test_who_came_after_a_dropped_unit_comes_after_its_predecessors():
    chain = [
        Seed(name="last", after=("middle", "elsewhere"), action=print),
        Seed(name="middle", after=("first",), action=print),
        Seed(name="first", action=print),
    ]
    last, first = without(chain, {"middle"})
    assert (last.name, last.after, first.after) == ("last", ("first",), ())


def test_without_kept_databases_they_are_kept_once_all_migrations_are_through(cloud):
    units = snapshots.from_template(cloud, services.units(cloud, SETTINGS))
    names = order(units)
    kept = names.index("database-template")
    migrations = {unit.name for unit in units if isinstance(unit, Migration)}
    assert migrations
    assert all(names.index(name) < kept for name in migrations)
    for user in ("keystone-bootstrap", "keystone", "nova", "neutron", "trove-conductor"):
        assert names.index(user) > kept


def test_with_kept_databases_nothing_is_migrated(cloud):
    everything = services.units(cloud, SETTINGS)
    snapshots.template(cloud, everything).mkdir(parents=True)
    units = snapshots.from_template(cloud, everything)
    assert not [unit for unit in units if isinstance(unit, Migration)]
    (files,) = [unit for unit in units if unit.name == "mariadb-files"]
    assert isinstance(files, Chore)
    names = order(units)
    assert names.index("mariadb-files") < names.index("mariadb") < names.index("nova-conductor")


def test_other_migrations_or_another_server_are_other_databases(cloud, tmp_path):
    units = services.units(cloud, SETTINGS)
    key = snapshots.template(cloud, units)
    assert snapshots.template(cloud, without(units, {"trove-database"})) != key
    (tmp_path / "mariadbd").write_text("11.8")
    assert snapshots.template(cloud, units) != key


def test_databases_that_are_created_in_another_way_are_other_databases(
    cloud, tmp_path, monkeypatch
):
    units = services.units(cloud, SETTINGS)
    key = snapshots.template(cloud, units)
    copy = shutil.copytree(configuration._TEMPLATES, tmp_path / "templates")
    monkeypatch.setattr(configuration, "_TEMPLATES", copy)
    assert snapshots.template(cloud, units) == key
    creation = copy / "mariadb" / "init.sql.j2"
    creation.write_text(creation.read_text().replace("utf8", "utf8mb4"))
    assert snapshots.template(cloud, units) != key


def test_no_migration_has_a_secret_or_an_address(cloud):
    private = [str(cloud.net.api), *cloud.secrets.values()]
    for unit in services.units(cloud, SETTINGS):
        if isinstance(unit, Migration):
            words = " ".join(word for command in unit.commands for word in command)
            assert not [secret for secret in private if secret in words]
            assert not unit.environment


def test_with_its_state_there_services_start_and_devices_are_made(cloud):
    again = services.lost_with_the_namespaces(services.units(cloud, SETTINGS))
    tasks = {unit.name for unit in again if isinstance(unit, Task)}
    assert tasks == {
        "cinder-workers",
        "disks",
        "external-bridge",
        "management-port",
        "nova-workers",
    }
    assert not [unit for unit in again if isinstance(unit, Chore | Migration)]
    everything = services.units(cloud, SETTINGS)
    expected = {unit.name for unit in everything if isinstance(unit, Service)}
    assert {unit.name for unit in again} - tasks == expected
    assert order(again)


def test_clouds_of_other_names_share_the_kept_databases(cloud):
    other = Cloud("other")
    other.make_folders()
    kept = snapshots.template(cloud, services.units(cloud, SETTINGS))
    assert snapshots.template(other, services.units(other, SETTINGS)) == kept
