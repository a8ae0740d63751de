"""What libvirt's hook does for a virtual machine."""

import io
import subprocess

import pytest

from trove.tests.embedded import machine_hook

DOMAIN = """
<domain><devices>
  <interface type="ethernet"><target dev="tap1"/></interface>
  <disk type="block"><target dev="vda"/></disk>
  <interface type="ethernet"><target dev="tap2"/></interface>
</devices></domain>
"""


@pytest.fixture
def called(monkeypatch):
    """Call the hook for an operation; return the commands that it has run."""

    def call(operation):
        commands = []
        monkeypatch.setattr(machine_hook.sys, "argv", ["qemu", "instance-1", operation, "begin"])
        monkeypatch.setattr(machine_hook.sys, "stdin", io.StringIO(DOMAIN))
        monkeypatch.setattr(subprocess, "run", lambda argv, check: commands.append(argv))
        machine_hook.main()
        return commands

    return call


def test_network_devices_are_up_once_the_machine_is_started(called):
    assert called("started") == [["ip", "link", "set", tap, "up"] for tap in ("tap1", "tap2")]


@pytest.mark.parametrize("operation", ["prepare", "start", "stopped", "release"])
def test_nothing_is_done_at_other_steps(called, operation):
    assert called(operation) == []
