"""What an instance that tests share has to be like again when one has used it."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, fields

from trove.tests.common.errors import ScenarioError
from trove.tests.harness.instances import Instance
from trove.tests.harness.paging import every


class SpoiltError(ScenarioError):
    """A test has left an instance that others use otherwise than it was."""


@dataclass(frozen=True)
class Condition:
    """What others can see of an instance.

    Attributes:
        name: its name.
        status: such as ``HEALTHY``.
        databases: names of its databases.
        users: its users, each with its host.
        configuration: id of the attached configuration group.
        root_enabled: whether the superuser may log in.
        replicas: ids of its replicas.
    """

    name: str
    status: str
    databases: frozenset[str]
    users: frozenset[str]
    configuration: str | None
    root_enabled: bool
    replicas: frozenset[str]

    @classmethod
    def of(cls, instance: Instance) -> "Condition":
        """Return the condition that an instance is in."""
        # Each answer takes its time, in the server and on the guest: they do it side by side.
        with ThreadPoolExecutor() as asking:
            showing = asking.submit(instance.show)
            listing = asking.submit(every, instance.cloud.trove.users.list, instance.id)
            databases = asking.submit(instance.databases)
            root = asking.submit(lambda: instance.root_enabled)
        shown, users = showing.result(), listing.result()
        return cls(
            name=shown["name"],
            status=shown.get("operating_status") or shown["status"],
            databases=frozenset(databases.result()),
            users=frozenset(f"{user.name}@{getattr(user, 'host', '%')}" for user in users),
            configuration=(shown.get("configuration") or {}).get("id"),
            root_enabled=root.result(),
            replicas=frozenset(replica["id"] for replica in shown.get("replicas", [])),
        )

    def changes(self, after: "Condition") -> list[str]:
        """Return what is otherwise in a later condition, a line each."""
        return [
            f"{field.name}: {_told(was)}, now {_told(now)}"
            for field in fields(self)
            if (was := getattr(self, field.name)) != (now := getattr(after, field.name))
        ]


def _told(value: object) -> str:
    return ", ".join(sorted(value)) or "none" if isinstance(value, frozenset) else str(value)
