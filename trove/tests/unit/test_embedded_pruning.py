"""Pruning takes what nobody uses, says how much it was, and leaves the rest."""

from pathlib import Path

import pytest

from trove.tests.embedded import packages, pruning, snapshots
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
