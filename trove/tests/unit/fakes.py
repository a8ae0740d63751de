"""A cloud of files: what one process makes another one sees, and every call is noted."""

import json
import os
import time
from collections import deque
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from uuid import uuid4

import requests
from openstack import exceptions as sdk_errors
from troveclient import exceptions as trove_errors

from trove.tests.harness.images import GuestImage

# In which kinds can be deleted, so that nothing is in use. Backups go with instances.
DELETION_ORDER = (
    "instance",
    "module",
    "configuration",
    "secret",
    "datastore_version",
    "datastore",
    "server",
    "snapshot",
    "volume",
    "port",
    "security_group",
    "image",
    "flavor",
    "container",
    "user",
    "project",
)


class Resource(SimpleNamespace):
    """A resource as a client returns it."""

    def to_dict(self) -> dict[str, Any]:
        """Return its attributes."""
        return dict(vars(self))


class Store:
    """The cloud's contents and the calls it has received.

    Args:
        folder: where they are kept.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    def note(self, call: str) -> None:
        """Note a call."""
        line = f"{call} by {os.environ.get('PYTEST_XDIST_WORKER', 'main')}\n"
        with (self.folder / "calls").open("a") as calls:
            calls.write(line)

    def calls(self) -> list[str]:
        """Return the calls in their order, without who made them."""
        try:
            lines = (self.folder / "calls").read_text().splitlines()
        except FileNotFoundError:
            return []
        return [line.partition(" by ")[0] for line in lines]

    def put(self, kind: str, **attributes: Any) -> Resource:
        """Add a resource."""
        attributes.setdefault("id", str(uuid4()))
        # Other processes read all of a kind at any moment: a file appears whole.
        part = self.folder / f".{uuid4()}"
        part.write_text(json.dumps(attributes))
        part.replace(self.folder / f"{kind}-{attributes['id']}")
        return Resource(**attributes)

    def all(self, kind: str) -> list[Resource]:
        """Return all resources of a kind."""
        found = []
        for file in sorted(self.folder.glob(f"{kind}-*")):
            # Another thread or process may delete it meanwhile.
            with suppress(FileNotFoundError):
                found.append(Resource(**json.loads(file.read_text())))
        return found


class Collection:
    """One kind of resource behind the calls that clients have for it."""

    def __init__(self, store: Store, kind: str, not_found: type[Exception], **default: Any):
        self._store = store
        self._kind = kind
        self._not_found = not_found
        self._default = default

    def create(self, name: str, *_args: Any, **attributes: Any) -> Resource:
        """Add one."""
        self._store.note(f"create {self._kind}")
        kept = {key: value for key, value in attributes.items() if key != "users"}
        return self._store.put(self._kind, name=name, **(self._default | kept))

    def get(self, id: str) -> Resource:
        """Return one."""
        for each in self._store.all(self._kind):
            if each.id == id:
                return each
        raise self._not_found(f"no {self._kind} {id}")

    show = get

    def list(self, *_args: Any, **_query: Any) -> list[Resource]:
        """Return all."""
        return self._store.all(self._kind)

    def delete(self, id: str, ignore_missing: bool = False) -> None:
        """Remove one."""
        assert not ignore_missing
        found = self.get(id)
        if os.environ.get("FAKE_DELETE_FAILS"):
            raise trove_errors.Forbidden("it is locked")
        time.sleep(float(os.environ.get("FAKE_DELETE_SECONDS", "0")))
        self._store.note(f"delete {self._kind} {found.name}")
        (self._store.folder / f"{self._kind}-{id}").unlink()


class Instances(Collection):
    """Trove's instances, each with the parts of its answers that the harness reads."""

    def create(self, name: str, *_args: Any, **asked: Any) -> Resource:
        """Add one."""
        return super().create(
            name,
            datastore={"type": asked.get("datastore"), "version": asked.get("datastore_version")},
            flavor={"id": asked.get("flavor_id")},
            volume={"size": asked.get("volume", {}).get("size", 0)},
            addresses=[{"address": "192.0.2.1", "type": "private"}],
        )


class ObjectStore:
    """Swift: objects by container and name.

    Attributes:
        kept: what each object of each container holds.
    """

    def __init__(self, store: Store) -> None:
        self.kept: dict[str, dict[str, bytes]] = {}
        self._store = store

    def containers(self) -> list[Resource]:
        """Return all containers."""
        return [Resource(id=name, name=name) for name in self.kept]

    def get_container_metadata(self, name: str) -> Resource:
        """Return a container."""
        return Resource(id=name, name=name, count=len(self._in(name)))

    def delete_container(self, name: str, ignore_missing: bool = True) -> None:
        """Remove a container."""
        self._store.note(f"delete container {name}")
        self.kept.pop(name, None)

    def objects(self, container: str, prefix: str = "") -> list[Resource]:
        """Return the objects of a container whose names begin so."""
        return [
            Resource(name=name, container=container)
            for name in sorted(self._in(container))
            if name.startswith(prefix)
        ]

    def download_object(self, found: Resource | str, container: str = "") -> bytes:
        """Return what an object holds."""
        if isinstance(found, str):
            found = Resource(name=found, container=container)
        return self.kept[found.container][found.name]

    def delete_object(self, found: Resource) -> None:
        """Remove an object."""
        del self.kept[found.container][found.name]

    def _in(self, container: str) -> dict[str, bytes]:
        if container not in self.kept:
            raise sdk_errors.NotFoundException(f"no container {container}")
        return self.kept[container]


class Strategies:
    """Backup strategies, by instance."""

    def __init__(self) -> None:
        self._containers: dict[str, str] = {}

    def create(self, instance_id: str = "", swift_container: str = "") -> None:
        """Add one, or replace it."""
        self._containers[instance_id] = swift_container

    def list(self, instance_id: str) -> list[Resource]:
        """Return an instance's."""
        found = self._containers.get(instance_id)
        return [Resource(instance_id=instance_id, swift_container=found)] if found else []

    def delete(self, instance_id: str = "") -> None:
        """Remove one."""
        self._containers.pop(instance_id, None)


class FakeKeyManager:
    """Barbican, behind the calls that the harness makes; its secrets have addresses.

    Args:
        secrets: those that there are.
    """

    def __init__(self, secrets: Collection) -> None:
        self._secrets = secrets

    def create_secret(self, name: str, **content: str) -> Resource:
        """Add one."""
        return self._shown(self._secrets.create(name, **content))

    def secrets(self) -> list[Resource]:
        """Return all."""
        return [self._shown(each) for each in self._secrets.list()]

    def get(self, path: str) -> requests.Response:
        """Answer a request for what is at a path."""
        response = requests.Response()
        known = {f"/secrets/{each.id}" for each in self._secrets.list()}
        response.status_code = 200 if path in known else 404
        return response

    def delete_secret(self, id: str, *, ignore_missing: bool) -> None:
        """Remove one."""
        assert not ignore_missing
        self._secrets.delete(id)

    def _shown(self, secret: Resource) -> Resource:
        return Resource(
            secret_id=secret.id, secret_ref=f"https://fake/secrets/{secret.id}", name=secret.name
        )


class FakeCloud:
    """A cloud with what the harness uses of OpenStack's services."""

    def __init__(self, folder: Path, name: str = "fake") -> None:
        self.store = Store(folder)
        self.name = name
        self.identity = "http://fake project"
        self.project_id = "project"
        self.requests = deque(["GET http://fake/instances 200 0.01 s req-42"])
        healthy = {
            "status": os.environ.get("FAKE_STATUS", "ACTIVE"),
            "operating_status": "HEALTHY",
        }
        server = {"server": {"id": "server-of-it"}}
        instances = Instances(self.store, "instance", trove_errors.NotFound, **healthy, **server)
        self.trove = SimpleNamespace(
            instances=instances,
            mgmt_instances=instances,
            configurations=self._trove("configuration"),
            modules=self._trove("module"),
            backups=self._trove("backup", status="COMPLETED"),
            backup_strategies=Strategies(),
            databases=SimpleNamespace(list=lambda _instance, **_page: []),
            users=SimpleNamespace(list=lambda _instance, **_page: []),
            root=SimpleNamespace(
                is_instance_root_enabled=lambda _instance: Resource(rootEnabled=False)
            ),
            quota=SimpleNamespace(
                show=lambda _project: [
                    Resource(
                        resource="instances",
                        limit=int(os.environ.get("FAKE_QUOTA", "50")),
                        in_use=len(instances.list()),
                    )
                ]
            ),
            mgmt_ds_versions=self._trove("datastore_version"),
            datastores=self._trove("datastore"),
        )
        self.object_store = ObjectStore(self.store)
        self.key_manager = FakeKeyManager(self._sdk("secret"))
        images, flavors = self._sdk("image"), self._sdk("flavor")
        servers, volumes, snapshots = (
            self._sdk("server"),
            self._sdk("volume"),
            self._sdk("snapshot"),
        )
        ports, groups = self._sdk("port"), self._sdk("security_group")
        self.image = SimpleNamespace(
            images=lambda **_: [
                Resource(**{"properties": {}} | vars(each)) for each in images.list()
            ],
            get_image=images.get,
            delete_image=images.delete,
        )
        self.compute = SimpleNamespace(
            flavors=flavors.list,
            get_flavor=flavors.get,
            delete_flavor=flavors.delete,
            create_flavor=lambda name, **size: flavors.create(name, is_public=True, **size),
            find_flavor=lambda name, **_: next(
                (each for each in flavors.list() if name in (each.name, each.id)), None
            ),
            servers=lambda **_: [
                *servers.list(),
                *(
                    Resource(**server["server"], name=each.name, attached_volumes=[], user_data="x")
                    for each in instances.list()
                    if os.environ.get("FAKE_SERVERS")
                ),
            ],
            services=lambda: [
                Resource(
                    binary="nova-compute",
                    state=os.environ.get("FAKE_WORKER", "up"),
                    status="enabled",
                )
            ],
            get_server=lambda id: (
                Resource(id=id, status="ACTIVE")
                if id == server["server"]["id"]
                else servers.get(id)
            ),
            delete_server=servers.delete,
            get_server_console_output=lambda id, **_: {
                "output": os.environ.get("FAKE_CONSOLE", f"console of {id}") + "\n"
            },
        )
        self.network = SimpleNamespace(
            find_network=lambda name, **_: Resource(id="net", name=name),
            networks=lambda: [],
            ports=lambda: [*ports.list(), Resource(id="port", device_id="server-of-it", name="")],
            get_port=ports.get,
            delete_port=ports.delete,
            security_groups=groups.list,
            get_security_group=groups.get,
            delete_security_group=groups.delete,
        )
        self.block_storage = SimpleNamespace(
            services=lambda: [],
            volumes=lambda **_: volumes.list(),
            get_volume=volumes.get,
            delete_volume=volumes.delete,
            snapshots=snapshots.list,
            get_snapshot=snapshots.get,
            delete_snapshot=snapshots.delete,
        )
        users, projects = self._sdk("user"), self._sdk("project")
        self.accounts = SimpleNamespace(
            regions=lambda: [],
            users=users.list,
            get_user=users.get,
            create_user=users.create,
            delete_user=users.delete,
            projects=projects.list,
            get_project=lambda id: (
                Resource(id=id, domain_id="default") if id == self.project_id else projects.get(id)
            ),
            create_project=projects.create,
            delete_project=projects.delete,
            find_role=lambda name, **_: Resource(id=name),
            assign_project_role_to_user=lambda project, user, role: self.store.note(
                f"assign {role.id}"
            ),
        )

    def has(self, service_type: str) -> bool:
        """Have every service."""
        return bool(service_type)

    def _trove(self, kind: str, **default: Any) -> Collection:
        return Collection(self.store, kind, trove_errors.NotFound, **default)

    def _sdk(self, kind: str) -> Collection:
        return Collection(self.store, kind, sdk_errors.NotFoundException)


def guest_image(folder: Path, **changed: Any) -> GuestImage:
    """Return a guest image of a few bytes."""
    files = {}
    for name in ("disk", "kernel", "ramdisk"):
        files[name] = folder / name
        files[name].write_bytes(b"x")
    facts = {
        "key": "0123456789abcdef",
        "name": "mysql",
        "disk_format": "qcow2",
        "kernel_command_line": "root=/dev/vda",
        "manifest": {},
        **files,
    }
    return GuestImage(**facts | changed)
