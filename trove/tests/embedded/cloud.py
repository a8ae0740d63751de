"""One embedded cloud: its folder on disk, its secrets and its settings."""

import json
import os
import re
import secrets
import shutil
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Self

import psutil

from trove.tests.common import guest_logins, matrix, paths, release
from trove.tests.common.errors import ScenarioError
from trove.tests.embedded import namespaces
from trove.tests.embedded.addresses import Addresses
from trove.tests.embedded.components import COMPONENTS, OBJECT_STORAGE
from trove.tests.embedded.hypervisor import KINDS
from trove.tests.embedded.init import HOST_NAME

NAME_VARIABLE = "TROVE_CLOUD_NAME"
REGION = "RegionOne"
VOLUME_BACKEND = "loop"
_SECRETS = (
    *("admin", "demo", "database", "rabbitmq"),
    *("taskmanager_messages", "instance_keys", "secret_store", "object_paths"),
    *COMPONENTS,
)


def default_name() -> str:
    """Return the name of the cloud that is meant where none is named."""
    return os.environ.get(NAME_VARIABLE) or "embedded"


def is_name(text: str) -> bool:
    """Tell whether a cloud can be named so."""
    return re.fullmatch(r"[a-z0-9][a-z0-9-]*", text) is not None


@dataclass(frozen=True)
class Settings:
    """What a running cloud was started with; kept in its folder.

    Attributes:
        series: the server series.
        tree: hash of the code and templates that configured it.
        venv: folder of the services' virtual environment; its name has the pins' key.
        hypervisor: name of the hypervisor that runs the guests.
        network_isolation: Trove's option of that name.
        components: the OpenStack services it has.
    """

    series: str
    tree: str
    venv: str
    hypervisor: str
    network_isolation: bool = False
    components: tuple[str, ...] = tuple(COMPONENTS)

    @classmethod
    def load(cls, text: str) -> Self:
        """Return the settings that ``mark_ready`` wrote.

        Raises:
            ValueError, TypeError, KeyError: the text is something else.
        """
        data = json.loads(text)
        return cls(**{**data, "components": tuple(data["components"])})


def _root(service: str) -> str:
    """Return port and path of the root of a service's API."""
    return f"{COMPONENTS[service].port}{'/v3' if service == 'keystone' else ''}"


@dataclass(frozen=True)
class Cloud:
    """An embedded cloud, running or not.

    Attributes:
        name: names the folder and, after ``trove-``, the entry in clouds.yaml;
            ``TROVE_CLOUD_NAME`` names the default one.
    """

    name: str = field(default_factory=default_name)

    def __post_init__(self) -> None:
        """Check the name, which is that of a folder, too.

        Raises:
            ScenarioError: no cloud can be named so.
        """
        if not is_name(self.name):
            raise ScenarioError(
                f"A cloud can't be named {self.name!r}: use small letters, digits and hyphens."
            )

    @property
    def net(self) -> Addresses:
        """The addresses it claimed when its folders were made."""
        return Addresses(int((self.folder / "slot").read_text()))

    @property
    def folder(self) -> Path:
        """Everything of this cloud lies below; ``down`` removes it."""
        return paths.clouds() / self.name

    @property
    def lock(self) -> Path:
        """File that is locked while the cloud is brought up or down."""
        return paths.clouds() / f"{self.name}.lock"

    @property
    def logs(self) -> Path:
        """Folder of one log file for each service."""
        return self.folder / "logs"

    @property
    def state(self) -> Path:
        """Folder of databases and keys, and of the file that holds the disks."""
        return self.folder / "state"

    @property
    def disks(self) -> Path:
        """Guests' disks, images, volumes and objects, on a file system of their own.

        It is mounted inside the cloud alone.
        """
        return self.state / "disks"

    @property
    def disks_file(self) -> Path:
        """The sparse file that holds the disks."""
        return self.state / "disks.xfs"

    @property
    def seeded(self) -> Path:
        """Copy of the state as it was when the cloud's start was completed."""
        return self.folder / "seeded"

    @property
    def supervisor(self) -> Path:
        """Socket of the supervisor."""
        return self.folder / "supervisor.sock"

    @property
    def etc(self) -> Path:
        """Configuration, laid over /etc inside the cloud."""
        return self.folder / "etc"

    @property
    def user_cloud(self) -> str:
        """Name of the demo user's entry in clouds.yaml."""
        return f"trove-{self.name}"

    @property
    def admin_cloud(self) -> str:
        """Name of the administrator's entry in clouds.yaml."""
        return f"{self.user_cloud}-admin"

    def log(self, unit: str) -> Path:
        """Return the log file of a service or a task."""
        return self.logs / f"{unit}.log"

    @property
    def authority(self) -> Path:
        """Certificate of the authority that vouches for the APIs; clouds.yaml names it."""
        return self.folder / "tls" / "authority.pem"

    @property
    def _ready(self) -> Path:
        return self.folder / "ready.json"

    @property
    def guest_key(self) -> Path:
        """The private key that opens its guests."""
        return self.folder / "guest-key"

    def url(self, service: str) -> str:
        """Return the base URL of a service's API, as users of the cloud reach it."""
        return f"https://{self.net.api}:{_root(service)}"

    def internal_url(self, service: str) -> str:
        """Return the base URL of a service's API, as the other services reach it.

        Nothing but the cloud's own processes sees what goes over its loopback, so it
        goes there in clear.
        """
        return f"http://127.0.0.1:{_root(service)}"

    @property
    def secrets(self) -> dict[str, str]:
        """The passwords of this cloud, generated when it is first started."""
        file = self.folder / "secrets.json"
        if not file.exists():
            file.touch(mode=0o600)
            file.write_text(json.dumps({name: secrets.token_urlsafe(32) for name in _SECRETS}))
        return json.loads(file.read_text())

    @property
    def init(self) -> psutil.Process | None:
        """The cloud's first process, None while it is down."""
        return namespaces.find_init(self.folder)

    @property
    def settings(self) -> Settings | None:
        """What this cloud was started with; None unless its start was completed."""
        try:
            return Settings.load(self._ready.read_text())
        except (OSError, ValueError, TypeError, KeyError):
            return None

    @property
    def complete_since(self) -> float:
        """When its start was completed, in seconds since the epoch.

        Raises:
            FileNotFoundError: it was not.
        """
        return self._ready.stat().st_mtime

    def require_up(self) -> tuple[psutil.Process, Settings]:
        """Return its first process, and what it was started with.

        Raises:
            ScenarioError: it is down, or its start was not completed.
        """
        init, settings = self.init, self.settings
        if init is None or settings is None:
            raise ScenarioError(f"The cloud {self.name} is not up: call trove-cloud up.")
        return init, settings

    def mark_ready(self, settings: Settings) -> None:
        """Note that the cloud's start was completed."""
        part = self._ready.with_suffix(".part")
        part.write_text(json.dumps(asdict(settings)))
        part.replace(self._ready)

    def unmark_ready(self) -> None:
        """Note that the cloud is not complete, or no longer."""
        self._ready.unlink(missing_ok=True)

    def make_folders(self, slot: int = 0) -> None:
        """Create the empty folders of a new cloud, readable by its owner alone.

        Args:
            slot: which part of the address range it claimed.
        """
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(parents=True, mode=0o700)
        for name in ("logs", "state", "etc", "tls"):
            (self.folder / name).mkdir()
        (self.folder / "slot").write_text(f"{slot}\n")

    def context(self, settings: Settings) -> dict:
        """Return what the configuration templates refer to."""
        return {
            "cloud": self,
            "net": self.net,
            "secret": self.secrets,
            "endpoint": {service: self.internal_url(service) for service in COMPONENTS},
            "public_endpoint": {service: self.url(service) for service in COMPONENTS},
            "components": settings.components,
            "port": {service: part.port for service, part in COMPONENTS.items()},
            "storage_port": OBJECT_STORAGE,
            "region": REGION,
            "host_name": HOST_NAME,
            "volume_backend": VOLUME_BACKEND,
            "venv": settings.venv,
            "hypervisor": KINDS[settings.hypervisor],
            "network_isolation": settings.network_isolation,
            "keypair": guest_logins.KEYPAIR,
            "templates": release.TEMPLATES,
            "datastores": matrix.load().datastores,
        }
