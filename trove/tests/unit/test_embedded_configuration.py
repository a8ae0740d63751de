"""Rendered configuration: complete, private, and consistent with the table of services."""

import shutil
import stat
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

from trove.tests.common import content
from trove.tests.embedded import configuration, services
from trove.tests.embedded.cloud import Cloud, Settings
from trove.tests.embedded.units import Service

SETTINGS = Settings(series="2026.2", tree="", venv="/venv", hypervisor="qemu")


@pytest.fixture
def cloud(tmp_path, monkeypatch) -> Cloud:
    monkeypatch.setenv("TROVE_SCENARIO_HOME", str(tmp_path))
    cloud = Cloud()
    cloud.make_folders()
    return cloud


@pytest.fixture
def rendered(cloud) -> Cloud:
    long_running = [unit for unit in services.units(cloud, SETTINGS) if isinstance(unit, Service)]
    configuration.write_all(cloud, SETTINGS, long_running)
    configuration.write_trove_networks(cloud, SETTINGS, "a-network-id", "a-group-id")
    return cloud


def test_no_file_with_a_password_is_readable_by_others(rendered):
    passwords = rendered.secrets.values()
    exposed = [
        file
        for file in rendered.folder.rglob("*")
        if file.is_file()
        and any(password in file.read_text() for password in passwords)
        and stat.S_IMODE(file.stat().st_mode) & 0o077
    ]
    assert exposed == []


def test_no_password_is_on_a_command_line(cloud):
    units = services.units(cloud, SETTINGS)
    commands = [
        word
        for unit in units
        for command in getattr(unit, "commands", (getattr(unit, "command", ()),))
        for word in command
    ]
    assert commands
    assert not [word for word in commands for secret in cloud.secrets.values() if secret in word]


def test_two_clouds_have_different_passwords(cloud, tmp_path):
    other = Cloud("other")
    other.make_folders()
    assert not set(cloud.secrets.values()) & set(other.secrets.values())


def test_every_dependency_names_a_unit_and_none_is_circular(cloud):
    units = services.units(cloud, SETTINGS)
    names = [unit.name for unit in units]
    assert len(names) == len(set(names))
    assert {name for unit in units for name in unit.after} <= set(names)
    assert list(TopologicalSorter({unit.name: unit.after for unit in units}).static_order())


def test_the_supervisor_knows_every_service_and_starts_none_by_itself(rendered):
    text = (rendered.folder / "supervisord.conf").read_text()
    expected = [unit for unit in services.units(rendered, SETTINGS) if isinstance(unit, Service)]
    assert text.count("[program:") == len(expected) == text.count("autostart=false")


def test_trove_uses_the_management_network(rendered):
    text = (rendered.etc / "trove" / "networks.conf").read_text()
    assert "management_networks = a-network-id" in text


def test_cinder_calls_nova_where_no_certificate_is_to_be_trusted(rendered):
    section = (rendered.etc / "cinder" / "cinder.conf").read_text().partition("[nova]\n")[2]
    assert "interface = internal\n" in section.partition("\n[")[0]


def test_names_are_looked_up_nowhere_outside(rendered):
    assert (rendered.etc / "resolv.conf").read_text() == ""


@pytest.mark.parametrize("name", ["qemu.py", "guest_logins.py", "certificates.py"])
def test_what_a_cloud_shares_with_the_tests_shapes_it_too(monkeypatch, tmp_path, name):
    common = shutil.copytree(Path(content.__file__).parent, tmp_path / "common")
    monkeypatch.setattr(content, "__file__", str(common / "content.py"))
    before = configuration.key()
    (common / name).write_text("# another processor, or another key")
    assert configuration.key() != before
