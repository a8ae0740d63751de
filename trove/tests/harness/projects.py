"""Another project of the same cloud, with a user of its own."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from openstack import exceptions as sdk_errors

from trove.tests.common.errors import ScenarioError
from trove.tests.harness.clients import Cloud, connect_as
from trove.tests.harness.journal import Journal
from trove.tests.harness.redaction import new_password
from trove.tests.harness.run import Run

ROLE = "member"


class MayNotError(ScenarioError):
    """The administrator may not make projects, users or members on this cloud."""


@contextmanager
def neighbour(user: Cloud, admin: Cloud, run: Run) -> Iterator[Cloud]:
    """Lend the cloud as the user of a new project beside the user's sees it.

    Project and user are removed at the end. Whatever else was made there the
    borrower removes: no sweeper knows the way into that project.

    Args:
        user: whose project's domain the new ones are in.
        admin: who makes them.
        run: whose journal they are written down in.

    Raises:
        MayNotError: the administrator may not.
    """
    accounts, journal, password = admin.accounts, run.journal, new_password()
    name = run.name("neighbour")
    try:
        domain = accounts.get_project(user.project_id).domain_id
        role = accounts.find_role(ROLE, ignore_missing=False)
    except sdk_errors.HttpException as error:
        raise MayNotError(f"Keystone of cloud {admin.name!r} doesn't tell: {error}") from error

    def make_project() -> Any:
        return accounts.create_project(name=name, domain_id=domain)

    def make_user() -> Any:
        return accounts.create_user(name=name, domain_id=domain, password=password)

    with (
        _made(journal, "project", name, make_project, accounts.delete_project) as project,
        _made(journal, "user", name, make_user, accounts.delete_user) as person,
    ):
        accounts.assign_project_role_to_user(project, person, role)
        yield connect_as(admin, user_id=person.id, password=password, project_id=project.id)


@contextmanager
def _made(
    journal: Journal,
    kind: str,
    name: str,
    make: Callable[[], Any],
    delete: Callable[[str], Any],
) -> Iterator[Any]:
    entry = journal.creating(kind, name)
    try:
        made = make()
    except sdk_errors.HttpException as error:
        journal.closed(entry, "refused")
        raise MayNotError(f"Keystone refuses to create {kind} {name}: {error}") from error
    entry = journal.created(entry, made.id)
    try:
        yield made
    finally:
        delete(made.id)
        journal.closed(entry)
