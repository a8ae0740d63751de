"""KVM is believed in where a probe guest has run."""

import subprocess
from types import SimpleNamespace

import pytest

from trove.tests.common import qemu


@pytest.fixture
def probe(tmp_path, monkeypatch):
    """Sets how QEMU ends on the probe guest, on a machine that has the device."""
    monkeypatch.setattr(qemu, "_DEVICE", tmp_path)

    def ends(returncode=None, error=None):
        def run(*_, **__):
            if error:
                raise error
            return SimpleNamespace(returncode=returncode)

        monkeypatch.setattr(qemu.subprocess, "run", run)

    return ends


def test_no_device_no_kvm(tmp_path, monkeypatch):
    monkeypatch.setattr(qemu, "_DEVICE", tmp_path / "absent")
    assert qemu.kvm_fault() == "there is no KVM"


def test_the_value_that_the_guest_wrote_shows_that_it_ran(probe):
    probe(returncode=85)
    assert qemu.kvm_fault() is None


@pytest.mark.parametrize(
    "end",
    [
        {"returncode": 0},
        {"returncode": 1},
        {"error": subprocess.TimeoutExpired("qemu", 2)},
        {"error": FileNotFoundError()},
    ],
    ids=repr,
)
def test_any_other_end_is_a_fault(probe, end):
    probe(**end)
    assert qemu.kvm_fault() == "KVM runs no guest"
