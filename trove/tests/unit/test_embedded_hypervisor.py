"""Which hypervisor is taken, and what is said of it."""

from dataclasses import replace

import pytest

from trove.tests.common.errors import ScenarioError
from trove.tests.embedded import hypervisor


@pytest.fixture
def machine(monkeypatch):
    """Sets what the probes of hypervisors find; None where a probe guest runs."""

    def has(**faults: str | None) -> None:
        for name, fault in faults.items():
            kind = replace(hypervisor.KINDS[name], fault=lambda fault=fault: fault)
            monkeypatch.setitem(hypervisor.KINDS, name, kind)

    return has


@pytest.mark.parametrize(
    ("kvm", "lxc", "chosen"),
    [
        (None, None, "kvm"),
        ("there is no KVM", None, "lxc"),
        ("KVM runs no guest", "no container starts", "qemu"),
    ],
)
def test_the_first_whose_probe_guest_runs_is_taken(machine, kvm, lxc, chosen):
    machine(kvm=kvm, lxc=lxc)
    assert hypervisor.choose(hypervisor.AUTO).name == chosen


def test_slower_hypervisors_are_not_probed(machine, monkeypatch):
    machine(kvm=None)
    broken = replace(hypervisor.KINDS["lxc"], fault=lambda: pytest.fail("probed"))
    monkeypatch.setitem(hypervisor.KINDS, "lxc", broken)
    assert hypervisor.choose(hypervisor.AUTO).name == "kvm"


def test_it_is_said_what_was_taken_and_why(machine, capsys):
    machine(kvm="there is no KVM", lxc=None)
    hypervisor.choose(hypervisor.AUTO)
    assert "there is no KVM; guests will be run by lxc" in capsys.readouterr().err


def test_one_that_is_asked_for_must_run_guests(machine):
    machine(lxc="no container starts (virsh ended with 1)")
    with pytest.raises(ScenarioError, match=r"no container starts \(virsh ended with 1\)"):
        hypervisor.choose("lxc")


def test_an_unknown_one_lists_the_known_ones():
    with pytest.raises(ScenarioError, match="xen.*auto, kvm, lxc, qemu"):
        hypervisor.choose("xen")
