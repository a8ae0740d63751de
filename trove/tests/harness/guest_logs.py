"""Logs of a guest: written there, and published in Swift when somebody asks for it.

Trove publishes what a log has gained since it was published last, as one more object
in the project of whoever asks. Beside them lies a "metafile", which says how far it is.
"""

import json
from dataclasses import dataclass, fields
from functools import cached_property
from pathlib import Path
from typing import Any

import swiftclient
from troveclient.v1.instances import DatastoreLog, Instances

from trove.tests.harness import object_store
from trove.tests.harness.clients import Cloud
from trove.tests.harness.instances import Instance
from trove.tests.harness.journal import Entry
from trove.tests.harness.waiting import wait_for

DISABLED = "Disabled"
SYSTEM = "SYS"
USER = "USER"
METAFILE = "_metafile"
PUBLISH_INTERVAL = 1.0  # seconds
NOTHING = "None"  # what Trove calls the container of a log that isn't published


@dataclass(frozen=True)
class Details:
    """What Trove tells of a log.

    Attributes:
        name: its name.
        type: ``USER`` for one that its owner may enable, ``SYS`` for one that just is.
        status: ``Disabled``, or whether there is something to publish.
        published: how many bytes of it are published.
        pending: how many are not.
        container: where it is published in Swift; None while it isn't.
        prefix: how the names of its objects there begin; None while there are none.
        metafile: name of the object that says how much of it is published.
    """

    name: str
    type: str
    status: str
    published: int
    pending: int
    container: str | None
    prefix: str | None
    metafile: str

    @classmethod
    def of(cls, told: DatastoreLog) -> "Details":
        """Return what an answer of Trove's says."""
        facts = {field.name: getattr(told, field.name) for field in fields(cls)}
        for name in ("container", "prefix"):
            facts[name] = None if facts[name] == NOTHING else facts[name]
        return cls(**facts)

    @property
    def enabled(self) -> bool:
        """Whether the log is written."""
        return self.status != DISABLED

    @property
    def stem(self) -> str:
        """How the names of all its objects begin, the metafile's too."""
        return self.metafile.removesuffix(METAFILE)


def listed(instance: Instance, cloud: Cloud | None = None) -> dict[str, Details]:
    """Return the logs of an instance by their names.

    Args:
        instance: whose logs.
        cloud: who asks, if it isn't the instance's owner.
    """
    told = (cloud or instance.cloud).trove.instances.log_list(instance.id)
    return {each.name: Details.of(each) for each in told}


class GuestLog:
    """One log, as its instance's owner or an administrator handles it.

    At the end of borrowing the instance it is disabled, and what was published discarded.

    Args:
        instance: whose log.
        name: the log's.
        cloud: who handles it, if it isn't the instance's owner.
    """

    def __init__(self, instance: Instance, name: str, cloud: Cloud | None = None) -> None:
        self.instance = instance
        self.name = name
        self.cloud = cloud or instance.cloud
        self._published: Entry | None = None

    def show(self) -> Details:
        """Return what Trove tells of it."""
        return Details.of(self.cloud.trove.instances.log_show(self.instance.id, self.name))

    def enable(self) -> None:
        """Have the database write it; restart the database if it takes that."""
        self._act(enable=True)

    def disable(self) -> None:
        """Have the database write it no more; restart the database if it takes that."""
        self._act(disable=True)

    def publish(self, *, disable: bool = False) -> Details:
        """Publish what isn't published yet, and return what Trove then tells.

        Args:
            disable: disable it first; otherwise Trove enables it.
        """
        if self._published is None:
            self._published = self._announce()
        return self._act(publish=True, disable=disable)

    def publish_with(self, text: str) -> None:
        """Publish until a text is published: a database may write it a moment later."""

        def look() -> bool:
            self.publish()
            return text in self.text()

        wait_for(
            look,
            f"log {self.name} of {self.instance.name} has {text!r}",
            self.instance.timeouts.change,
            interval=PUBLISH_INTERVAL,
        )

    def discard(self) -> None:
        """Have Trove delete all that is published of it."""
        self._act(discard=True)
        if self._published:
            self.instance.journal.closed(self._published)
            self._published = None

    def stored(self) -> list[Any]:
        """Return its objects in Swift, wherever they are and whatever Trove tells."""
        return object_store.beginning_with(self.cloud, self.show().stem)

    def parts(self) -> list[bytes]:
        """Return what is published, in the parts that it was published in, oldest first."""
        details = self.show()
        if not details.container:
            return []
        store = self.cloud.object_store
        found = store.objects(details.container, prefix=details.prefix)
        # Their names end with the time.
        return [store.download_object(each) for each in sorted(found, key=lambda each: each.name)]

    def metafile(self) -> dict[str, Any]:
        """Return what the object says that tells how far the log is published."""
        details = self.show()
        store = self.cloud.object_store
        return json.loads(store.download_object(details.metafile, container=details.container))

    def text(self) -> str:
        """Return all that is published."""
        return b"".join(self.parts()).decode()

    def tail(self, lines: int) -> str:
        """Return the last lines of what is published, as python-troveclient finds them."""
        return "".join(self._client.log_generator(self.instance.id, self.name, lines=lines)())

    def save(self, path: Path) -> None:
        """Have python-troveclient write all that is published to a file."""
        self._client.log_save(self.instance.id, self.name, filename=str(path))

    @cached_property
    def _client(self) -> Instances:
        """python-troveclient's calls that read from Swift.

        It makes its Swift client of a password, without the cloud's authority
        (``v1/instances.py``, ``_get_swift_client``); this one stands on the session.
        """
        client = Instances(self.cloud.trove)
        client._get_swift_client = lambda: _swift(self.cloud)
        return client

    def _act(self, **actions: bool) -> Details:
        was_enabled = self.show().enabled
        self.instance.undo_later("log", self._key, self._put_back)
        details = Details.of(
            self.cloud.trove.instances.log_action(self.instance.id, self.name, **actions)
        )
        if details.enabled != was_enabled:
            self._settle()
        return details

    def _settle(self) -> None:
        """Wait until the guest has set the database so; the database may have to restart."""
        if self.instance.wait_until_configured() == "RESTART_REQUIRED":
            self.instance.restart()

    def _announce(self) -> Entry:
        stem = self.show().stem
        entry = self.instance.journal.creating("published_log", self._key)
        return self.instance.journal.created(entry, stem)

    def _put_back(self) -> None:
        details = self.show()
        if details.type == USER and details.enabled:
            self.disable()
        if self._published:
            self.discard()

    @property
    def _key(self) -> str:
        return f"{self.instance.name} {self.name} of {self.cloud.name}"


def _swift(cloud: Cloud) -> swiftclient.Connection:
    session = cloud.connection.session
    config = cloud.connection.config
    return swiftclient.Connection(
        session=session,
        os_options={
            "region_name": config.get_region_name() or None,
            "endpoint_type": config.get_interface("object-store") or "public",
        },
        # With a session it takes only the token from it, and asks Swift by itself.
        cacert=session.verify if isinstance(session.verify, str) else None,
        insecure=session.verify is False,
    )
