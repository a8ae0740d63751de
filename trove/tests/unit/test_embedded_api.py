"""What tests are told of the embedded cloud's services."""

from types import SimpleNamespace

import pytest

from trove.tests.embedded import api

BEGAN = 1000.7
COMPLETE = 950.2


@pytest.fixture(autouse=True)
def _cloud(monkeypatch):
    cloud = SimpleNamespace(supervisor="socket", complete_since=COMPLETE)
    monkeypatch.setattr(api, "Cloud", lambda: cloud)


@pytest.fixture
def processes(monkeypatch):
    """What the supervisor tells of processes; a test adds them."""
    known = []
    supervisor = type("Supervisor", (), {"processes": lambda self: known})
    monkeypatch.setattr(api, "Supervisor", lambda socket: supervisor())
    return known


@pytest.mark.parametrize(
    ("state", "start", "told"),
    [
        ("RUNNING", 900, []),
        ("RUNNING", 1000, ["trove was started again"]),
        ("BACKOFF", 900, ["trove does not run"]),
        ("FATAL", 1002, ["trove does not run"]),
    ],
)
def test_who_does_not_run_or_was_started_again(processes, state, start, told):
    processes += [
        {"name": "nova", "statename": "RUNNING", "start": 10},
        {"name": "trove", "statename": state, "start": start},
    ]

    assert api.ailments(BEGAN) == told


def test_who_was_started_with_the_cloud_was_not_started_again(processes):
    processes += [
        {"name": "nova", "statename": "RUNNING", "start": int(COMPLETE) - 20},
        {"name": "trove", "statename": "RUNNING", "start": int(COMPLETE) + 20},
    ]

    assert api.ailments(since=0) == ["trove was started again"]


def test_a_cloud_that_is_down(monkeypatch):
    def nobody(socket):
        raise ConnectionRefusedError

    monkeypatch.setattr(api, "Supervisor", nobody)

    assert api.ailments(BEGAN) == ["the embedded cloud is down"]
