"""How long a cloud may lie idle, and what counts as use."""

import os
import time

import pytest

from trove.tests.common.errors import ScenarioError
from trove.tests.embedded import lease
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
