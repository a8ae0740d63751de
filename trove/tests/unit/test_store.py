"""What is kept of builds: reuse, damage, reasons to build again, removal."""

import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

import pytest

from trove.tests.common import progress
from trove.tests.harness import building, store
from trove.tests.harness.store import Recipe


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("TROVE_SCENARIO_HOME", str(tmp_path))
    return tmp_path


def recipe(name="debian-trixie", **inputs):
    return Recipe("guest layer", name, {"trove": "26.0.0", **inputs})


def fill(folder):
    (folder / "root").write_bytes(b"x" * 1000)


def test_what_is_there_is_used(home):
    made = []

    def make(folder):
        made.append(folder)
        fill(folder)

    folders = [store.ensure(recipe(), make) for _ in range(2)]
    assert len(made) == 1
    assert folders[0] == folders[1] == recipe().folder
    assert store.why(recipe()) == []


def test_what_is_damaged_is_made_again():
    folder = store.ensure(recipe(), fill)
    (folder / "root").write_bytes(b"y" * 1000)
    assert store.why(recipe()) == ["damaged (root is not what was made)"]
    store.ensure(recipe(), fill)
    assert store.why(recipe()) == []


def test_what_lost_a_file_is_made_again():
    folder = store.ensure(recipe(), fill)
    (folder / "root").unlink()
    assert "No such file" in store.why(recipe())[0]
    assert (store.ensure(recipe(), fill) / "root").exists()


def test_what_was_never_made_says_so():
    assert store.why(recipe()) == ["was not made yet"]


def test_reasons_are_the_differences_to_what_was_made_last():
    store.ensure(recipe(old="1", file="#a"), fill)
    now = Recipe("guest layer", "debian-trixie", {"trove": "26.1.0", "file": "#b", "new": "1"})
    assert store.why(now) == [
        "file changed",
        "new is new",
        "old is gone",
        "trove changed: 26.0.0 → 26.1.0",
    ]


def test_another_name_is_no_earlier_one():
    store.ensure(recipe("debian-bookworm"), fill)
    assert store.why(recipe()) == ["was not made yet"]


def used(folder, days):
    moment = time.time() - days * 86400
    os.utime(folder / "entry.json", (moment, moment))


@pytest.fixture
def three():
    names = ("new", "older", "oldest")
    for days, name in enumerate(names):
        used(store.ensure(recipe(name), fill), days * 10)
    return names


def kept():
    return [entry.name for entry in store.entries()]


def test_entries_are_listed_by_use(three):
    assert kept() == list(three)
    assert all(entry.size > 1000 for entry in store.entries())


def test_use_is_noted(three):
    store.ensure(recipe("oldest"), fill)
    assert kept() == ["oldest", "new", "older"]


def test_what_nobody_used_for_long_goes(three):
    assert [entry.name for entry in store.prune(timedelta(days=5))] == ["oldest", "older"]
    assert kept() == ["new"]
    (left,) = recipe().folder.parent.glob("older*")
    assert left == Path(building.lock_of(recipe("older").folder).lock_file)


def test_what_another_process_is_at_is_looked_at_once_that_is_done():
    folder = store.ensure(recipe(), fill)
    (folder / "root").write_bytes(b"y")
    with ThreadPoolExecutor() as pool, building.FileLock(building.lock_of(folder).lock_file):
        waiting = pool.submit(store.ensure, recipe(), fill)
        time.sleep(0.2)
        assert (folder / "root").read_bytes() == b"y"
        (folder / "root").write_bytes(b"x" * 1000)
    assert waiting.result() == folder


def test_what_is_too_much_goes_longest_unused_first(three):
    total = sum(entry.size for entry in store.entries())
    assert [entry.name for entry in store.prune(keep_bytes=total - 1)] == ["oldest"]


def test_what_is_in_the_making_stays(three):
    with building.FileLock(building.lock_of(recipe("oldest").folder).lock_file):
        store.prune(timedelta(0))
    assert kept() == ["oldest"]


@pytest.fixture(params=["", "{}", None], ids=["empty", "lacking", "absent"])
def damaged(request, three) -> Path:
    """What a power cut, another version, or a removal that isn't through leaves of the oldest."""
    folder = recipe("oldest").folder
    (folder / "entry.json").unlink()
    if request.param is not None:
        (folder / "entry.json").write_text(request.param)
    return folder


def test_what_does_not_say_what_it_is_is_passed_over(damaged):
    assert kept() == ["new", "older"]
    assert store.why(recipe("oldest", more="1")) == ["was not made yet"]


def test_what_does_not_say_what_it_is_goes(damaged, capsys):
    assert store.prune(timedelta(days=30)) == []
    assert not damaged.exists()
    assert f"{damaged} was damaged: removed" in capsys.readouterr().err
    assert kept() == ["new", "older"]


def test_what_does_not_say_what_it_is_yet_stays(damaged):
    with building.FileLock(building.lock_of(damaged).lock_file):
        store.prune(timedelta(days=30))
    assert damaged.exists()


@pytest.fixture
def half_made() -> dict[str, Path]:
    """Folders that something is made in, or was when it was killed, by kind."""
    recipes = [Recipe(kind, "x", {}) for kind in ("guest layer", "disk")]
    folders = {recipe.kind: Path(f"{recipe.folder}.making") for recipe in recipes}
    for folder in folders.values():
        folder.mkdir(parents=True)
        fill(folder)
    return folders


def test_what_killed_builds_left_half_made_goes(half_made):
    assert store.prune(timedelta(days=30)) == []
    assert not any(folder.exists() for folder in half_made.values())


def test_what_another_process_is_making_stays(half_made):
    with building.FileLock(building.lock_of(Recipe("disk", "x", {}).folder).lock_file):
        store.prune(timedelta(days=30))
    assert half_made["disk"].exists()
    assert not half_made["guest layer"].exists()


def test_what_is_being_made_is_none_of_its_own_leftovers(home):
    def make(folder):
        fill(folder)
        store.remove_leftovers()

    assert (store.ensure(recipe(), make) / "root").exists()


def test_of_two_removals_one_does(three, monkeypatch):
    there = store.entries()
    store.prune(timedelta(0))
    monkeypatch.setattr(store, "entries", lambda: there)
    assert store.prune(timedelta(0)) == []


def test_what_is_made_counts_as_part_of_its_own_work_alone(capsys):
    def elsewhere():
        store.ensure(recipe("elsewhere"), fill)

    with progress.parts("work", 1):
        other = threading.Thread(target=elsewhere)
        other.start()
        other.join()
        store.ensure(recipe("here"), fill)
    told = capsys.readouterr().err
    assert "guest layer here: 0.0 s (1 of 1, 100 %)" in told
    assert "guest layer elsewhere: 0.0 s\n" in told
