import pytest
from openstack import exceptions as sdk_errors

from trove.tests.harness import projects
from trove.tests.harness.projects import MayNotError
from trove.tests.harness.run import Run
from trove.tests.unit.fakes import FakeCloud


@pytest.fixture
def cloud(tmp_path):
    cloud = FakeCloud(tmp_path / "cloud")
    cloud.store.put("project", id=cloud.project_id, name="demo", domain_id="default")
    return cloud


@pytest.fixture
def logins(monkeypatch):
    """Who has logged in as somebody else."""
    logins = []
    monkeypatch.setattr(projects, "connect_as", lambda cloud, **who: logins.append(who) or cloud)
    return logins


def test_a_neighbour_is_a_member_of_a_project_of_the_same_domain(cloud, logins):
    run = Run.new()

    with projects.neighbour(cloud, cloud, run):
        (_, project) = sorted(cloud.accounts.projects(), key=lambda each: each.name)
        (user,) = cloud.accounts.users()
        assert project.name == user.name
        assert project.domain_id == user.domain_id == "default"
        assert f"assign member of {project.name} to {user.name}" in cloud.store.calls()
        assert [entry.kind for entry in run.journal.open_entries()] == ["project", "user"]

    (who,) = logins
    assert who == {"user_id": user.id, "password": user.password, "project_id": project.id}


def test_a_neighbour_is_gone_at_the_end(cloud, logins):
    run = Run.new()

    with pytest.raises(KeyboardInterrupt), projects.neighbour(cloud, cloud, run):
        raise KeyboardInterrupt

    assert [project.name for project in cloud.accounts.projects()] == ["demo"]
    assert cloud.accounts.users() == []
    assert run.journal.open_entries() == []


@pytest.mark.parametrize("call", ["get_project", "create_project", "create_user"])
def test_who_may_not_make_one_says_so(cloud, logins, call):
    def refuse(*_args, **_more):
        raise sdk_errors.ForbiddenException("You are not authorized")

    setattr(cloud.accounts, call, refuse)
    run = Run.new()

    with (
        pytest.raises(MayNotError, match="You are not authorized"),
        projects.neighbour(cloud, cloud, run),
    ):
        pytest.fail("there is a neighbour")

    assert run.journal.open_entries() == []
    assert [project.name for project in cloud.store.all("project")] == ["demo"]
