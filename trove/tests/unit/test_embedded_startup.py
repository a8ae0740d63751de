"""The start-up graph: order, failure, and what is said of it."""

import threading
import time

import pytest

from trove.tests.common.errors import ScenarioError
from trove.tests.embedded import startup as startup_module
from trove.tests.embedded.addresses import RANGE, Addresses
from trove.tests.embedded.cloud import Cloud
from trove.tests.embedded.startup import Startup, task_environment
from trove.tests.embedded.units import Seed, Task


@pytest.fixture
def startup(tmp_path, monkeypatch) -> Startup:
    monkeypatch.setenv("TROVE_SCENARIO_HOME", str(tmp_path))
    return Startup(Cloud(), init=None, environment={})


def test_no_unit_begins_before_what_it_depends_on(startup):
    done = []
    chain = [
        Seed(name="last", after=("middle",), action=lambda: done.append("last")),
        Seed(name="middle", after=("first",), action=lambda: done.append("middle")),
        Seed(name="first", action=lambda: done.append("first")),
    ]
    startup.run(chain)
    assert done == ["first", "middle", "last"]


def test_independent_units_start_side_by_side(startup):
    both_here = threading.Barrier(2, timeout=5)
    startup.run([Seed(name="one", action=both_here.wait), Seed(name="two", action=both_here.wait)])


def test_the_first_failure_stops_the_start(startup):
    begun = []

    def fail() -> None:
        raise ScenarioError("keystone did not start: it ended 3 times.")

    units = [
        Seed(name="keystone", action=fail),
        Seed(name="nova", after=("keystone",), action=lambda: begun.append("nova")),
    ]
    with pytest.raises(ScenarioError, match="keystone did not start"):
        startup.run(units)
    time.sleep(0.05)
    assert begun == []


@pytest.fixture
def callers(monkeypatch) -> dict[str, str]:
    """Variables of whoever starts a cloud that mean something to what runs in it."""
    variables = {
        "PYTHONPATH": "/another/tree",
        "OS_PASSWORD": "another cloud's",
        "https_proxy": "http://proxy.example",
    }
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    return variables


def test_a_task_gets_its_variables_and_none_of_the_callers(callers, monkeypatch, tmp_path):
    monkeypatch.setenv("TROVE_SCENARIO_HOME", str(tmp_path))
    monkeypatch.setattr(startup_module, "enter", lambda _init, command: command)
    environment = task_environment("/venv")
    task = Task(name="telling", commands=(("/usr/bin/env",),), environment={"ITS": "own"})
    Startup(Cloud(), init=None, environment=environment).run([task])
    told = dict(line.split("=", 1) for line in Cloud().log("telling").read_text().splitlines())
    assert told == {**environment, "ITS": "own"}
    assert not callers.keys() & told.keys()


def test_services_log_in_the_zone_in_which_their_logs_are_read(monkeypatch):
    monkeypatch.setenv("TZ", "JST-9")
    assert task_environment("/venv")["TZ"] == "JST-9"


def test_clouds_of_different_slots_share_no_address():
    first, second = Addresses(0), Addresses(1)
    assert not first.everything.overlaps(second.everything)
    assert first.everything.subnet_of(RANGE)
    networks = [first.public, first.management, first.tenant]
    assert all(network.subnet_of(first.everything) for network in networks)
