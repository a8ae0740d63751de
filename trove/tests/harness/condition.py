"""What an instance that tests share has to be like again when one has used it."""

from collections.abc import Set
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, fields

from trove.tests.common.errors import ScenarioError
from trove.tests.harness.changes import ALL, DATABASES, ROOT, USERS
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
    def of(
        cls,
        instance: Instance,
        last: "Condition | None" = None,
        asked: Set[str] = ALL,
    ) -> "Condition":
        """Return the condition that an instance is in.

        Args:
            instance: the instance.
            last: the condition it was in before; not needed where all is asked.
            asked: what Trove has been asked to change since, by ``changes``. What nobody has
                asked it to touch is as it was: each answer costs the cloud half a second.
        """
        # They take their time, in the server and on the guest, side by side.
        with ThreadPoolExecutor() as asking:
            showing = asking.submit(instance.show)
            users = asking.submit(lambda: _users(instance) if USERS in asked else last.users)
            databases = asking.submit(
                lambda: frozenset(instance.databases()) if DATABASES in asked else last.databases
            )
            root = asking.submit(
                lambda: instance.root_enabled if ROOT in asked else last.root_enabled
            )
        shown = showing.result()
        return cls(
            name=shown["name"],
            status=shown.get("operating_status") or shown["status"],
            databases=databases.result(),
            users=users.result(),
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


def _users(instance: Instance) -> frozenset[str]:
    listed = every(instance.cloud.trove.users.list, instance.id)
    return frozenset(f"{user.name}@{getattr(user, 'host', '%')}" for user in listed)
