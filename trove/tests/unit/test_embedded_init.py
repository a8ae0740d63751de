"""What the first process of a cloud's namespaces arranges, as far as that takes no namespaces."""

from pathlib import Path

import pytest

from trove.tests.embedded import init


@pytest.fixture
def network(monkeypatch, tmp_path) -> Path:
    """Network settings as the kernel shows them, of one without IPv6."""
    for setting in init.KERNEL_SETTINGS:
        file = tmp_path / "ipv4" / setting
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("0\n")
    monkeypatch.setattr(init, "NETWORK", tmp_path)
    return tmp_path


def test_no_device_gets_an_address_that_the_fence_around_guests_does_not_know(network):
    settings = [network / "ipv6/conf" / name / "disable_ipv6" for name in ("all", "default")]
    for setting in settings:
        setting.parent.mkdir(parents=True)
        setting.write_text("0\n")
    init.set_up_network()
    assert [setting.read_text() for setting in settings] == ["1\n", "1\n"]


def test_a_kernel_without_ipv6_is_one_for_clouds_as_well(network):
    init.set_up_network()
    assert (network / "ipv4" / "ip_forward").read_text() == "1\n"
    assert not (network / "ipv6").exists()
