"""What is measured is summed up rightly."""

import dataclasses
from types import SimpleNamespace

import pytest

from bench import images
from bench.figures import Figures, Goal
from trove.tests.common.errors import ScenarioError
from trove.tests.harness.verifying import Verified


@pytest.mark.parametrize(("goal", "good", "bad"), [(Goal(90), 90, 91), (Goal(50, True), 50, 49)])
def test_a_goal_is_a_limit_from_one_side(goal, good, bad):
    assert goal.met_by(good)
    assert not goal.met_by(bad)


def test_the_summary_has_median_extremes_and_goal():
    figures = Figures()
    for value in (70, 40, 60):
        figures.add("Swift put", value, "MB/s")

    summary = figures.summary()["Swift put"]

    assert (summary["median"], summary["min"], summary["max"]) == (60, 40, 70)
    assert summary["goal"] == "≥ 50"


def test_a_measurement_that_fails_leaves_no_value():
    figures = Figures()

    with pytest.raises(OSError, match="gone"), figures.seconds("attach"):
        raise OSError("gone")

    assert figures.summary() == {}


def test_an_emulated_guest_is_measured_with_and_without_tuning(monkeypatch):
    monkeypatch.setattr(images.images, "ensure_image", lambda _target, *, tuned: tuned)
    took = {True: {"agent": 40.0, "container": 50.0}, False: {"agent": 150.0, "container": 90.0}}
    monkeypatch.setattr(
        images.verifying,
        "verify",
        lambda image, *_, accelerator, **__: Verified(took[image], accelerator),
    )
    figures = Figures()

    images.measure_emulated(figures, "mysql")

    assert figures.values == {
        "guest on to healthy (qemu, mysql)": [50.0],
        "guest on to healthy, untuned (qemu, mysql)": [150.0],
        "guest untuned, to tuned (qemu, mysql)": [3.0],
    }
    assert figures.summary()["guest untuned, to tuned (qemu, mysql)"]["goal"] == "≥ 2.5"


@pytest.fixture
def measured(monkeypatch, tmp_path) -> list[str]:
    """What measuring images does, one after the other; this machine runs containers."""
    monkeypatch.setenv("TROVE_SCENARIO_HOME", str(tmp_path))
    monkeypatch.delenv("TROVE_CLOUD_NAME", raising=False)
    done: list[str] = []
    monkeypatch.setattr(images.machine, "install_packages", lambda profile: None)
    monkeypatch.setattr(images, "measure_emulated", lambda *_: done.append("emulated"))
    monkeypatch.setattr(images, "measure_container", lambda _, cloud, __: done.append(cloud))
    monkeypatch.setattr(images.api, "names_of", lambda cloud: f"on {cloud.name}")
    monkeypatch.setattr(images.lifecycle, "up", lambda cloud, _: done.append(f"up {cloud.name}"))
    monkeypatch.setattr(images.lifecycle, "down", lambda cloud: done.append(f"down {cloud.name}"))
    containers_run(monkeypatch, None)
    return done


def containers_run(monkeypatch, fault: str | None) -> None:
    kind = dataclasses.replace(images.hypervisor.KINDS["lxc"], fault=lambda: fault)
    monkeypatch.setitem(images.hypervisor.KINDS, "lxc", kind)


def runs(monkeypatch, hypervisor: str | None) -> None:
    settings = SimpleNamespace(hypervisor=hypervisor)
    monkeypatch.setattr(images.Cloud, "init", hypervisor)
    monkeypatch.setattr(images.Cloud, "settings", settings)


@pytest.mark.parametrize("hypervisor", [None, "lxc"])
def test_containers_are_measured_on_the_usual_cloud(measured, monkeypatch, hypervisor):
    runs(monkeypatch, hypervisor)

    images.measure(Figures(), ["mysql"])

    assert measured == ["emulated", "up embedded", "on embedded"]


def test_beside_a_cloud_with_other_guests_containers_have_one_of_their_own(measured, monkeypatch):
    runs(monkeypatch, "qemu")

    images.measure(Figures(), ["mysql"])

    assert measured == ["emulated", "up bench", "on bench", "down bench"]


def test_a_machine_that_runs_no_containers_is_measured_without(measured, monkeypatch, capsys):
    containers_run(monkeypatch, "there are no control groups of version 1 for containers")

    images.measure(Figures(), ["mysql"])

    assert measured == ["emulated"]
    assert "not measured as containers: there are no control groups" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("console", "seconds"),
    [
        ("", None),
        ('VERIFY {"stage": "started", "seconds": 3.1}\n', None),
        ('VERIFY {"stage": "container", "seconds": 9.4}\r\n', 9.4),
    ],
)
def test_a_guest_on_the_cloud_is_timed_by_its_own_clock(console, seconds):
    assert images._healthy(SimpleNamespace(console=lambda: console)) == seconds


def test_a_guest_on_the_cloud_that_fails_ends_the_measurement():
    console = 'VERIFY {"fault": "RuntimeError: docker: no such image", "seconds": 3.1}\n'
    with pytest.raises(ScenarioError, match="no such image"):
        images._healthy(SimpleNamespace(console=lambda: console))
