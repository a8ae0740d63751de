"""Which hypervisor runs the guests."""

import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from trove.tests.common.errors import ScenarioError

_DEBUG_EXIT_PORT = 0xF4
_VALUE = 0x2A


@dataclass(frozen=True)
class Hypervisor:
    """How nova drives a kind of guest.

    Attributes:
        name: what the user calls it.
        virt_type: nova's ``[libvirt] virt_type``.
        cpu_mode: nova's ``[libvirt] cpu_mode``.
        cpu_flags: nova's ``[libvirt] cpu_model_extra_flags``, empty for none.
        containers: its guests share this machine's kernel.
    """

    name: str
    virt_type: str
    cpu_mode: str
    cpu_flags: str = ""
    containers: bool = False


KINDS = {
    "kvm": Hypervisor("kvm", "kvm", "host-passthrough"),
    # Everything QEMU can emulate but wide vectors and five-level paging: a guest
    # that finds them uses them, and emulating them is slower than doing without.
    "qemu": Hypervisor("qemu", "qemu", "host-model", "-la57,-avx,-avx2"),
}
AUTO = "auto"


def choose(name: str) -> Hypervisor:
    """Return the hypervisor of that name; ``auto`` takes KVM where it works.

    Raises:
        ScenarioError: the name is unknown, or KVM was asked for and is dead.
    """
    if name == AUTO:
        return KINDS["kvm" if kvm_boots() else "qemu"]
    if name not in KINDS:
        raise ScenarioError(
            f"There is no hypervisor {name!r}: choose one of {', '.join([AUTO, *KINDS])}."
        )
    if name == "kvm" and not kvm_boots():
        raise ScenarioError("KVM runs no guest on this machine: choose --hypervisor qemu.")
    return KINDS[name]


def kvm_boots(deadline: float = 2) -> bool:
    """Tell whether a real guest runs under KVM, by starting one.

    /dev/kvm may exist and yet hang every guest. The probe guest is a boot
    sector that writes to QEMU's debug-exit port.

    Args:
        deadline: seconds the probe guest has. Working KVM needs a tenth of one; more
            means that something emulates instruction by instruction.
    """
    if not Path("/dev/kvm").exists():
        return False
    code = bytes([0xB0, _VALUE, 0xE6, _DEBUG_EXIT_PORT, 0xF4])  # mov al, V; out port, al; hlt
    with tempfile.NamedTemporaryFile(suffix=".img") as disk:
        disk.write(code.ljust(510, b"\0") + b"\x55\xaa")
        disk.flush()
        try:
            guest = subprocess.run(
                [
                    *("qemu-system-x86_64", "-accel", "kvm", "-m", "16", "-display", "none"),
                    *("-nodefaults", "-no-reboot"),
                    *("-device", f"isa-debug-exit,iobase={_DEBUG_EXIT_PORT:#x},iosize=1"),
                    *("-drive", f"file={disk.name},format=raw"),
                ],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=deadline,
                check=False,
            )
        except (subprocess.TimeoutExpired, FileNotFoundError):
            return False
    # The device ends QEMU with twice the value written, plus one.
    return guest.returncode == 2 * _VALUE + 1
