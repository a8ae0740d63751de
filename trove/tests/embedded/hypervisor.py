"""Which hypervisor runs the guests."""

import subprocess
import tempfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from trove.tests.common import progress
from trove.tests.common.errors import ScenarioError
from trove.tests.embedded.containers import probe

_DEBUG_EXIT_PORT = 0xF4
_VALUE = 0x2A


def kvm_fault(deadline: float = 2) -> str | None:
    """Start a real guest under KVM; return what is wrong, None if it ran.

    /dev/kvm may exist and yet hang every guest. The probe guest is a boot
    sector that writes to QEMU's debug-exit port.

    Args:
        deadline: seconds the probe guest has. Working KVM needs a tenth of one; more
            means that something emulates instruction by instruction.
    """
    if not Path("/dev/kvm").exists():
        return "there is no KVM"
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
            return "KVM runs no guest"
    # The device ends QEMU with twice the value written, plus one.
    return None if guest.returncode == 2 * _VALUE + 1 else "KVM runs no guest"


@dataclass(frozen=True, kw_only=True)
class Hypervisor:
    """How nova drives a kind of guest.

    Attributes:
        name: what the user calls it.
        uri: libvirt's name of it; nova's ``[libvirt] connection_uri``.
        virt_type: nova's ``[libvirt] virt_type``.
        cpu_mode: nova's ``[libvirt] cpu_mode``.
        cpu_flags: nova's ``[libvirt] cpu_model_extra_flags``, empty for none.
        containers: its guests are containers: they share this machine's kernel and
            run as its root.
        fault: starts a probe guest; returns what is wrong, None if that ran.
    """

    name: str
    uri: str = "qemu:///system"
    virt_type: str
    cpu_mode: str
    cpu_flags: str = ""
    containers: bool = False
    fault: Callable[[], str | None]


KINDS = {
    kind.name: kind
    for kind in (
        Hypervisor(name="kvm", virt_type="kvm", cpu_mode="host-passthrough", fault=kvm_fault),
        Hypervisor(
            name="lxc",
            uri="lxc:///system",
            virt_type="lxc",
            cpu_mode="none",
            containers=True,
            fault=probe.fault,
        ),
        # Everything QEMU can emulate but wide vectors, five-level paging and "fast"
        # string copies, which it does byte by byte: a guest that finds them uses
        # them, and emulating them is slower than doing without.
        Hypervisor(
            name="qemu",
            virt_type="qemu",
            cpu_mode="host-model",
            cpu_flags="-la57,-avx,-avx2,-erms",
            fault=lambda: None,
        ),
    )
}
AUTO = "auto"


def choose(name: str) -> Hypervisor:
    """Return the hypervisor of that name; ``auto`` takes the first that runs a guest.

    The fastest come first. What was chosen, and why none before it, is said.

    Raises:
        ScenarioError: the name is unknown, or that hypervisor runs no guest here.
    """
    if name not in (AUTO, *KINDS):
        raise ScenarioError(
            f"There is no hypervisor {name!r}: choose one of {', '.join([AUTO, *KINDS])}."
        )
    faults = []
    wanted = list(KINDS.values()) if name == AUTO else [KINDS[name]]
    with ThreadPoolExecutor(max_workers=len(wanted)) as pool:
        probes = [(kind, pool.submit(kind.fault)) for kind in wanted]
    for kind, found in probes:
        fault = found.result()
        if fault is None:
            progress.say("; ".join([*faults, f"guests will be run by {kind.name}"]))
            return kind
        faults.append(fault)
    raise ScenarioError(
        f"This machine has no use for --hypervisor {name}: {'; '.join(faults)}. Choose {AUTO}."
    )
