"""Container images of a datastore version, made or fetched without a docker daemon."""

import hashlib
import io
import json
import os
import shutil
import tarfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from trove.tests.common import commands, content, paths, release
from trove.tests.common.errors import ScenarioError
from trove.tests.common.matrix import Container, Version
from trove.tests.harness import backup_program, building, debian, guest_agent, store
from trove.tests.harness.store import Recipe

_ARCHIVE, _DIGESTS, _PREPARED = "images.tar", "digests.json", "prepared.tar"

# Raised when the same recipes and packages make other images, by what is done here.
_REVISION = "3"

# The same content makes the same image: no clock goes into it.
_CREATED = "1970-01-01T00:00:00Z"

# What no image needs, as `tar --exclude` takes it.
_LEFT_OUT = (
    "./dev/*",
    "./proc/*",
    "./usr/lib/x86_64-linux-gnu/gconv/*",
    "./usr/share/doc/*",
    "./usr/share/info/*",
    "./usr/share/lintian/*",
    "./usr/share/locale/*",
    "./usr/share/man/*",
    "./var/cache/*",
)

# Without a network or anybody else's shared memory, and with nothing of the caller's time
# zone, language or folders: what a recipe does depends on its packages alone.
_IN_ROOT = """
mount --rbind /dev "$0/dev"
mount -t tmpfs shm "$0/dev/shm"
mount -t proc proc "$0/proc"
exec env -i PATH="$PATH" unshare --net chroot "$@"
"""
_PATH = ["PATH=/usr/sbin:/usr/bin:/sbin:/bin"]


@dataclass(frozen=True)
class PreparedData:
    """The data of a database that nobody has used yet, which spares a guest to make it.

    Attributes:
        archive: a tar file with it.
        place: where the container of the database looks for that, in the guest, too.
    """

    archive: Path
    place: str


@dataclass(frozen=True)
class ContainerImages:
    """The container images of a datastore version, as ``docker load`` takes them.

    Attributes:
        archive: one tar file with all of them, as ``docker save`` writes it.
        digests: name and tag of each to its ID, ``sha256:…``.
        prepared: data that the database can start with; None where it makes its own, as
            in the images of registries.
    """

    archive: Path
    digests: dict[str, str]
    prepared: PreparedData | None


@dataclass(frozen=True)
class _Image:
    """An image in pieces.

    Attributes:
        name: repository and tag.
        config: its configuration, as JSON; the hash of it is the image's ID.
        layers: its layers' tar files, the lowest first, each named by its hash.
    """

    name: str
    config: bytes
    layers: tuple[Path, ...]

    @property
    def digest(self) -> str:
        return hashlib.sha256(self.config).hexdigest()


def recipe(version: Version) -> Recipe:
    """Return what the images of ``version`` are made of."""
    inputs = {}
    for container in version.containers:
        name = version.tagged(container)
        if container.recipe is None:
            inputs[name] = container.digest or f"{container.reference}, whatever that is"
            continue
        inputs[name] = f"suite {container.suite}: {', '.join(container.packages)}"
        for file in _recipe_files(container):
            inputs[f"containers/{container.recipe}/{file.name}"] = store.hashed(file)
    if any(container.recipe for container in version.containers):
        inputs["way of packing"] = _REVISION
    if version.backup and version.backup.recipe:
        inputs["trove"] = release.load().trove
        inputs["constraints"] = store.hashed(release.GUEST_CONSTRAINTS)
    return Recipe("container images", f"{version.database.image}-{version.name}", inputs)


def ensure_container_images(version: Version) -> ContainerImages:
    """Return the container images of a datastore version, made or fetched if need be.

    Raises:
        ScenarioError: they can't be had here, or the suite has another version.
    """
    folder = store.ensure(recipe(version), lambda making: _make(version, making))
    prepared = None
    if version.database.recipe:
        prepared = PreparedData(folder / _PREPARED, _facts(version.database)["prepared"])
    return ContainerImages(folder / _ARCHIVE, json.loads((folder / _DIGESTS).read_text()), prepared)


def _recipe_folder(container: Container) -> Path:
    return paths.CONTAINERS / container.recipe


def _facts(container: Container) -> dict[str, Any]:
    return yaml.safe_load((_recipe_folder(container) / "recipe.yaml").read_text())


def _recipe_files(container: Container) -> list[Path]:
    """Return what goes into an image out of the recipe's folder."""
    return sorted(file for file in _recipe_folder(container).iterdir() if file.suffix != ".rst")


def _make(version: Version, folder: Path) -> None:
    root = folder / "root"
    images: list[_Image] = []
    made: tuple[Path, ...] = ()
    unpacked: set[Path] = set()
    for container in version.containers:
        if container.recipe is None:
            images.append(_fetched(version, container, folder))
        else:
            # The backup's image is the database's and one more layer.
            image = _image_of_packages(version, container, root, made, unpacked)
            made = image.layers
            images.append(image)
    if version.database.recipe:
        # Last, and in no image: no two times is it the same.
        _prepare(version, root, folder / _PREPARED)
    _pack(images, folder / _ARCHIVE)
    digests = {image.name: f"sha256:{image.digest}" for image in images}
    (folder / _DIGESTS).write_text(json.dumps(digests, indent=2) + "\n")
    building.keep_only(folder, {_ARCHIVE, _DIGESTS, _PREPARED})


def _image_of_packages(
    version: Version,
    container: Container,
    root: Path,
    below: tuple[Path, ...],
    unpacked: set[Path],
) -> _Image:
    """Make an image in ``root``, which holds what is in the layers below.

    Args:
        version: the version that the image is of.
        container: which of its images.
        root: folder to unpack in.
        below: layers that were made from the same folder.
        unpacked: package files in it; those that this image needs beside are added.
    """
    name = version.tagged(container)
    log = building.log_of(root.parent)
    recipe = _facts(container)
    wanted = [*recipe["packages"], *container.packages]
    packages = debian.ensure_packages(container.suite, wanted, log=log)
    debian.unpack([file for file in packages if file not in unpacked], root, log=log)
    unpacked.update(packages)
    if container is version.backup:
        _add_backup_program(root)
    _initialise(version, container, root, log)
    layer = _pack_layer(root, below[-1] if below else None, recipe["exclude"], log, name)
    layers = (*below, layer)
    config = {
        "architecture": "amd64",
        "os": "linux",
        "created": _CREATED,
        "config": recipe["config"] | {"Env": _environment(recipe)},
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{layer.stem}" for layer in layers]},
    }
    return _Image(name, json.dumps(config, sort_keys=True).encode(), layers)


def _environment(recipe: dict[str, Any]) -> list[str]:
    """Return the variables of an image, as ``NAME=value``."""
    prepared = [f"PREPARED_DATA={recipe['prepared']}"] if "prepared" in recipe else []
    return [*recipe["config"]["Env"], *prepared]


def _add_backup_program(root: Path) -> None:
    python = min(root.glob("usr/bin/python3.[0-9]*")).name.removeprefix("python")
    program = backup_program.ensure_backup_program(python)
    shutil.copytree(program, root / "opt/trove", dirs_exist_ok=True)


def _initialise(version: Version, container: Container, root: Path, log: Path) -> None:
    """Have the recipe finish the root folder, and say which version is in it."""
    name = version.tagged(container)
    for file in _recipe_files(container):
        if file.name not in ("initialise", "recipe.yaml"):
            shutil.copy(file, root / "usr/bin" / file.name)
    shutil.copy(_recipe_folder(container) / "initialise", root / "initialise")
    what = f"Finishing the content of {name}"
    _run_in(root, ["/initialise"], environment=_PATH, log=log, what=what)
    (root / "initialise").unlink()
    found = (root / "VERSION").read_text().strip()
    (root / "VERSION").unlink()
    if not f"{found}.".startswith(f"{version.name}."):
        raise ScenarioError(
            f"Debian {container.suite} has {container.image} {found} now, "
            f"not {version.name}: change the suite or the version in integration/datastores.yaml."
        )


def _prepare(version: Version, root: Path, archive: Path) -> None:
    """Have the database, unpacked in ``root``, make the data that a new instance starts with."""
    name, log = version.tagged(version.database), building.log_of(root.parent)
    data, user = root / "prepared", guest_agent.USER_ID
    data.mkdir()
    os.chown(data, user, user)
    environment, what = _environment(_facts(version.database)), f"Preparing data for {name}"
    argv = ["prepare", f"/{data.name}"]
    _run_in(root, argv, environment=environment, user=user, log=log, what=what)
    # Most of it is zeros: as holes, they need not be written on a first start. tar looks for
    # them where a file has some already.
    what, with_holes = f"Packing data for {name}", data.with_suffix(".sparse")
    commands.run(["cp", "--archive", "--sparse=always", data, with_holes], log=log, what=what)
    argv = ["tar", "--create", "--sparse", f"--file={archive}", f"--directory={with_holes}", "."]
    commands.run(argv, log=log, what=what)


def _run_in(
    root: Path,
    argv: Sequence[str],
    *,
    environment: Sequence[str],
    user: int = 0,
    log: Path,
    what: str,
) -> None:
    """Run a program in ``root``, with the usual file systems there and these variables alone."""
    program = [f"--userspec={user}:{user}", root, "env", "-i", *environment, *argv]
    script = building.isolated(["sh", "-eu", "-c", _IN_ROOT, root, *program])
    commands.run(script, log=log, what=what, env={"PATH": building.search_path()}, timeout=300)


def _pack_layer(
    root: Path, below: Path | None, excluded: Sequence[str], log: Path, name: str
) -> Path:
    """Write what is in ``root`` and not in the layers below; return the tar file."""
    names = root.with_name("names")
    names.write_bytes(b"\0".join(os.fsencode(entry) for entry in _changed(root, below)))
    layer = root.with_name("layer")
    stable = ["--no-recursion", "--mtime=@0", "--numeric-owner"]
    left_out = [f"--exclude={pattern}" for pattern in (*_LEFT_OUT, *excluded)]
    chosen = ["--null", "--verbatim-files-from", f"--files-from={names}"]
    argv = ["tar", "--create", f"--file={layer}", f"--directory={root}", *stable, *left_out]
    commands.run([*argv, *chosen], log=log, what=f"Packing {name}")
    return layer.rename(layer.with_name(f"{content.digest(layer)}.tar"))


def _changed(root: Path, below: Path | None) -> list[str]:
    """Return the paths in ``root`` that are newer than the layer below was written."""
    since = below.stat().st_mtime_ns if below else 0
    changed = (path for path in (root, *root.rglob("*")) if path.lstat().st_ctime_ns > since)
    return sorted("." if path == root else f"./{path.relative_to(root)}" for path in changed)


def _fetched(version: Version, container: Container, folder: Path) -> _Image:
    """Fetch an image from its registry, as skopeo is set up for it on this machine."""
    name = version.tagged(container)
    log = building.log_of(folder)
    repository, _, _tag = container.reference.rpartition(":")
    source = f"{repository}@{container.digest}" if container.digest else container.reference
    archive = folder / f"{container.image.replace('/', '-')}.fetched.tar"
    platform = ["--override-os=linux", "--override-arch=amd64"]
    try:
        commands.run(
            ["skopeo", *platform, "copy", f"docker://{source}", f"docker-archive:{archive}:{name}"],
            log=log,
            what=f"Fetching {source}",
        )
    except ScenarioError as error:
        raise ScenarioError(
            f"The container image {container.reference} can't be fetched from its registry: set "
            "up a registry or a mirror of it for skopeo (registries.conf), or take a version that "
            f"integration/datastores.yaml makes from Debian's packages. {error}"
        ) from None
    return _unpacked_image(name, archive)


def _unpacked_image(name: str, archive: Path) -> _Image:
    """Take the one image of an archive apart."""
    with tarfile.open(archive) as packed:
        (entry,) = json.load(packed.extractfile("manifest.json"))
        config = packed.extractfile(entry["Config"]).read()
        layers = []
        for layer in entry["Layers"]:
            file = archive.with_name("layer")
            with packed.extractfile(layer) as inside, file.open("wb") as outside:
                shutil.copyfileobj(inside, outside, 1024**2)
            layers.append(file.rename(file.with_name(f"{content.digest(file)}.tar")))
    archive.unlink()
    return _Image(name, config, tuple(layers))


def _pack(images: Iterable[_Image], archive: Path) -> None:
    """Write one archive of several images; a layer that they share is in it once."""
    index = [
        {
            "Config": f"{image.digest}.json",
            "RepoTags": [image.name],
            "Layers": [layer.name for layer in image.layers],
        }
        for image in images
    ]
    with tarfile.open(archive, "w") as packed:
        _add(packed, "manifest.json", json.dumps(index).encode())
        for image in images:
            _add(packed, f"{image.digest}.json", image.config)
        for layer in dict.fromkeys(layer for image in images for layer in image.layers):
            entry = tarfile.TarInfo(layer.name)
            entry.size = layer.stat().st_size
            with layer.open("rb") as file:
                packed.addfile(entry, file)


def _add(archive: tarfile.TarFile, name: str, data: bytes) -> None:
    entry = tarfile.TarInfo(name)
    entry.size = len(data)
    archive.addfile(entry, io.BytesIO(data))
