"""Container images of the databases, made from Debian's packages without a docker daemon."""

import hashlib
import io
import json
import shutil
import tarfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import yaml

from trove.tests.common import commands, content, paths, progress
from trove.tests.common.errors import ScenarioError
from trove.tests.common.matrix import Version
from trove.tests.harness import building

KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")

# The same content makes the same image: no clock goes into it.
_CREATED = "1970-01-01T00:00:00Z"

_INITIALISE = """
mount --rbind /dev "$0/dev"
mount -t proc proc "$0/proc"
exec chroot "$0" /initialise
"""


@dataclass(frozen=True)
class ContainerImage:
    """An image as ``docker load`` takes it.

    Attributes:
        name: repository and tag.
        digest: the image's ID, ``sha256:…``.
        archive: the tar file.
    """

    name: str
    digest: str
    archive: Path


def recipe_folder(version: Version) -> Path:
    """Return the folder that says how the image of ``version`` is made."""
    return paths.CONTAINERS / version.database.recipe


def key(version: Version) -> str:
    """Return a hash of all that goes into the image of ``version``."""
    facts = {"name": version.tagged(version.database), **asdict(version.database)}
    return content.key([json.dumps(facts, sort_keys=True), recipe_folder(version), Path(__file__)])


def ensure_container_image(version: Version) -> ContainerImage:
    """Return the container image of a datastore version, made if need be.

    Raises:
        ScenarioError: it can't be made here, or the suite has another version.
    """

    def make(folder: Path) -> None:
        with progress.step(f"container image {version.tagged(version.database)}"):
            _make(version, folder)

    folder = paths.images() / "containers" / key(version)
    building.made_once(folder, make)
    facts = json.loads((folder / "image.json").read_text())
    return ContainerImage(facts["name"], facts["digest"], folder / "image.tar")


def _make(version: Version, folder: Path) -> None:
    recipe = yaml.safe_load((recipe_folder(version) / "recipe.yaml").read_text())
    root = folder / "root"
    log = building.log_of(folder)
    packages = _download(version, recipe["packages"], folder / "apt", log)
    _unpack(packages, root, log)
    _initialise(version, root, log)
    digest = _pack(version.tagged(version.database), recipe, root, folder, log)
    shutil.rmtree(root)
    shutil.rmtree(folder / "apt")
    facts = {"name": version.tagged(version.database), "digest": digest}
    (folder / "image.json").write_text(json.dumps(facts))


def _download(version: Version, tools: list[str], folder: Path, log: Path) -> list[Path]:
    """Have apt pick and fetch packages and all they depend on, as if none were installed."""
    archives = folder / "archives"
    for needed in (folder / "lists" / "partial", archives / "partial"):
        needed.mkdir(parents=True)
    (folder / "status").touch()
    mirror = building.require_mirror()
    sources = folder / "sources.list"
    sources.write_text(f"deb [signed-by={KEYRING}] {mirror} {version.database.suite} main\n")
    settings = {
        "Dir::Etc::SourceList": sources,
        "Dir::Etc::SourceParts": "/dev/null",
        "Dir::Etc::Preferences": "/dev/null",
        "Dir::Etc::PreferencesParts": "/dev/null",
        "Dir::State": folder,
        "Dir::State::Lists": folder / "lists",
        "Dir::State::Status": folder / "status",
        "Dir::Cache": folder,
        "Dir::Cache::Archives": archives,
        "APT::Sandbox::User": "root",
        "APT::Install-Recommends": "false",
        "Acquire::Languages": "none",
        "Debug::NoLocking": "true",
    }
    apt = ["apt-get", "--quiet", *(f"--option={name}={value}" for name, value in settings.items())]
    what = f"Fetching the packages of {version.tagged(version.database)}"
    commands.run([*apt, "update"], log=log, what=what)
    wanted = [*tools, *version.database.packages]
    install = ["install", "--yes", "--download-only", *wanted]
    commands.run([*apt, *install], log=log, what=what)
    return sorted(archives.glob("*.deb"))


def _unpack(packages: list[Path], root: Path, log: Path) -> None:
    def unpack(package: Path) -> None:
        commands.run(["dpkg-deb", "--extract", package, root], log=log, what="Unpacking a package")

    # base-files has the links of / into /usr, which the others need to be there.
    packages = sorted(packages, key=lambda package: not package.name.startswith("base-files_"))
    unpack(packages[0])
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(unpack, packages[1:]))


def _initialise(version: Version, root: Path, log: Path) -> None:
    shutil.copy(recipe_folder(version) / "entrypoint", root / "usr/bin/entrypoint")
    shutil.copy(recipe_folder(version) / "initialise", root / "initialise")
    what = f"Preparing the data directory of {version.tagged(version.database)}"
    argv = ["sh", "-eu", "-c", _INITIALISE, root]
    environment = {"PATH": building.search_path()}
    commands.run(building.isolated(argv), log=log, what=what, env=environment, timeout=300)
    (root / "initialise").unlink()
    found = (root / "VERSION").read_text().strip()
    (root / "VERSION").unlink()
    if not f"{found}.".startswith(f"{version.name}."):
        raise ScenarioError(
            f"Debian {version.database.suite} has {version.database.image} {found} now, "
            f"not {version.name}: change the suite or the version in integration/datastores.yaml."
        )


def _pack(name: str, recipe: dict[str, Any], root: Path, folder: Path, log: Path) -> str:
    """Write ``image.tar`` as ``docker save`` would; return the image's ID."""
    layer = folder / "layer.tar"
    stable = ["--sort=name", "--mtime=@0", "--numeric-owner", "--sparse"]
    left_out = [f"--exclude={pattern}" for pattern in (*recipe["exclude"], "./dev/*", "./proc/*")]
    argv = ["tar", "--create", f"--file={layer}", f"--directory={root}", *stable, *left_out, "."]
    commands.run(argv, log=log, what=f"Packing {name}")
    with layer.open("rb") as content:
        layer_digest = hashlib.file_digest(content, "sha256").hexdigest()
    config = json.dumps(
        {
            "architecture": "amd64",
            "os": "linux",
            "created": _CREATED,
            "config": recipe["config"],
            "rootfs": {"type": "layers", "diff_ids": [f"sha256:{layer_digest}"]},
        },
        sort_keys=True,
    ).encode()
    digest = hashlib.sha256(config).hexdigest()
    index = [{"Config": f"{digest}.json", "RepoTags": [name], "Layers": [f"{layer_digest}.tar"]}]
    with tarfile.open(folder / "image.tar", "w") as image:
        _add(image, f"{digest}.json", config)
        _add(image, "manifest.json", json.dumps(index).encode())
        image.add(layer, arcname=f"{layer_digest}.tar")
    layer.unlink()
    return f"sha256:{digest}"


def _add(image: tarfile.TarFile, name: str, content: bytes) -> None:
    entry = tarfile.TarInfo(name)
    entry.size = len(content)
    image.addfile(entry, io.BytesIO(content))


# shim
from trove.tests.harness import store


@dataclass(frozen=True)
class ContainerImages:
    archive: Path
    digests: dict[str, str]


def recipe(version: Version) -> store.Recipe:
    return store.Recipe(
        "container images", version.database.image + "-" + version.name, {"all": "#" + key(version)}
    )


def ensure_container_images(version: Version) -> ContainerImages:
    image = ensure_container_image(version)
    return ContainerImages(image.archive, {image.name: image.digest})
