"""Guest images: built in layers from ``integration/elements``, and reused."""

import contextvars
import json
import os
import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from trove.tests.common import content, machine, paths, release
from trove.tests.common.matrix import Target
from trove.tests.harness import building, containers, disks, layers, store
from trove.tests.harness.containers import ContainerImages
from trove.tests.harness.store import Recipe

# Free disk that a build needs at its peak, in GiB.
BUILD_SPACE = 5
_WAY_OUT = ", or load an image that another machine has built: load-trove-image.bash FILE"

# A kernel that the hypervisor starts gets this and nothing else. Without AppArmor
# (which docker would want its tools for) and SELinux; the rest is for speed, above
# all where the processor is emulated: docker's rules wait for RCU over and over again, and
# the kernel would try each of its ciphers before it begins. A kernel that panics starts
# anew, a second later: nobody sits before it.
KERNEL_COMMAND_LINE = (
    "root=/dev/vda console=ttyS0 panic=1 quiet systemd.show_status=error lsm=landlock audit=0 "
    "mitigations=off no_timer_check tsc=reliable init_on_alloc=0 transparent_hugepage=never "
    "rcupdate.rcu_expedited=1 cryptomgr.notests=1 fsck.mode=skip"
)
_UNTUNED_COMMAND_LINE = "root=/dev/vda console=ttyS0 panic=1 apparmor=0"

# Raised when the same layers and elements make another disk, by what is done here.
_REVISION = "1"

_ELEMENTS = ("trove-datastore", "trove-image-manifest", "trove-image-registry")


@dataclass(frozen=True)
class GuestImage:
    """A guest image on disk, complete.

    Attributes:
        key: hash of all that went into it.
        name: a name for people, such as ``mysql-9.7-debian-trixie``.
        disk: the root disk: one file system without partitions, or one that boots by itself.
        disk_format: ``qcow2`` or ``raw``.
        kernel: the kernel to start it with; None where the disk boots by itself.
        ramdisk: the initial RAM disk to start it with, likewise.
        kernel_command_line: what the kernel must be told, in full; empty likewise.
        manifest: what the image is; it says the same of itself inside.
    """

    key: str
    name: str
    disk: Path
    disk_format: str
    kernel: Path | None
    ramdisk: Path | None
    kernel_command_line: str
    manifest: dict[str, Any]


def recipe(target: Target, *, tuned: bool = True) -> Recipe:
    """Return what the disk of one cell of the matrix is made of."""
    elements = _elements(target, tuned)
    inputs = {
        "guest layer": f"#{layers.guest_layer(target.distro, tuned=tuned).key}",
        "container images": f"#{containers.recipe(target.version).key}",
        "elements": " ".join(elements),
        # Not in the disk; but Glance has it beside, and images of one key are one to it.
        "kernel command line": _command_line(tuned),
        "series": release.load().series,
        "way of building": _REVISION,
        **layers.files_of(("trove-layer-guest", "trove-layer", *elements)),
    }
    return Recipe("disk", target.name if tuned else f"{target.name}-untuned", inputs)


def bootable_recipe(target: Target) -> Recipe:
    """Return what the self-booting disk of one cell of the matrix is made of."""
    inputs = {"disk": f"#{recipe(target).key}", "boot loader": disks.BOOT_LOADER}
    return Recipe("bootable disk", target.name, inputs)


def key(target: Target) -> str:
    """Return a hash of all that goes into the image of ``target``."""
    return recipe(target).key


def bootable_key(target: Target) -> str:
    """Return a hash of all that goes into the self-booting image of ``target``."""
    return bootable_recipe(target).key


def ensure_image(target: Target, *, tuned: bool = True, bootable: bool = False) -> GuestImage:
    """Return the image of one cell of the matrix, built if need be.

    Args:
        target: the cell.
        tuned: with the tuning element. Without it a guest boots as any other, and as slowly.
        bootable: with partitions and a boot loader, for clouds that start no kernel themselves.

    Raises:
        ScenarioError: it can't be built here; the text says why.
    """

    def make(folder: Path) -> None:
        _check_machine()
        layers.require_tool(target.distro, tuned=tuned)
        _make(target, folder, tuned=tuned)

    def make_bootable(folder: Path) -> None:
        plain = ensure_image(target)
        command_line, log = plain.kernel_command_line, building.log_of(folder)
        disks.make_bootable(plain.disk, command_line, folder / "disk.qcow2", log)
        (folder / "manifest.json").write_text(json.dumps(plain.manifest, indent=2) + "\n")

    if bootable:
        chosen = bootable_recipe(target)
        folder = store.ensure(chosen, make_bootable)
    else:
        chosen = recipe(target, tuned=tuned)
        folder = store.ensure(chosen, make)
    return GuestImage(
        key=chosen.key,
        name=chosen.name,
        disk=folder / "disk.qcow2",
        disk_format="qcow2",
        kernel=None if bootable else folder / "kernel",
        ramdisk=None if bootable else folder / "ramdisk",
        kernel_command_line="" if bootable else _command_line(tuned),
        manifest=json.loads((folder / "manifest.json").read_text()),
    )


def prepare_machine(targets: Iterable[Target]) -> None:
    """Install what builds need, unless the images of all targets are there already.

    Raises:
        ScenarioError: images can't be built here.
    """
    if not all(recipe(target).folder.is_dir() for target in targets):
        _check_machine()


def recipes(target: Target, *, bootable: bool = False) -> list[Recipe]:
    """Return the recipes of an image and of all it is built on, from the bottom up."""
    return [
        containers.recipe(target.version),
        layers.distro_layer(target.distro),
        layers.guest_layer(target.distro),
        recipe(target),
        *([bootable_recipe(target)] if bootable else []),
    ]


def _elements(target: Target, tuned: bool) -> list[str]:
    # diskimage-builder's own one takes kernel and ramdisk out of the image.
    elements = ["baremetal", *_ELEMENTS]
    if tuned:
        elements.append("trove-image-cleanup")
        if target.version.database.recipe:
            elements.append("trove-prepared-data")
    return elements


def _command_line(tuned: bool) -> str:
    return KERNEL_COMMAND_LINE if tuned else _UNTUNED_COMMAND_LINE


def _manifest(target: Target, images: ContainerImages) -> dict[str, Any]:
    pinned = release.load()
    moment = int(os.environ.get("SOURCE_DATE_EPOCH") or time.time())
    return {
        "series": pinned.series,
        "elements": content.key([paths.ELEMENTS]),
        "agent_version": pinned.trove,
        "datastore": target.datastore.name,
        "datastore_version": target.version.name,
        "distro": target.distro.name,
        "container_images": images.digests,
        "built_at": datetime.fromtimestamp(moment, UTC).isoformat(),
    }


def _check_machine() -> None:
    """Check that an image can be built on this machine, before any work is done."""
    what = "Building a guest image"
    machine.require_root(what, _WAY_OUT)
    # What killed builds left takes room that this one may need.
    store.remove_leftovers()
    machine.require(what, gib=BUILD_SPACE, way_out=_WAY_OUT)
    building.require_mirror()
    machine.install_packages("image")


def _make(target: Target, folder: Path, *, tuned: bool) -> None:
    with ThreadPoolExecutor(1) as aside:
        # In a copy of the context: what is made aside is a part of the same work.
        run = contextvars.copy_context().run
        made = aside.submit(run, containers.ensure_container_images, target.version)
        guest = layers.ensure_guest_layer(target.distro, tuned=tuned)
        images = made.result()
    manifest = folder / "manifest.json"
    manifest.write_text(json.dumps(_manifest(target, images), indent=2) + "\n")
    built = folder / "built"
    built.mkdir()
    environment = {
        "DIB_TROVE_LAYER": str(guest),
        "DIB_TROVE_CONTAINER_IMAGE": str(images.archive),
        "DIB_TROVE_IMAGE_MANIFEST": str(manifest),
    }
    if images.prepared:
        environment["DIB_TROVE_PREPARED_DATA"] = str(images.prepared.archive)
        environment["DIB_TROVE_PREPARED_DATA_PLACE"] = images.prepared.place
    log = building.log_of(folder)
    elements = ["trove-layer-guest", *_elements(target, tuned)]
    layers.create(built, elements, environment, log=log, disk=True)
    disks.compress(built / "image.raw", folder / "disk.qcow2", log)
    (built / "image.vmlinuz").rename(folder / "kernel")
    (built / "image.initrd").rename(folder / "ramdisk")
    building.keep_only(folder, {"disk.qcow2", "kernel", "ramdisk", "manifest.json"})
