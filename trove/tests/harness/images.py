"""Guest images: built by diskimage-builder from ``integration/elements``, and reused."""

import importlib.metadata
import json
import os
import shutil
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import uv

from trove.tests.common import commands, content, machine, paths, progress, registries, release
from trove.tests.harness import building, containers
from trove.tests.harness.matrix import Target

# Free disk that a build needs at its peak, in GiB.
BUILD_SPACE = 4

# Program that a build calls to the Debian package that has it.

# A kernel that the hypervisor starts gets this and nothing else. Without AppArmor
# (which docker would want its tools for) and SELinux; the rest is for speed, above
# all where the processor is emulated.
KERNEL_COMMAND_LINE = (
    "root=/dev/vda console=ttyS0 quiet systemd.show_status=error lsm=landlock audit=0 "
    "mitigations=off no_timer_check tsc=reliable init_on_alloc=0 fsck.mode=skip"
)

ELEMENTS = (
    "baremetal",
    "trove-container-runtime",
    "trove-datastore",
    "trove-guest-agent",
    "trove-guest-container",
    "trove-guest-tuning",
    "trove-image-manifest",
    "trove-image-registry",
)


@dataclass(frozen=True)
class GuestImage:
    """A guest image on disk, complete.

    Attributes:
        key: hash of all that went into it.
        name: a name for people, such as ``mysql-9.7-debian-trixie``.
        disk: the root disk: one file system, no partitions.
        disk_format: ``qcow2`` or ``raw``.
        kernel: the kernel to start it with.
        ramdisk: the initial RAM disk to start it with.
        kernel_command_line: what the kernel must be told, in full.
        manifest: what the image is; it says the same of itself inside.
    """

    key: str
    name: str
    disk: Path
    disk_format: str
    kernel: Path
    ramdisk: Path
    kernel_command_line: str
    manifest: dict[str, Any]


def key(target: Target) -> str:
    """Return a hash of all that goes into the image of ``target``."""
    return content.key(
        [
            json.dumps(_facts(target), sort_keys=True),
            containers.key(target.version),
            importlib.metadata.version("diskimage-builder"),
            paths.ELEMENTS,
            paths.RELEASE / "release.yaml",
            release.CONSTRAINTS,
            Path(__file__),
        ]
    )


def ensure_image(target: Target) -> GuestImage:
    """Return the image of one cell of the matrix, built if need be.

    Raises:
        ScenarioError: it can't be built here; the text says why.
    """

    def make(folder: Path) -> None:
        _check_machine()
        with progress.step(f"guest image {target.name}"):
            _make(target, folder)

    folder = paths.images() / key(target)
    if folder.is_dir():
        progress.say(f"guest image {target.name}: reused ({folder})")
    building.made_once(folder, make)
    return GuestImage(
        key=folder.name,
        name=target.name,
        disk=folder / "disk.qcow2",
        disk_format="qcow2",
        kernel=folder / "kernel",
        ramdisk=folder / "ramdisk",
        kernel_command_line=KERNEL_COMMAND_LINE,
        manifest=json.loads((folder / "manifest.json").read_text()),
    )


def _facts(target: Target) -> dict[str, Any]:
    """Return what an image says of itself and can be said before it is built."""
    pinned = release.load()
    return {
        "series": pinned.series,
        "elements": content.key([paths.ELEMENTS]),
        "agent_version": pinned.trove,
        "datastore": target.datastore.name,
        "datastore_version": target.version.name,
        "distro": asdict(target.distro),
    }


def _check_machine() -> None:
    """Check that an image can be built on this machine, before any work is done."""
    machine.require("Building a guest image", gib=BUILD_SPACE)
    building.require_mirror()
    machine.install_packages("image")


def _make(target: Target, folder: Path) -> None:
    container = containers.ensure_container_images(target.version)
    manifest = folder / "manifest.json"
    facts = {**_facts(target), "container_images": container.digests}
    manifest.write_text(json.dumps(facts, indent=2) + "\n")
    log = building.log_of(folder)
    with progress.step(f"disk image {target.name} (log: {log})"):
        _build_disk(target, container, manifest, folder, log)
    with progress.step(f"compression of {target.name}"):
        _compress(folder / "image.raw", folder / "disk.qcow2", log)
    (folder / "image.vmlinuz").rename(folder / "kernel")
    (folder / "image.initrd").rename(folder / "ramdisk")
    _keep_only(folder, {"disk.qcow2", "kernel", "ramdisk", "manifest.json"})


def _build_disk(
    target: Target,
    container: containers.ContainerImages,
    manifest: Path,
    folder: Path,
    log: Path,
) -> None:
    """Have diskimage-builder write ``image.raw``, ``image.vmlinuz`` and ``image.initrd``."""
    programs = Path(sys.executable).parent
    scratch = folder / "scratch"
    scratch.mkdir()
    registry = registries.uv_environment()
    environment = {
        **registry,
        "PATH": f"{programs}:{building.search_path()}",
        "TMP_DIR": str(scratch),
        "ELEMENTS_PATH": str(paths.ELEMENTS),
        "DIB_RELEASE": target.distro.release,
        "DIB_DISTRIBUTION_MIRROR": building.require_mirror(),
        "DIB_APT_MINIMAL_CREATE_INTERFACES": "0",
        "DIB_IMAGE_CACHE": str(scratch),
        "DIB_LOCKFILES": str(scratch),
        "DIB_NO_TMPFS": "1",
        "DIB_JOURNAL_SIZE": "32",
        "DIB_TROVE_AGENT_CONSTRAINTS": str(release.CONSTRAINTS),
        "DIB_TROVE_AGENT_VERSION": release.load().trove,
        "DIB_TROVE_CONTAINER_IMAGE": str(container.archive),
        "DIB_TROVE_IMAGE_MANIFEST": str(manifest),
        "DIB_TROVE_LOCAL_REGISTRIES": " ".join(_local_folders(registry)),
        "DIB_TROVE_UV": uv.find_uv_bin(),
    }
    if security := registries.debian_mirrors().get("security"):
        environment["DIB_DEBIAN_SECURITY_MIRROR"] = security
    output = ["-a", "amd64", "-t", "raw", "-o", folder / "image"]
    create = [programs / "disk-image-create", "-n", *output, target.distro.element, *ELEMENTS]
    commands.run(
        building.isolated(create), log=log, what=f"Building {target.name}", env=environment
    )


def _local_folders(registry: dict[str, str]) -> list[str]:
    """Return the folders of this machine that package indexes are in.

    An index links to files beside it, so it is the folder around it that counts.
    """
    indexes = f"{registry.get('UV_DEFAULT_INDEX', '')} {registry.get('UV_INDEX', '')}".split()
    around = [str(Path(index.removeprefix("file://")).parent) for index in indexes]
    links = [link.removeprefix("file://") for link in registry.get("UV_FIND_LINKS", "").split()]
    return sorted({folder for folder in around + links if Path(folder).is_dir()})


def _compress(raw: Path, disk: Path, log: Path) -> None:
    convert = ["qemu-img", "convert", "-f", "raw", "-O", "qcow2"]
    parallel = ["-m", str(min(16, os.cpu_count() or 1)), "-W"]
    compressed = ["-c", "-o", "compression_type=zstd"]
    commands.run([*convert, *parallel, *compressed, raw, disk], log=log, what="Compressing")


def _keep_only(folder: Path, names: set[str]) -> None:
    for entry in folder.iterdir():
        if entry.name in names:
            continue
        if entry.is_dir():
            shutil.rmtree(entry)
        else:
            entry.unlink()
