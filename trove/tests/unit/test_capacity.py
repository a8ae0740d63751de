"""How many workers a cloud has room for."""

from types import SimpleNamespace
from unittest.mock import Mock

import pytest
from openstack.exceptions import ForbiddenException

from trove.tests.fixtures import capacity as fixture
from trove.tests.fixtures.capacity import SCENARIO, selects_scenario
from trove.tests.harness import capacity, clients
from trove.tests.harness.flavors import FlavorSpec

SIZE = FlavorSpec(ram_mb=1000, vcpus=2, disk_gb=5)
NOVA = {
    "instances": 100,
    "instances_used": 0,
    "total_cores": 100,
    "total_cores_used": 0,
    "total_ram": -1,
    "total_ram_used": 0,
}


def server(project, owner):
    """Return a server in a project, of an instance in its owner's."""
    return SimpleNamespace(project_id=project, metadata={"trove_project_id": owner})


SERVERS = [SimpleNamespace(project_id="lone", metadata={}), server("service", "project")]


def clouds(nova=(), servers=SERVERS, project="service", **trove):
    """Return a user's and an administrator's cloud with such limits, Nova's in one project."""
    quotas = [
        SimpleNamespace(resource=resource, limit=limit, in_use=in_use)
        for resource, (limit, in_use) in trove.items()
    ]
    absolute = {project: SimpleNamespace(**NOVA | dict(nova))}
    admin = SimpleNamespace(
        trove=SimpleNamespace(quota=SimpleNamespace(show=lambda project: quotas)),
        compute=SimpleNamespace(
            servers=lambda *, all_projects: iter(servers),
            get_limits=lambda *, tenant_id: SimpleNamespace(absolute=absolute[tenant_id]),
        ),
    )
    return SimpleNamespace(project_id="project"), admin


@pytest.mark.parametrize(
    ("nova", "trove", "workers"),
    [
        ({}, {"instances": (15, 3)}, 4),
        ({}, {"instances": (-1, 3), "ram": (9000, 3000)}, 2),
        ({"total_cores": 20, "total_cores_used": 2}, {}, 3),
        ({"instances": 10, "instances_used": 9}, {}, 1),
        ({"total_ram": 12000, "total_ram_used": 2000}, {"instances": (50, 0)}, 3),
    ],
)
def test_the_tightest_limit_counts(nova, trove, workers):
    assert capacity.of_cloud(*clouds(nova, **trove), SIZE) == workers


@pytest.mark.parametrize(
    ("servers", "project"),
    [
        ([server("service", "another")], "service"),
        ([server("another", "another")], "project"),
    ],
)
def test_novas_limits_are_those_of_the_project_that_servers_are_in(servers, project):
    known = clouds({"instances": 9}, servers, project, instances=(50, 0))
    assert capacity.of_cloud(*known, SIZE) == 3


def test_of_a_project_that_is_not_known_nova_has_no_limits():
    unknown = clouds({"instances": 3}, servers=[], instances=(12, 0))
    assert capacity.of_cloud(*unknown, SIZE) == 4


def test_of_servers_that_are_not_shown_nova_has_no_limits():
    user, admin = clouds({"instances": 3}, instances=(12, 0))
    admin.compute.servers = Mock(side_effect=ForbiddenException)
    assert capacity.of_cloud(user, admin, SIZE) == 4


def test_the_flavor_that_is_asked_for_has_the_size_that_counts(monkeypatch):
    user, admin = clouds(ram=(12_000, 0))
    large = SimpleNamespace(id="f1", name="large", ram=4000, vcpus=2, disk=5)
    user.compute = SimpleNamespace(
        find_flavor=lambda name, **_: large if name == "large" else None,
        get_flavor={"f1": large}.get,
    )
    names = SimpleNamespace(user=user, admin=admin)
    monkeypatch.setattr(fixture, "named", lambda _settings: names)
    monkeypatch.setattr(clients, "connect", lambda cloud: cloud)

    assert fixture._room(SimpleNamespace(flavor=None)) == 2
    assert fixture._room(SimpleNamespace(flavor="large")) == 1


@pytest.mark.parametrize(("services_run", "workers"), [(True, 4), (False, 2)])
def test_a_machine_has_memory(monkeypatch, services_run, workers):
    memory = SimpleNamespace(available=12_500 * 2**20)
    monkeypatch.setattr(capacity.psutil, "virtual_memory", lambda: memory)

    assert capacity.of_machine(SIZE, services_run=services_run) == workers


def test_auto_follows_the_cloud(project, monkeypatch):
    monkeypatch.setenv("FAKE_QUOTA", "6")
    project.pytester.makepyfile("def test_it(cloud, target): pass")

    result = project.run("-m", "mysql", "-n", "auto")

    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["created: 2/2 workers"])


# Neither all that pytest.ini has, nor a folder that is only called like ours.
@pytest.mark.parametrize("chosen", [(), ("scenario",)])
def test_auto_leaves_other_tests_to_xdist(project, monkeypatch, chosen):
    monkeypatch.setenv("FAKE_CLOUD_IS_DOWN", "1")
    monkeypatch.setenv("PYTEST_XDIST_AUTO_NUM_WORKERS", "3")
    folder = project.pytester.mkdir("scenario")
    (folder / "test_plain.py").write_text("def test_it(): pass")

    result = project.run("-n", "auto", *chosen)

    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["created: 3/3 workers"])


@pytest.mark.parametrize("chosen", ["scenario", "scenario/test_restarts.py::test_it", "."])
def test_whoever_names_scenario_tests_selects_them(chosen):
    config = SimpleNamespace(
        option=SimpleNamespace(markexpr="", keyword=""),
        args=[chosen],
        args_source=pytest.Config.ArgsSource.ARGS,
        invocation_params=SimpleNamespace(dir=SCENARIO.parent),
    )
    assert selects_scenario(config)


def test_auto_says_so_where_there_is_no_cloud_to_follow(project, monkeypatch):
    monkeypatch.setenv("FAKE_CLOUD_IS_DOWN", "1")

    result = project.run("-n", "auto", "-m", "mysql")

    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["ERROR: Keystone of cloud 'fake' can't be reached."])
