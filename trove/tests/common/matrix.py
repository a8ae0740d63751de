"""The matrix of datastores, versions and distributions (``integration/datastores.yaml``)."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema
import yaml

from trove.tests.common import paths
from trove.tests.common.errors import ScenarioError

MATRIX = paths.INTEGRATION / "datastores.yaml"
SCHEMA = paths.INTEGRATION / "datastores.schema.json"


@dataclass(frozen=True)
class Distro:
    """A distribution that guests run.

    Attributes:
        name: such as ``debian-trixie``.
        element: the diskimage-builder element that lays the distribution down.
        release: what that element calls the release.
    """

    name: str
    element: str
    release: str


@dataclass(frozen=True)
class Container:
    """Where a container image comes from: Debian's packages, or a registry.

    Attributes:
        image: image name without tag, as the guest agent asks for it.
        recipe: folder of ``integration/containers``; None of a registry's image.
        suite: Debian suite of the packages.
        packages: what the recipe is about: the database's packages, or its backup program's.
        reference: repository and tag in a registry; None of an image made here.
        digest: what the reference stood for when it was entered; None where it keeps changing.
    """

    image: str
    recipe: str | None = None
    suite: str | None = None
    packages: tuple[str, ...] = ()
    reference: str | None = None
    digest: str | None = None


@dataclass(frozen=True)
class Parameter:
    """A setting of the database that a configuration group may hold.

    Attributes:
        name: the database's own name for it.
        type: ``integer`` or ``string``: the API takes no other.
        restart_required: the database takes it at its start only.
        min: smallest value allowed, of an integer.
        max: largest value allowed, of an integer.
    """

    name: str
    type: str
    restart_required: bool
    min: int | None = None
    max: int | None = None


@dataclass(frozen=True)
class Lack:
    """Why there is no capability.

    Attributes:
        type: what skips for it are counted under.
        text: the same, in words for whoever reads of the skip.
    """

    type: str
    text: str


@dataclass(frozen=True)
class Version:
    """One version of a datastore.

    Attributes:
        name: as Trove and the tags of its container images have it.
        database: the container image of the database.
        backup: that of its backup program; None where there are no backups.
        distros: the distributions it is offered on, and what was verified there.
        parameters: what a configuration group may set.
        lacks: the capabilities, by the marks of tests, that it has not.
    """

    name: str
    database: Container
    backup: Container | None
    distros: dict[str, tuple[str, ...]]
    parameters: tuple[Parameter, ...]
    lacks: dict[str, Lack]

    @property
    def containers(self) -> tuple[Container, ...]:
        """The container images that a guest needs, the database's first."""
        return (self.database, self.backup) if self.backup else (self.database,)

    def tagged(self, container: Container) -> str:
        """Return name and tag under which the guest agent asks for an image."""
        return f"{container.image}:{self.name}"


@dataclass(frozen=True)
class Datastore:
    """A kind of database.

    Attributes:
        name: as users give it.
        manager: Trove's name for the code that handles it.
        port: TCP port that clients connect to.
        client_driver: Python package that tests connect with.
        default_version: version taken when none is asked for.
        default_distro: distribution taken when none is asked for.
        guest_ram_mb: memory that a guest needs at least, in MiB.
        guest_disk_gb: root disk that a guest needs at least, in GiB.
        versions: its versions by name.
    """

    name: str
    manager: str
    port: int
    client_driver: str
    default_version: str
    default_distro: str
    guest_ram_mb: int
    guest_disk_gb: int
    versions: dict[str, Version]

    @property
    def docker_image(self) -> str:
        """The guest agent's option of that name: the database's image without tag."""
        return self.versions[self.default_version].database.image

    @property
    def backup_docker_image(self) -> str | None:
        """The same of the backup program; None where no version has one."""
        backups = (version.backup for version in self.versions.values())
        return next((backup.image for backup in backups if backup), None)


@dataclass(frozen=True)
class Target:
    """One cell of the matrix: what a guest image is built for."""

    datastore: Datastore
    version: Version
    distro: Distro

    @property
    def name(self) -> str:
        """A name for files and images, such as ``mysql-9.7-debian-trixie``."""
        return f"{self.datastore.name}-{self.version.name}-{self.distro.name}"


@dataclass(frozen=True)
class Matrix:
    """All datastores and distributions by name."""

    datastores: dict[str, Datastore]
    distros: dict[str, Distro]

    def select(
        self, datastore: str, version: str | None = None, distro: str | None = None
    ) -> Target:
        """Return one cell, with the datastore's defaults for what isn't given.

        Raises:
            ScenarioError: there is no such cell; the text lists what there is.
        """
        _known("datastore", datastore, self.datastores)
        store = self.datastores[datastore]
        version = version or store.default_version
        _known(f"version of {datastore}", version, store.versions)
        chosen = store.versions[version]
        distro = distro or store.default_distro
        _known(f"distribution for {datastore} {version}", distro, chosen.distros)
        return Target(store, chosen, self.distros[distro])

    def targets(self) -> list[Target]:
        """Return every cell."""
        return [
            Target(store, version, self.distros[distro])
            for store in self.datastores.values()
            for version in store.versions.values()
            for distro in version.distros
        ]


@cache
def load(path: Path = MATRIX) -> Matrix:
    """Read the matrix and check it.

    Raises:
        ScenarioError: an entry is wrong; the text says which, and where it stands.
    """
    text = path.read_text(encoding="utf-8")
    try:
        data = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ScenarioError(f"{path} is not valid YAML: {error}") from None
    schema = json.loads(SCHEMA.read_text(encoding="utf-8"))
    wrong = jsonschema.exceptions.best_match(
        jsonschema.Draft202012Validator(schema).iter_errors(data)
    )
    if wrong is not None:
        _fail(path, text, list(wrong.absolute_path), wrong.message)
    _check_references(path, text, data)
    return Matrix(
        datastores={name: _datastore(name, entry) for name, entry in data["datastores"].items()},
        distros={name: Distro(name, **entry) for name, entry in data["distros"].items()},
    )


def _known(what: str, name: str, known: Iterable[str]) -> None:
    if name not in known:
        raise ScenarioError(f"There is no {what} {name!r}; known are: {', '.join(sorted(known))}.")


def _datastore(name: str, entry: dict[str, Any]) -> Datastore:
    guest = entry["guest"]
    return Datastore(
        name=name,
        manager=entry["manager"],
        port=entry["port"],
        client_driver=entry["client_driver"],
        default_version=entry["default_version"],
        default_distro=entry["default_distro"],
        guest_ram_mb=guest["ram_mb"],
        guest_disk_gb=guest["disk_gb"],
        versions={
            version: Version(
                name=version,
                database=_container(facts["database"]),
                backup=_container(facts["backup"]) if "backup" in facts else None,
                distros={name: tuple(where) for name, where in facts["distros"].items()},
                parameters=tuple(Parameter(**one) for one in facts["parameters"]),
                lacks={name: Lack(**why) for name, why in facts.get("lacks", {}).items()},
            )
            for version, facts in entry["versions"].items()
        },
    )


def _container(entry: dict[str, Any]) -> Container:
    return Container(**{**entry, "packages": tuple(entry.get("packages", ()))})


def _check_references(path: Path, text: str, data: dict[str, Any]) -> None:
    """Check what a schema can't: that names used are names defined."""
    for name, store in data["datastores"].items():
        place = ["datastores", name]
        default = store["versions"].get(store["default_version"])
        if default is None:
            _fail(path, text, [*place, "default_version"], "is none of the versions")
        if store["default_distro"] not in default["distros"]:
            _fail(
                path, text, [*place, "default_distro"], "is no distribution of the default version"
            )
        for part in ("database", "backup"):
            _check_one_image(path, text, place, part, store["versions"])
        for version, facts in store["versions"].items():
            for distro in facts["distros"]:
                if distro not in data["distros"]:
                    where = [*place, "versions", version, "distros"]
                    _fail(path, text, where, f"{distro!r} is not defined under distros")


def _check_one_image(
    path: Path, text: str, place: list[str], part: str, versions: dict[str, Any]
) -> None:
    """Check that images of all versions have one name: the agent knows one for a datastore."""
    named = {version: facts[part]["image"] for version, facts in versions.items() if part in facts}
    for version, image in named.items():
        if image != (first := next(iter(named.values()))):
            where = [*place, "versions", version, part, "image"]
            _fail(path, text, where, f"is not {first!r} as of the versions before")


def _fail(path: Path, text: str, place: Sequence[str | int], message: str) -> None:
    dotted = ".".join(str(step) for step in place) or "the file"
    raise ScenarioError(f"{path}, line {_line(text, place)}: {dotted}: {message}.")


def _line(text: str, place: Sequence[str | int]) -> int:
    """Return the line, from 1, where the entry at ``place`` stands."""
    node = yaml.compose(text)
    line = node.start_mark.line if node else 0
    for step in place:
        if isinstance(node, yaml.MappingNode):
            found = [(key, value) for key, value in node.value if key.value == step]
        elif isinstance(node, yaml.SequenceNode):
            found = [(value, value) for value in node.value[step : step + 1]]
        else:
            found = []
        if not found:
            break
        key, node = found[0]
        line = key.start_mark.line
    return line + 1
