"""Pruning takes what nobody uses, says how much it was, and leaves the rest."""

import fcntl
import threading
from pathlib import Path
from types import SimpleNamespace

import pytest

from trove.tests.common import progress
from trove.tests.embedded import lifecycle, namespaces, packages, pruning, snapshots
from trove.tests.embedded.cloud import Cloud


@pytest.fixture
def home(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv("TROVE_SCENARIO_HOME", str(tmp_path))
    monkeypatch.setenv("OS_CLIENT_CONFIG_FILE", str(tmp_path / "config" / "clouds.yaml"))
    return tmp_path


def fill(folder: Path) -> Path:
    """Make a folder that takes room."""
    folder.mkdir(parents=True)
    (folder / "file").write_bytes(b"x" * 100_000)
    return folder


def test_what_nobody_uses_goes_and_its_size_is_told(home):
    expected = {
        fill(Cloud("dead").folder),
        fill(packages.environments() / "2019.1-of-long-ago"),
        fill(snapshots.templates() / "old"),
    }
    gone = dict(pruning.prune())
    assert set(gone) == expected
    assert all(size >= 100_000 for size in gone.values())
    assert not any(folder.exists() for folder in expected)


def test_this_trees_services_and_guest_images_stay(home):
    stays = [fill(packages.location()), fill(home / "images" / "mysql")]
    assert dict(pruning.prune()) == {}
    assert all(folder.exists() for folder in stays)


@pytest.fixture
def running(monkeypatch) -> dict[Path, Path]:
    """Clouds that run: their folders, each with its environment. A test adds them."""
    running = {}

    def find_init(folder):
        if folder in running:
            program = running[folder] / "bin/python"
            return SimpleNamespace(cmdline=lambda: [str(program), "-I", "supervisord.py"])
        return None

    monkeypatch.setattr(namespaces, "find_init", find_init)
    return running


def test_a_running_cloud_stays_with_its_environment_whatever_its_settings_are(home, running):
    cloud = fill(Cloud("of-another-tree").folder)
    (cloud / "ready.json").write_text("in a form of its own")
    running[cloud] = fill(packages.environments() / "2019.1-of-another-tree")
    assert dict(pruning.prune()) == {}
    assert all(folder.exists() for folder in (cloud, running[cloud]))


def test_what_a_cloud_starts_from_stays_until_it_has_started(home, running, monkeypatch):
    waiting, gone = threading.Event(), {}
    monkeypatch.setattr(progress, "say", lambda _text: waiting.set())
    environment = fill(packages.environments() / "2019.1-of-another-tree")
    databases = fill(snapshots.templates() / ".key-starting.part")
    prune = threading.Thread(target=lambda: gone.update(pruning.prune()))

    with lifecycle._starting():
        prune.start()
        assert waiting.wait(timeout=10)
        assert environment.exists()
        assert databases.exists()
        running[fill(Cloud("starting").folder)] = environment
    prune.join()

    assert set(gone) == {databases}


def test_while_it_prunes_no_cloud_starts(home):
    fill(snapshots.templates() / "old")
    pruned = pruning.prune()
    next(pruned)
    with pytest.raises(BlockingIOError), packages.held(fcntl.LOCK_SH | fcntl.LOCK_NB, busy=""):
        pass
    list(pruned)
    with packages.held(fcntl.LOCK_SH | fcntl.LOCK_NB, busy=""):
        pass
