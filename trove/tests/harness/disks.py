"""Disks of guest images: compressed, and made to boot by themselves.

Partition table and boot loader are written around a finished root, so neither a loop device
nor the image's own tools are needed.
"""

import os
from pathlib import Path

from trove.tests.common import commands
from trove.tests.common.errors import ScenarioError
from trove.tests.harness import building

# Tells disks that boot this way from those that boot another one.
BOOT_LOADER = "GRUB in front of one partition, 1"

_MIB = 1024**2
# The BIOS runs what is in front of the partition table, and that loads the rest from behind it.
_BOOT_CODE = 440
_SECTOR = 512
_GRUB = Path("/usr/lib/grub/i386-pc")
_MODULES = ("biosdisk", "ext2", "linux", "part_msdos")


def compress(raw: Path, disk: Path, log: Path) -> None:
    """Write a raw disk as a compressed qcow2 one."""
    convert = ["qemu-img", "convert", "-f", "raw", "-O", "qcow2"]
    parallel = ["-m", str(min(16, os.cpu_count() or 1)), "-W"]
    compressed = ["-c", "-o", "compression_type=zstd"]
    commands.run([*convert, *parallel, *compressed, raw, disk], log=log, what="Compressing")


def make_bootable(source: Path, command_line: str, disk: Path, log: Path) -> None:
    """Write a disk with a boot loader and one partition, which is another disk's file system.

    Args:
        source: a disk without partitions; kernel and ramdisk are in its ``/boot``.
        command_line: what the kernel is told where that disk is ``/dev/vda``.
        disk: the file to write, in qcow2.
        log: file for what the tools say.

    Raises:
        ScenarioError: a tool failed, or there is no kernel on the disk.
    """
    root, whole = disk.with_name("root.raw"), disk.with_name("whole.raw")
    convert = ["qemu-img", "convert", "-O", "raw", source, root]
    commands.run(convert, log=log, what=f"Unpacking {source}")
    loader = _boot_loader(command_line, root, log)
    _lay_out(root, whole, log)
    _install(loader, whole)
    compress(whole, disk, log)
    for scratch in (root, whole, loader):
        scratch.unlink()


def _boot_loader(command_line: str, root: Path, log: Path) -> Path:
    """Have GRUB made into one file that starts the disk's kernel and asks nothing."""
    kernel, ramdisk = _newest(root, "vmlinuz-"), _newest(root, "initr")
    arguments = command_line.replace("root=/dev/vda ", "root=/dev/vda1 ")
    script, loader = root.with_name("grub.cfg"), root.with_name("grub.img")
    script.write_text(
        f"set root=(hd0,msdos1)\nlinux /boot/{kernel} {arguments}\ninitrd /boot/{ramdisk}\nboot\n"
    )
    make = ["grub-mkimage", "--format=i386-pc", f"--output={loader}", f"--config={script}"]
    argv = [*make, "--prefix=(hd0,msdos1)/boot/grub", *_MODULES]
    commands.run(argv, log=log, what="Making the boot loader")
    script.unlink()
    return loader


def _newest(root: Path, prefix: str) -> str:
    """Return the name of the last file in /boot that begins so."""
    listing = root.with_name("boot.txt")
    commands.run(["debugfs", "-R", "ls -p /boot", root], log=listing, what="Looking into /boot")
    # Fields stand between slashes, the name in the fifth.
    names = [line.split("/")[5] for line in listing.read_text().splitlines() if line[:1] == "/"]
    listing.unlink()
    found = sorted(name for name in names if name.startswith(prefix))
    if not found:
        raise ScenarioError(f"The image has no /boot/{prefix}*, so it can't be made to boot.")
    return found[-1]


def _lay_out(root: Path, whole: Path, log: Path) -> None:
    size = -(-root.stat().st_size // _MIB) + 1
    with whole.open("wb") as file:
        file.truncate(size * _MIB)
    copy = ["dd", f"if={root}", f"of={whole}", "bs=1M", "seek=1", "conv=sparse,notrunc"]
    commands.run(copy, log=log, what="Copying the root disk")
    table = whole.with_name("table.txt")
    table.write_text("label: dos\nstart=1MiB, type=83, bootable\n")
    argv = ["sh", "-c", 'exec sfdisk --quiet "$1" < "$2"', "sfdisk", whole, table]
    commands.run(argv, log=log, what="Partitioning", env={"PATH": building.search_path()})
    table.unlink()


def _install(loader: Path, whole: Path) -> None:
    with whole.open("r+b") as disk:
        disk.write((_GRUB / "boot.img").read_bytes()[:_BOOT_CODE])
        disk.seek(_SECTOR)
        disk.write(loader.read_bytes())
