"""How many workers a cloud has room for."""

from types import SimpleNamespace

import pytest

from trove.tests.fixtures.capacity import SCENARIO, selects_scenario
from trove.tests.harness import capacity
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


def clouds(nova=(), **trove):
    """Return a user's and an administrator's cloud with such limits."""
    quotas = [
        SimpleNamespace(resource=resource, limit=limit, in_use=in_use)
        for resource, (limit, in_use) in trove.items()
    ]
    absolute = SimpleNamespace(**NOVA | dict(nova))
    admin = SimpleNamespace(
        trove=SimpleNamespace(quota=SimpleNamespace(show=lambda project: quotas)),
        compute=SimpleNamespace(get_limits=lambda: SimpleNamespace(absolute=absolute)),
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
