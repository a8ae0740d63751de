import pytest
import requests
from openstack import exceptions as sdk_errors

from trove.tests.harness import accounts, sweeper
from trove.tests.harness.run import Run
from trove.tests.harness.timeouts import Timeouts
from trove.tests.unit.fakes import FakeCloud


@pytest.fixture
def admin(tmp_path):
    return FakeCloud(tmp_path / "cloud")


@pytest.fixture
def run():
    return Run.new()


def test_a_project_with_a_member_is_made_and_swept(admin, run):
    account = accounts.create(admin, run, beside=admin.project_id)

    assert admin.accounts.get_user(account.user_id).default_project_id == account.project_id
    assert "assign member" in admin.store.calls()
    assert [entry.kind for entry in run.journal.open_entries()] == ["project", "user"]

    assert sweeper.sweep(run.journal, admin, admin, Timeouts()) == []
    assert [call.split()[:2] for call in admin.store.calls()[-2:]] == [
        ["delete", "user"],
        ["delete", "project"],
    ]


def test_an_administrator_who_may_not_is_told(admin, run):
    def refuse(**_):
        answer = requests.Response()
        answer.status_code = 403
        raise sdk_errors.ForbiddenException("not allowed", response=answer)

    admin.accounts.create_project = refuse
    with pytest.raises(accounts.NoAccountError, match="can't create a second project"):
        accounts.create(admin, run, beside=admin.project_id)
    assert run.journal.open_entries() == []


def test_the_password_is_in_no_repr_and_in_the_login(admin, run):
    account = accounts.create(admin, run, beside=admin.project_id)
    assert account.password not in repr(account)
    assert account.login()["auth"]["password"] == account.password
