"""Guest images as files that people hand on: a disk, and beside it what it needs and what it is."""

import json
import os
import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from trove.tests.common import commands, content, paths
from trove.tests.common.errors import ScenarioError
from trove.tests.harness.images import GuestImage

FORMATS = ("qcow2", "raw")

_QCOW2 = b"QFI\xfb"
# Where a raw disk says that it has partitions, and where that it is an ext file system.
_PARTITIONED = (510, b"\x55\xaa")
_EXT = (0x438, b"\x53\xef")


@dataclass(frozen=True)
class _Beside:
    """The files beside a disk, named as diskimage-builder names them."""

    kernel: Path
    ramdisk: Path
    manifest: Path

    @classmethod
    def of(cls, disk: Path) -> "_Beside":
        return cls(
            disk.with_suffix(".vmlinuz"),
            disk.with_suffix(".initrd"),
            disk.with_suffix(".manifest.json"),
        )


def check_output(output: Path, disk_format: str) -> None:
    """Check that an image can be written there, before it is built.

    Raises:
        ScenarioError: there is no such folder, or the name means another format.
    """
    if not output.resolve().parent.is_dir():
        raise ScenarioError(f"There is no folder {output.parent} to write {output.name} to.")
    suffix = output.suffix.removeprefix(".")
    if suffix in FORMATS and suffix != disk_format:
        raise ScenarioError(
            f"{output.name} would be of format {disk_format}: name it *.{disk_format}, "
            f"or ask for --format {suffix}."
        )


def write(image: GuestImage, output: Path, disk_format: str) -> GuestImage:
    """Write an image with what belongs to it, and return it as it is there.

    Raises:
        ScenarioError: it can't be written; the text says why.
    """
    check_output(output, disk_format)
    beside = _Beside.of(output)
    facts = {
        "key": image.key,
        "name": image.name,
        "kernel_command_line": image.kernel_command_line,
        "manifest": image.manifest,
    }
    try:
        # Each gets its name when all are complete, the disk last.
        with ExitStack() as whole:
            _write_disk(image, whole.enter_context(_whole(output)), disk_format)
            for source, target in ((image.kernel, beside.kernel), (image.ramdisk, beside.ramdisk)):
                if source is not None:
                    shutil.copyfile(source, whole.enter_context(_whole(target)))
            manifest = whole.enter_context(_whole(beside.manifest))
            manifest.write_text(json.dumps(facts, indent=2) + "\n")
    except OSError as error:
        raise ScenarioError(f"{output} can't be written: {error.strerror}.") from None
    return read(output)


def read(disk: Path) -> GuestImage:
    """Return the image in a file.

    Of a disk that comes from elsewhere, and has no manifest beside it, nothing is known
    but its content: the manifest is empty then.

    Raises:
        ScenarioError: there is no such file, it is no disk image, or one beside it is missing.
    """
    disk_format = _format(disk)
    beside = _Beside.of(disk)
    if not beside.manifest.exists():
        return GuestImage(
            key=content.digest(disk)[:20],
            name=disk.stem,
            disk=disk,
            disk_format=disk_format,
            kernel=None,
            ramdisk=None,
            kernel_command_line="",
            manifest={},
        )
    try:
        facts = json.loads(beside.manifest.read_text())
        image = GuestImage(**facts, disk=disk, disk_format=disk_format, kernel=None, ramdisk=None)
    except (ValueError, TypeError):
        raise ScenarioError(f"{beside.manifest} is no manifest of a guest image.") from None
    if not image.kernel_command_line:
        return image
    for file in (beside.kernel, beside.ramdisk):
        if not file.exists():
            raise ScenarioError(f"{disk} needs {file.name} beside it to boot, and it is missing.")
    return replace(image, kernel=beside.kernel, ramdisk=beside.ramdisk)


def _format(disk: Path) -> str:
    try:
        with disk.open("rb") as file:
            head = file.read(_EXT[0] + 2)
    except OSError as error:
        raise ScenarioError(f"{disk} can't be read: {error.strerror}.") from None
    if head.startswith(_QCOW2):
        return "qcow2"
    if any(head[place : place + 2] == mark for place, mark in (_PARTITIONED, _EXT)):
        return "raw"
    raise ScenarioError(f"{disk} is no disk image: neither qcow2 nor a raw disk.")


def _write_disk(image: GuestImage, part: Path, disk_format: str) -> None:
    if image.disk_format == disk_format:
        shutil.copyfile(image.disk, part)
        return
    log = paths.home() / "logs" / "convert.log"
    convert = ["qemu-img", "convert", "-O", disk_format, image.disk, part]
    commands.run(convert, log=log, what=f"Converting {image.name} to {disk_format}")


@contextmanager
def _whole(path: Path) -> Iterator[Path]:
    """Have a file written under another name, which it loses when it is complete."""
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        yield part
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
