"""How QEMU runs guests here: by KVM, or by emulating their processor."""

import subprocess
import tempfile
from pathlib import Path

# What an emulated processor had better lack: five-level paging, "fast" string copies (the short
# ones since QEMU 8), which QEMU does byte by byte, and the kernel's fence around programs'
# memory, opened and closed at each copy, where QEMU leaves the code it has translated. A guest
# that finds them uses them, and emulating them is slower than doing without. Wide vectors are
# no slower in all; OpenSSL, where they are, is told to do without (trove-guest-tuning,
# emulated-environment).
EMULATED_WITHOUT = "-la57,-erms,-fsrm,-smap"

_DEBUG_EXIT_PORT = 0xF4
_VALUE = 0x2A
_DEVICE = Path("/dev/kvm")


def kvm_fault(deadline: float = 2) -> str | None:
    """Start a real guest under KVM; return what is wrong, None if it ran.

    /dev/kvm may exist and yet hang every guest. The probe guest is a boot
    sector that writes to QEMU's debug-exit port.

    Args:
        deadline: seconds the probe guest has. Working KVM needs a tenth of one; more
            means that something emulates instruction by instruction.
    """
    if not _DEVICE.exists():
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
