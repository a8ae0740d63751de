from types import SimpleNamespace

import pytest
import requests

from trove.tests.harness import changes
from trove.tests.harness.changes import ALL, DATABASES, ROOT, USERS
from trove.tests.harness.condition import Condition

ENDPOINT = "https://fake:8779/v1.0/project"


class Asked:
    """An instance that notes what it is asked for."""

    id = "42"

    def __init__(self) -> None:
        self.looked_at: set[str] = set()
        users = SimpleNamespace(list=lambda _instance, **_page: self._answer(USERS, []))
        self.cloud = SimpleNamespace(trove=SimpleNamespace(users=users))

    def show(self) -> dict[str, str]:
        return self._answer("show", {"name": "it", "status": "HEALTHY"})

    def databases(self) -> list[str]:
        return self._answer(DATABASES, ["library"])

    @property
    def root_enabled(self) -> bool:
        return self._answer(ROOT, True)

    def _answer(self, what, answer):
        self.looked_at.add(what)
        return answer


LAST = Condition(
    name="it",
    status="HEALTHY",
    databases=frozenset({"before"}),
    users=frozenset({"reader@%"}),
    configuration=None,
    root_enabled=False,
    replicas=frozenset(),
)


@pytest.mark.parametrize(
    ("asked", "looked_at"),
    [
        (set(), {"show"}),
        ({DATABASES}, {"show", DATABASES}),
        ({USERS}, {"show", USERS}),
        (ALL, {"show", DATABASES, USERS, ROOT}),
    ],
)
def test_what_may_have_changed_is_looked_at(asked, looked_at):
    instance = Asked()

    condition = Condition.of(instance, LAST, asked)

    assert instance.looked_at == looked_at
    assert condition.root_enabled is (ROOT in looked_at)
    assert condition.databases == ({"library"} if DATABASES in looked_at else LAST.databases)


def test_of_an_instance_seen_for_the_first_time_everything_is_looked_at():
    instance = Asked()

    Condition.of(instance)

    assert instance.looked_at == {"show", DATABASES, USERS, ROOT}


def answered(method: str, url: str) -> None:
    """Have a watched session get an answer."""
    session = requests.Session()
    changes.watch(session, ENDPOINT)
    (look,) = session.hooks["response"]
    response = requests.Response()
    response.request = requests.Request(method, url).prepare()
    look(response)


@pytest.mark.parametrize(
    ("method", "path", "found"),
    [
        ("GET", "/instances/42/users", set()),
        ("POST", "/instances/42/users", {USERS}),
        ("PUT", "/instances/42/users/reader/databases?x=/instances/4/root", {USERS}),
        ("DELETE", "/instances/42/databases/library", {DATABASES}),
        ("POST", "/instances/42/root", ALL),
        ("POST", "/instances/42/action", ALL),
        ("POST", "/mgmt/instances/42/action", ALL),
        ("PUT", "/instances/42", ALL),
        ("DELETE", "/instances/42?force=1", ALL),
        ("POST", "/instances/42/rootless", set()),
        ("POST", "/instances/42/log", set()),
        ("POST", "/instances", set()),
        ("DELETE", "/configurations/42", set()),
    ],
)
def test_a_request_asks_for_a_change_of(method, path, found):
    with changes.asked() as asked:
        answered(method, f"{ENDPOINT}{path}")
    answered("POST", f"{ENDPOINT}/instances/42/root")

    assert asked == found


def test_requests_to_other_services_do_not_count():
    with changes.asked() as asked:
        answered("POST", "https://fake:5000/v3/auth/tokens")

    assert asked == set()


def test_whoever_collects_gets_all():
    with changes.asked() as outer:
        with changes.asked() as inner:
            changes.note("/v1.0/project/instances/42/users")
        changes.note("/v1.0/project/instances/42/databases")

    assert (outer, inner) == ({USERS, DATABASES}, {USERS})
