"""The layers that guest images are built in by diskimage-builder, each on the one below.

A distribution with all packages that a guest needs; then the guest, which is everything
but a database. Both serve every datastore, and what changes rebuilds what lies above it.
"""

import importlib.metadata
import json
import os
import shutil
import sys
import urllib.error
import urllib.request
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import uv
import yaml

from trove.tests.common import commands, paths, registries, release
from trove.tests.common.errors import ScenarioError
from trove.tests.common.matrix import Distro
from trove.tests.harness import building, store
from trove.tests.harness.store import Recipe

# Without this one guests boot slowly; measured against the others by bench.
TUNING = "trove-guest-tuning"
_KERNEL = "trove-guest-kernel"
_CLOUD_INIT = "trove-cloud-init"

_GUEST = (
    *("trove-container-runtime", "trove-guest-agent", "trove-guest-container"),
    *("trove-guest-network", "trove-guest-ssh", TUNING),
)
# What a layer further up has of packages is installed with the distribution, too.
_WITH_PACKAGES = (*_GUEST, "trove-datastore", "trove-image-registry")

# Raised when the same elements make another image, by what is done here.
_REVISION = "1"

# Variables of the elements by which users may have other software in a layer.
_DISTRO_CHOICES = ("DIB_UBUNTU_KERNEL",)
_GUEST_CHOICES = ("DIB_TROVE_AGENT_PYTHON",)

_DEBIAN = "debian-minimal"


@dataclass(frozen=True)
class _Tool:
    """What diskimage-builder wants of this machine for a distribution.

    Attributes:
        name: a program, or a file.
        variable: diskimage-builder's, that names another.
        package: where Debian has it.
    """

    name: str
    variable: str
    package: str


_PODMAN = _Tool("podman", "DIB_CONTAINERFILE_RUNTIME", "podman")
_TOOLS = {
    "rocky-container": _PODMAN,
    "trove-fedora": _PODMAN,
    "ubuntu-minimal": _Tool(
        "/usr/share/keyrings/ubuntu-archive-keyring.gpg",
        "DIB_APT_KEYRING",
        "ubuntu-keyring, since Debian 13",
    ),
}

_ROOT = "root.tar.zst"


def distro_layer(distro: Distro, *, tuned: bool = True) -> Recipe:
    """Return the recipe of a distribution with all packages of a guest."""
    elements = _distro_elements(distro, tuned)
    inputs = {
        "distribution": " ".join(asdict(distro).values()),
        "elements": " ".join(elements),
        "packages": json.dumps(_packages(), sort_keys=True),
        **_chosen(_DISTRO_CHOICES),
        **_builder(),
        **files_of(elements),
    }
    return Recipe("distro layer", _name(distro, tuned), inputs)


def guest_layer(distro: Distro, *, tuned: bool = True) -> Recipe:
    """Return the recipe of a guest that has no database yet."""
    elements = _guest_elements(tuned)
    inputs = {
        "distro layer": f"#{distro_layer(distro, tuned=tuned).key}",
        "elements": " ".join(elements),
        "trove": release.load().trove,
        "constraints": store.hashed(release.GUEST_CONSTRAINTS),
        **_chosen(_GUEST_CHOICES),
        **_builder(),
        **files_of(("trove-layer-distro", "trove-layer", *elements)),
    }
    return Recipe("guest layer", _name(distro, tuned), inputs)


def require_tool(distro: Distro, *, tuned: bool = True) -> None:
    """Check that this machine can lay a distribution down, unless that is done.

    Raises:
        ScenarioError: diskimage-builder would miss something that nothing here installs.
    """
    tool = _TOOLS.get(distro.element)
    if tool is None or distro_layer(distro, tuned=tuned).folder.is_dir():
        return
    name = os.environ.get(tool.variable) or tool.name
    if shutil.which(name, mode=os.F_OK, path=building.search_path()) is None:
        raise ScenarioError(
            f"Building guests of {distro.name} needs {name}: install it (package {tool.package}), "
            f"or name another in {tool.variable}."
        )


def ensure_guest_layer(distro: Distro, *, tuned: bool = True) -> Path:
    """Return the file with the root of a guest without a database, built if need be.

    Raises:
        ScenarioError: it can't be built here.
    """

    def make_distro(folder: Path) -> None:
        _require_mirror(distro)
        extra = folder / "elements"
        _write_packages_element(extra / "trove-packages")
        environment = {"DIB_RELEASE": distro.release, **_mirrors(distro)}
        log = building.log_of(folder)
        elements = [*_distro_elements(distro, tuned), "trove-packages"]
        create(folder, elements, environment, log=log, extra_elements=extra)

    def make_guest(folder: Path) -> None:
        below = store.ensure(distro_layer(distro, tuned=tuned), make_distro)
        environment = {"DIB_TROVE_LAYER": str(below / _ROOT), **_agent()}
        elements = ["trove-layer-distro", *_guest_elements(tuned)]
        create(folder, elements, environment, log=building.log_of(folder))

    return store.ensure(guest_layer(distro, tuned=tuned), make_guest) / _ROOT


def files_of(elements: Iterable[str]) -> dict[str, str]:
    """Return the hash of each file of those elements that are this tree's own."""
    files: dict[str, str] = {}
    for element in sorted(elements):
        if (paths.ELEMENTS / element).is_dir():
            files |= store.hashed_files(paths.ELEMENTS / element)
    return files


def create(
    folder: Path,
    elements: list[str],
    environment: Mapping[str, str],
    *,
    log: Path,
    disk: bool = False,
    extra_elements: Path | None = None,
) -> None:
    """Have diskimage-builder make an image from elements.

    Args:
        folder: where; afterwards it is in there alone, as a packed root.
        elements: the elements, the first of which lays a root down.
        environment: the elements' variables.
        log: file for what diskimage-builder says.
        disk: the image is a disk of one file system, with ``image.raw``, ``image.vmlinuz`` and
            ``image.initrd`` as its files.
        extra_elements: a folder with more elements.

    Raises:
        ScenarioError: it failed; the text has its last lines.
    """
    programs, scratch = Path(sys.executable).parent, folder / "scratch"
    scratch.mkdir()
    sources = [paths.ELEMENTS, *([extra_elements] if extra_elements else [])]
    settings = {
        "PATH": f"{programs}:{building.search_path()}",
        "TMP_DIR": str(scratch),
        "ELEMENTS_PATH": ":".join(map(str, sources)),
        "DIB_IMAGE_CACHE": str(scratch),
        "DIB_LOCKFILES": str(scratch),
        "DIB_JOURNAL_SIZE": "32",
        **environment,
    }
    kind = "raw" if disk else "tar"
    output = ["-n", "-a", "amd64", "-t", kind, "-o", folder / "image"]
    argv = building.isolated([programs / "disk-image-create", *output, *elements])
    what = f"Building {' '.join(elements)}"
    commands.run(argv, log=log, what=what, env=settings)
    kept = {"image.raw", "image.vmlinuz", "image.initrd"} if disk else {_ROOT}
    if not disk:
        pack = ["zstd", "--quiet", "-1", "--threads=0", folder / "image.tar", "-o", folder / _ROOT]
        commands.run(pack, log=log, what="Packing the layer")
    building.keep_only(folder, kept)


def _name(distro: Distro, tuned: bool) -> str:
    return distro.name if tuned else f"{distro.name}-untuned"


def _chosen(names: Iterable[str]) -> dict[str, str]:
    return {name: os.environ[name] for name in names if os.environ.get(name)}


def _builder() -> dict[str, str]:
    return {
        "diskimage-builder": importlib.metadata.version("diskimage-builder"),
        "way of building": _REVISION,
    }


def _distro_elements(distro: Distro, tuned: bool) -> list[str]:
    return [distro.element, _CLOUD_INIT, *([_KERNEL] if tuned else [])]


def _guest_elements(tuned: bool) -> list[str]:
    return [element for element in _GUEST if tuned or element != TUNING]


def _packages() -> dict[str, dict]:
    """Return the packages that our elements ask for, and their names on each distribution."""
    merged: dict[str, dict] = {"package-installs.yaml": {}, "pkg-map": {}}
    for element in _WITH_PACKAGES:
        wanted = paths.ELEMENTS / element / "package-installs.yaml"
        if wanted.exists():
            merged["package-installs.yaml"] |= yaml.safe_load(wanted.read_text())
        names = paths.ELEMENTS / element / "pkg-map"
        if names.exists():
            _merge(merged["pkg-map"], json.loads(names.read_text()))
    return merged


def _merge(into: dict, more: dict) -> None:
    for key, value in more.items():
        if isinstance(value, dict):
            _merge(into.setdefault(key, {}), value)
        else:
            into[key] = value


def _write_packages_element(element: Path) -> None:
    """Write an element that installs the packages of all others, and does nothing else."""
    element.mkdir(parents=True)
    (element / "element-deps").write_text("package-installs\n")
    for name, facts in _packages().items():
        (element / name).write_text(json.dumps(facts))


def _mirrors(distro: Distro) -> dict[str, str]:
    """Return the variables that name the mirrors of a distribution, where we know of any."""
    if distro.element != _DEBIAN:
        return {}
    mirrors = {
        "DIB_DISTRIBUTION_MIRROR": building.require_mirror(),
        "DIB_APT_MINIMAL_CREATE_INTERFACES": "0",
    }
    security = registries.debian_mirrors().get("security")
    if security and not os.environ.get("DIB_DEBIAN_SECURITY_MIRROR"):
        mirrors["DIB_DEBIAN_SECURITY_MIRROR"] = security
    return mirrors


def _require_mirror(distro: Distro) -> None:
    """Say that a mirror doesn't answer before a build takes minutes to do so."""
    if mirror := _mirrors(distro).get("DIB_DISTRIBUTION_MIRROR"):
        release_file = f"{mirror.rstrip('/')}/dists/{distro.release}/InRelease"
        try:
            urllib.request.urlopen(release_file, timeout=20).close()
        except (urllib.error.URLError, OSError) as error:
            reason = getattr(error, "reason", error)
            raise ScenarioError(
                f"The Debian mirror can't be used ({release_file}: {reason}): check the network "
                "and apt's sources, or name another in DIB_DISTRIBUTION_MIRROR."
            ) from None


def _agent() -> dict[str, str]:
    """Return the variables of the element that installs the guest agent."""
    registry = registries.uv_environment()
    cache = paths.packages() / "uv"
    cache.mkdir(parents=True, exist_ok=True)
    return {
        **registry,
        "UV_CACHE_DIR": str(cache),
        "DIB_TROVE_AGENT_CONSTRAINTS": str(release.GUEST_CONSTRAINTS),
        "DIB_TROVE_AGENT_VERSION": release.load().trove,
        "DIB_TROVE_AGENT_FOLDERS": " ".join([*local_folders(os.environ | registry), str(cache)]),
        "DIB_TROVE_UV": uv.find_uv_bin(),
    }


def local_folders(registry: Mapping[str, str]) -> list[str]:
    """Return the folders of this machine that package indexes are in.

    An index links to files beside it, so it is the folder around it that counts.
    """
    indexes = f"{registry.get('UV_DEFAULT_INDEX', '')} {registry.get('UV_INDEX', '')}".split()
    around = [str(Path(index.removeprefix("file://")).parent) for index in indexes]
    links = [link.removeprefix("file://") for link in registry.get("UV_FIND_LINKS", "").split()]
    return sorted({folder for folder in around + links if Path(folder).is_dir()})
