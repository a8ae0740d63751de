"""How long a cloud may lie idle, and what counts as use."""

import os
import time
from types import SimpleNamespace

import pytest

from trove.tests.common import paths
from trove.tests.common.errors import ScenarioError
from trove.tests.embedded import clouds_yaml, lease
from trove.tests.embedded.cloud import Cloud

HOUR = 3600


@pytest.fixture
def cloud(tmp_path, monkeypatch) -> Cloud:
    monkeypatch.setenv("TROVE_SCENARIO_HOME", str(tmp_path))
    monkeypatch.delenv(lease.VARIABLE, raising=False)
    cloud = Cloud()
    cloud.make_folders()
    return cloud


@pytest.mark.parametrize(
    ("text", "seconds"), [("8h", 8 * HOUR), ("30m", 1800), ("1.5h", 5400), ("2d", 48 * HOUR)]
)
def test_durations_are_written_with_their_unit(text, seconds):
    assert lease.seconds(text) == seconds


def test_the_environment_names_the_usual_lease(monkeypatch):
    monkeypatch.setenv(lease.VARIABLE, "90s")
    assert lease.seconds() == 90
    assert lease.seconds("8h") == 8 * HOUR


@pytest.mark.parametrize("text", ["8", "h", "-1h", "1h30m", "for ever"])
def test_what_is_no_duration_is_told(text):
    with pytest.raises(ScenarioError, match=r"no duration: write 8h"):
        lease.seconds(text)


def test_a_lease_runs_from_the_last_use(cloud):
    lease.grant(cloud, HOUR)
    os.utime(cloud.folder / "lease", (0, time.time() - 2 * HOUR))
    assert lease.remaining(cloud) < 0
    lease.renew(cloud)
    assert lease.remaining(cloud) == pytest.approx(HOUR, abs=5)


def test_a_request_to_an_api_is_use(cloud):
    lease.grant(cloud, HOUR)
    os.utime(cloud.folder / "lease", (0, 0))
    cloud.log("tls-proxy").touch()
    assert lease.remaining(cloud) == pytest.approx(HOUR, abs=5)


def test_zero_is_no_end(cloud):
    lease.grant(cloud, lease.seconds("0"))
    assert lease.remaining(cloud) == float("inf")


def test_a_cloud_without_a_lease_has_none_left(cloud):
    assert lease.remaining(cloud) == 0
    lease.renew(cloud)
    assert not (cloud.folder / "lease").exists()


@pytest.mark.parametrize("home", ["TROVE_SCENARIO_HOME", "XDG_CACHE_HOME"])
@pytest.mark.parametrize("config", ["OS_CLIENT_CONFIG_FILE", "XDG_CONFIG_HOME"])
def test_a_watcher_finds_a_cloud_whose_places_are_named_relative_to_here(
    tmp_path, monkeypatch, home, config
):
    for name in ("TROVE_SCENARIO_HOME", "OS_CLIENT_CONFIG_FILE"):
        monkeypatch.delenv(name)
    monkeypatch.setenv(home, "home")
    monkeypatch.setenv(config, "config")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(Cloud, "init", SimpleNamespace(pid=1))
    started = []
    monkeypatch.setattr(lease.subprocess, "Popen", lambda *_, **options: started.append(options))
    cloud = Cloud()
    cloud.make_folders()
    lease.grant(cloud, HOUR)
    here = cloud.folder, clouds_yaml.location()

    lease.watch(cloud)

    (watcher,) = started
    monkeypatch.chdir(watcher["cwd"])
    for name, value in watcher["env"].items():
        monkeypatch.setenv(name, value)
    assert (cloud.folder, clouds_yaml.location()) == here
    assert str(paths.ROOT) in os.environ["PYTHONPATH"].split(os.pathsep)
