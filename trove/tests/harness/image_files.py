"""Guest images as files that people hand on: a disk, and beside it what it needs and what it is."""

import json
import os
import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from email.utils import formatdate, parsedate_to_datetime
from http import HTTPStatus
from pathlib import Path, PurePosixPath
from urllib.parse import urlsplit, urlunsplit

import requests

from trove.tests.common import commands, content, paths, progress
from trove.tests.common.errors import ScenarioError
from trove.tests.harness.images import GuestImage

FORMATS = ("qcow2", "raw")

_PATIENCE = 60  # seconds without a byte, after which a download has failed
_CHUNK = 1 << 20
_QCOW2 = b"QFI\xfb"
# Where a raw disk says that it has partitions, and where that it is an ext file system.
_PARTITIONED = (510, b"\x55\xaa")
_EXT = (0x438, b"\x53\xef")


@dataclass(frozen=True)
class _Beside:
    """The files beside a disk, named as diskimage-builder names them.

    They have its name without the format; of ``mariadb-11.8`` no version is cut off.
    """

    kernel: Path
    ramdisk: Path
    manifest: Path

    @classmethod
    def of(cls, disk: Path) -> "_Beside":
        stem = _stem(disk)
        return cls(
            disk.with_name(f"{stem}.vmlinuz"),
            disk.with_name(f"{stem}.initrd"),
            disk.with_name(f"{stem}.manifest.json"),
        )


def _stem(disk: Path) -> str:
    return disk.stem if disk.suffix.removeprefix(".") in FORMATS else disk.name


def check_output(output: Path, disk_format: str) -> None:
    """Check that an image can be written there, before it is built.

    Raises:
        ScenarioError: it is a folder, there is none to write it to, the name means another
            format, or another disk has the files that would be beside this one.
    """
    if output.is_dir():
        raise ScenarioError(f"{output} is a folder: name a file in it.")
    if not output.resolve().parent.is_dir():
        raise ScenarioError(f"There is no folder {output.parent} to write {output.name} to.")
    if not os.access(output.parent, os.W_OK | os.X_OK):
        raise ScenarioError(
            f"The folder {output.parent} can't be written to: name a file in another one."
        )
    suffix = output.suffix.removeprefix(".")
    if suffix in FORMATS and suffix != disk_format:
        raise ScenarioError(
            f"{output.name} would be of format {disk_format}: name it *.{disk_format}, "
            f"or ask for --format {suffix}."
        )
    if other := _sharer(output):
        raise ScenarioError(
            f"{output.name} would have the same {_Beside.of(output).manifest.name} as {other}, "
            "which is there: name it otherwise, or remove that."
        )


def _sharer(disk: Path) -> Path | None:
    """Return another disk that is there and has the same files beside it, if any."""
    stem = _stem(disk)
    names = [stem, *(f"{stem}.{each}" for each in FORMATS)]
    others = (disk.with_name(name) for name in names if name != disk.name)
    return next((other for other in others if other.is_file()), None)


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


def download(url: str) -> Path:
    """Fetch an image, with the files beside it, and return its disk.

    It is kept, and fetched again when it has changed. Of one without a manifest beside
    it, which comes from elsewhere, the disk is all there is.

    Raises:
        ScenarioError: it can't be fetched, or what is there is no disk image.
    """
    name = PurePosixPath(urlsplit(url).path).name
    if not url.startswith(("http://", "https://")) or not name:
        raise ScenarioError(f"{url} is no address of an image: http(s)://HOST/FOLDER/FILE.")
    disk = paths.downloads() / content.key([url]) / name
    disk.parent.mkdir(parents=True, exist_ok=True)
    beside = _Beside.of(disk)
    if not _fetch(url, disk, is_disk=True):
        raise ScenarioError(f"{_shown(url)} can't be fetched: there is no such file.")
    if _fetch(_sibling(url, beside.manifest), beside.manifest):
        for file in (beside.kernel, beside.ramdisk):
            _fetch(_sibling(url, file), file)
    return disk


def _fetch(url: str, file: Path, *, is_disk: bool = False) -> bool:
    """Fetch a file unless it is here and unchanged; return whether there is one."""
    headers = {}
    if file.exists():
        headers["If-Modified-Since"] = formatdate(file.stat().st_mtime, usegmt=True)
    try:
        with requests.get(url, headers=headers, stream=True, timeout=_PATIENCE) as response:
            if response.status_code == HTTPStatus.NOT_FOUND:
                file.unlink(missing_ok=True)
            elif response.status_code != HTTPStatus.NOT_MODIFIED:
                response.raise_for_status()
                with progress.step(f"download {file.name}"):
                    _receive(response, file, is_disk)
    except OSError as error:
        failed = getattr(error, "response", None)
        reason = f"HTTP {failed.status_code}" if failed is not None else type(error).__name__
        raise ScenarioError(f"{_shown(url)} can't be fetched: {reason}.") from None
    return file.exists()


def _receive(response: requests.Response, file: Path, is_disk: bool) -> None:
    chunks = response.iter_content(_CHUNK)
    first = next(chunks, b"")
    if is_disk:
        # Of what is none, the rest isn't wanted.
        _format_of(first, _shown(response.url))
    with _whole(file) as part, part.open("wb") as out:
        out.write(first)
        for chunk in chunks:
            out.write(chunk)
    if changed := response.headers.get("Last-Modified"):
        moment = parsedate_to_datetime(changed).timestamp()
        os.utime(file, (moment, moment))


def _sibling(url: str, file: Path) -> str:
    place = urlsplit(url)
    path = PurePosixPath(place.path).with_name(file.name)
    return urlunsplit(place._replace(path=str(path)))


def _shown(url: str) -> str:
    """Return an address without what may be secret in it."""
    place = urlsplit(url)
    return urlunsplit(place._replace(netloc=place.netloc.rpartition("@")[2], query=""))


def _format(disk: Path) -> str:
    try:
        with disk.open("rb") as file:
            return _format_of(file.read(_CHUNK), disk)
    except OSError as error:
        raise ScenarioError(f"{disk} can't be read: {error.strerror}.") from None


def _format_of(head: bytes, what: object) -> str:
    """Return the format of a disk that begins like that."""
    if head.startswith(_QCOW2):
        return "qcow2"
    if any(head[place : place + 2] == mark for place, mark in (_PARTITIONED, _EXT)):
        return "raw"
    raise ScenarioError(f"{what} is no disk image: neither qcow2 nor a raw disk.")


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
