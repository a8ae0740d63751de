"""A project of its own, with a user: for what other projects must not see."""

from openstack import exceptions as sdk_errors

from trove.tests.common.errors import ScenarioError
from trove.tests.harness.clients import Account, Cloud
from trove.tests.harness.redaction import new_password
from trove.tests.harness.run import Run

ROLE = "member"


class NoAccountError(ScenarioError):
    """The administrator can't make projects and users on this cloud."""


def create(admin: Cloud, run: Run, *, beside: str) -> Account:
    """Create a project with one member, and write both down in the run's journal.

    Args:
        admin: who creates them.
        run: whose end removes them.
        beside: id of a project in whose domain the new one is to be.

    Raises:
        NoAccountError: keystone refuses, or has no role for members.
    """
    name, password = run.name("neighbour"), new_password()
    try:
        domain = admin.accounts.get_project(beside).domain_id
        role = admin.accounts.find_role(ROLE, ignore_missing=False)
        entry = run.journal.creating("project", name)
        with run.journal.refusable(entry):
            project = admin.accounts.create_project(name=name, domain_id=domain)
        run.journal.created(entry, project.id)
        entry = run.journal.creating("user", name)
        with run.journal.refusable(entry):
            user = admin.accounts.create_user(
                name=name, password=password, domain_id=domain, default_project_id=project.id
            )
        run.journal.created(entry, user.id)
        admin.accounts.assign_project_role_to_user(project, user, role)
    except (sdk_errors.ForbiddenException, sdk_errors.NotFoundException) as error:
        raise NoAccountError(f"The administrator can't create a second project: {error}") from error
    return Account(user.id, password, project.id)
