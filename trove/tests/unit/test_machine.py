"""What a machine lacks is said at once, in one sentence that names a way out."""

import pytest

from trove.tests.common import apt, machine
from trove.tests.common.errors import ScenarioError


@pytest.fixture(autouse=True)
def debian_root(monkeypatch, tmp_path) -> None:
    monkeypatch.setenv("TROVE_SCENARIO_HOME", str(tmp_path))
    monkeypatch.setattr(machine.os, "geteuid", lambda: 0)
    monkeypatch.setattr(machine.platform, "machine", lambda: "x86_64")
    monkeypatch.setattr(machine.registries, "host_distribution", lambda: ("debian", "12"))
    monkeypatch.setattr(apt, "_POLICY", tmp_path / "policy-rc.d")


def test_a_debian_with_root_and_room_will_do():
    machine.require("The cloud", gib=0)


def test_without_root_the_way_out_is_named(monkeypatch):
    monkeypatch.setattr(machine.os, "geteuid", lambda: 1000)
    with pytest.raises(ScenarioError, match=r"The cloud needs root.*, or set OS_CLOUD\.$"):
        machine.require("The cloud", gib=0, way_out=", or set OS_CLOUD")


def test_another_processor_is_named(monkeypatch):
    monkeypatch.setattr(machine.platform, "machine", lambda: "aarch64")
    expected = (
        r"^The cloud needs an x86-64 processor and this machine's is aarch64:"
        r" use an x86-64 machine, or set OS_CLOUD\.$"
    )
    with pytest.raises(ScenarioError, match=expected):
        machine.require("The cloud", gib=0, way_out=", or set OS_CLOUD")


def test_another_distribution_is_named(monkeypatch):
    monkeypatch.setattr(machine.registries, "host_distribution", lambda: ("fedora", "44"))
    with pytest.raises(ScenarioError, match="needs Debian and this is fedora 44"):
        machine.require("The cloud", gib=0)


def test_too_little_disk_says_how_much_is_needed_and_found():
    with pytest.raises(ScenarioError, match=r"needs 1000000 GiB in .* and [\d.]+ GiB are free"):
        machine.require("The cloud", gib=1e6)


def test_only_the_packages_of_the_profiles_asked_for_are_missed(monkeypatch, tmp_path):
    (tmp_path / "bindep.txt").write_text("no-such-cloud [embedded]\nno-such-image [image]\n")
    monkeypatch.setattr(machine.paths, "BINDEP", tmp_path / "bindep.txt")
    assert machine.missing_packages("image") == ["no-such-image"]
    assert machine.missing_packages("embedded", "image") == ["no-such-cloud", "no-such-image"]


def test_what_is_installed_is_compared_again_only_when_it_has_changed(monkeypatch, tmp_path):
    compared = []
    monkeypatch.setattr(machine, "missing_packages", lambda *wanted: compared.append(wanted) or [])
    monkeypatch.setattr(machine, "_INSTALLED", tmp_path / "status")
    (tmp_path / "status").write_text("Package: qemu")

    for _ in range(2):
        machine.install_packages("embedded")
    assert compared == [("embedded",)]

    machine.install_packages("image")
    (tmp_path / "status").write_text("")
    machine.install_packages("embedded")
    assert compared == [("embedded",), ("image",), ("embedded",)]
