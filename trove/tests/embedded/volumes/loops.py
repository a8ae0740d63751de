"""Loop devices that are gone with their last user.

A loop device belongs to the whole machine, not to a namespace, so none is made
without the kernel's promise to clear it once nobody has it open: whatever ends
a cloud ends its loop devices, too.
"""

import errno
import fcntl
import os
import struct
from pathlib import Path

# From linux/loop.h.
_SET_CAPACITY = 0x4C07
_CONFIGURE = 0x4C0A
_GET_STATUS = 0x4C05
_GET_FREE = 0x4C82
_AUTOCLEAR = 4
# struct loop_info64: device, inode and rdevice; offset and size limit; number,
# encryption's type and key size; flags; names and key; two spare numbers.
_INFO = struct.Struct("=3Q 2Q 3I I 64s64s32s 2Q")
# struct loop_config: file descriptor, block size, loop_info64, reserved.
_CONFIG = struct.Struct(f"=II {_INFO.size}s 64x")


def attach(file: Path) -> tuple[int, Path]:
    """Make a loop device of a file.

    Returns:
        A descriptor that keeps the device for as long as it is open, and the
        device's path.

    Raises:
        OSError: the kernel makes none.
    """
    with file.open("r+b") as backing:
        info = _INFO.pack(*[0] * 8, _AUTOCLEAR, os.fsencode(file.name)[:63], b"", b"", 0, 0)
        config = _CONFIG.pack(backing.fileno(), 0, info)
        while True:
            device = _free_device()
            holder = os.open(device, os.O_RDWR | os.O_CLOEXEC)
            try:
                fcntl.ioctl(holder, _CONFIGURE, config)
                return holder, device
            except OSError as error:
                os.close(holder)
                if error.errno != errno.EBUSY:  # another process was faster
                    raise


def hold(device: Path, file: Path) -> int | None:
    """Return a descriptor that keeps ``device``; None unless it is a loop device of ``file``."""
    try:
        holder = os.open(device, os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        status = _INFO.unpack(fcntl.ioctl(holder, _GET_STATUS, bytes(_INFO.size)))
    except OSError:
        os.close(holder)
        return None
    backing = file.stat()
    if status[:2] != (backing.st_dev, backing.st_ino):
        os.close(holder)
        return None
    return holder


def resize(holder: int) -> None:
    """Tell a loop device that its file has another size."""
    fcntl.ioctl(holder, _SET_CAPACITY)


def _free_device() -> Path:
    with Path("/dev/loop-control").open("rb") as control:
        return Path(f"/dev/loop{fcntl.ioctl(control, _GET_FREE)}")
