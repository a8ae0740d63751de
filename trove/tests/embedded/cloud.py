"""One embedded cloud: its folder on disk, its secrets and its settings."""

import json
import secrets
import shutil
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path

import psutil

from trove.tests.common import paths, release
from trove.tests.embedded import namespaces
from trove.tests.embedded.addresses import Addresses
from trove.tests.embedded.hypervisor import KINDS
from trove.tests.embedded.init import HOST_NAME

REGION = "RegionOne"
PORTS = {
    "keystone": 5000,
    "glance": 9292,
    "placement": 8778,
    "nova": 8774,
    "neutron": 9696,
    "cinder": 8776,
    "trove": 8779,
}
_SECRETS = (
    *("admin", "demo", "database", "rabbitmq", "taskmanager_messages", "instance_keys"),
    *PORTS,
)


@dataclass(frozen=True)
class Settings:
    """What a running cloud was started with; kept in its folder.

    Attributes:
        series: the server series.
        tree: hash of the code and templates that configured it.
        venv: folder of the services' virtual environment; its name has the pins' key.
        hypervisor: name of the hypervisor that runs the guests.
        slot: which part of the address range the cloud uses.
    """

    series: str
    tree: str
    venv: str
    hypervisor: str
    slot: int = 0


@dataclass(frozen=True)
class Cloud:
    """An embedded cloud, running or not.

    Attributes:
        name: names the folder and, after ``trove-``, the entry in clouds.yaml.
    """

    name: str = "embedded"
    net: Addresses = field(default_factory=Addresses)

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
        """Folder of databases, images, keys and guests' disks."""
        return self.folder / "state"

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

    def url(self, service: str) -> str:
        """Return the base URL of a service's API."""
        suffix = "/v3" if service == "keystone" else ""
        return f"http://{self.net.api}:{PORTS[service]}{suffix}"

    @cached_property
    def secrets(self) -> dict[str, str]:
        """The passwords of this cloud, generated when it is first started."""
        file = self.folder / "secrets.json"
        if not file.exists():
            file.touch(mode=0o600)
            file.write_text(json.dumps({name: secrets.token_urlsafe(24) for name in _SECRETS}))
        return json.loads(file.read_text())

    @property
    def init(self) -> psutil.Process | None:
        """The cloud's first process, None while it is down."""
        return namespaces.find_init(self.folder)

    @property
    def settings(self) -> Settings | None:
        """What this cloud was started with; None unless its start was completed."""
        try:
            return Settings(**json.loads((self.folder / "ready.json").read_text()))
        except (OSError, ValueError, TypeError):
            return None

    def mark_ready(self, settings: Settings) -> None:
        """Note that the cloud's start was completed."""
        part = self.folder / "ready.json.part"
        part.write_text(json.dumps(asdict(settings)))
        part.replace(self.folder / "ready.json")

    def make_folders(self) -> None:
        """Create the empty folders of a new cloud, readable by its owner alone."""
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(parents=True, mode=0o700)
        for name in ("logs", "state", "etc"):
            (self.folder / name).mkdir()

    def context(self, settings: Settings) -> dict:
        """Return what the configuration templates refer to."""
        return {
            "cloud": self,
            "net": self.net,
            "secret": self.secrets,
            "endpoint": {service: self.url(service) for service in PORTS},
            "region": REGION,
            "host_name": HOST_NAME,
            "venv": settings.venv,
            "hypervisor": KINDS[settings.hypervisor],
            "templates": release.TEMPLATES,
        }
