"""What was built and is kept: found again by what went into it, explained, listed, removed."""

import contextlib
import json
import os
import shutil
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from filelock import Timeout

from trove.tests.common import content, paths, progress
from trove.tests.harness import building

_FACTS = "entry.json"
# What comes of facts that are not all there.
_UNREADABLE = (OSError, ValueError, KeyError)


@dataclass(frozen=True)
class Recipe:
    """What something is made of, and so what it is.

    Attributes:
        kind: what it is, such as ``guest layer``.
        name: whose, such as ``debian-trixie``.
        inputs: what goes into it: each thing's name with its value or, after a ``#``, its hash.
    """

    kind: str
    name: str
    inputs: Mapping[str, str]

    @property
    def key(self) -> str:
        """A hash of all inputs."""
        return content.key([json.dumps([self.kind, self.name, dict(self.inputs)], sort_keys=True)])

    @property
    def folder(self) -> Path:
        """Where it is kept, once it is made."""
        return paths.images() / self.kind.replace(" ", "-") / f"{self.name}-{self.key}"

    def __str__(self) -> str:
        return f"{self.kind} {self.name}"


@dataclass(frozen=True)
class Entry:
    """Something that is kept.

    Attributes:
        folder: where.
        kind: as in its recipe.
        name: as in its recipe.
        inputs: as in its recipe.
        size: in bytes.
        seconds: how long it took to make.
        made_at: when that was, in seconds since the epoch.
        used_at: when it was last asked for, likewise.
    """

    folder: Path
    kind: str
    name: str
    inputs: Mapping[str, str]
    size: int
    seconds: float
    made_at: float
    used_at: float


def hashed(path: Path) -> str:
    """Return the hash of a file or folder as an input's value."""
    return f"#{content.key([path])}"


def hashed_files(folder: Path) -> dict[str, str]:
    """Return the hash of each file in a folder of the tree, by its path below ``integration``.

    What is written for people alone doesn't count.
    """
    return {
        str(file.relative_to(folder.parents[1])): hashed(file)
        for file in sorted(folder.rglob("*"))
        if file.is_file() and file.suffix != ".rst" and "__pycache__" not in file.parts
    }


def ensure(recipe: Recipe, make: Callable[[Path], None]) -> Path:
    """Return the folder of what a recipe makes, made if need be.

    What is there but isn't what was made any more is made again.

    Raises:
        ScenarioError: it can't be made here.
    """

    def make_and_note(folder: Path) -> None:
        begun = time.monotonic()
        with progress.part(str(recipe)):
            make(folder)
        _note(recipe, folder, time.monotonic() - begun)

    folder = recipe.folder
    if folder.is_dir():
        # Another process may be removing it, or making it again.
        with building.lock_of(folder):
            _check(recipe, folder)
    return building.made_once(folder, make_and_note)


def _check(recipe: Recipe, folder: Path) -> None:
    """Note the use of what is there; what is damaged goes."""
    if not folder.is_dir():
        return
    if damage := _damage(folder):
        progress.say(f"{recipe}: {damage}, so it is made again")
        shutil.rmtree(folder)
    else:
        progress.say(f"{recipe}: reused ({folder})")
        os.utime(folder / _FACTS)


def why(recipe: Recipe) -> list[str]:
    """Return why something has to be made, reason by reason; nothing if it is there."""
    if recipe.folder.is_dir():
        damage = _damage(recipe.folder)
        return [damage] if damage else []
    earlier = [each for each in entries() if (each.kind, each.name) == (recipe.kind, recipe.name)]
    if not earlier:
        return ["was not made yet"]
    return _differences(max(earlier, key=lambda each: each.made_at).inputs, recipe.inputs)


def entries() -> list[Entry]:
    """Return all that is kept and says what it is, what was used last first."""
    found = [entry for folder in _folders() if (entry := _entry(folder))]
    return sorted(found, key=lambda entry: entry.used_at, reverse=True)


def _folders() -> list[Path]:
    return [folder for kind in paths.images().glob("*") for folder in building.made_in(kind)]


def remove_leftovers() -> None:
    """Remove what killed builds left half made, of whatever kind; what is being made stays."""
    for kind in paths.images().glob("*"):
        building.remove_leftovers(kind)


def prune(unused_for: timedelta | None = None, keep_bytes: int | None = None) -> list[Entry]:
    """Remove what nobody has used for some time, then the longest unused until few bytes are left.

    What is damaged so that it doesn't say what it is goes in any case, and so does what killed
    builds left half made; what is being made or replaced at the moment stays.

    Returns:
        what was removed, but for what was damaged or half made.
    """
    remove_leftovers()
    _remove_damaged()
    removed = []
    kept = entries()
    total = sum(entry.size for entry in kept)
    for entry in reversed(kept):
        old = unused_for is not None and time.time() - entry.used_at > unused_for.total_seconds()
        surplus = keep_bytes is not None and total > keep_bytes
        if (old or surplus) and _remove(entry.folder):
            total -= entry.size
            removed.append(entry)
    return removed


def _remove_damaged() -> None:
    for folder in _folders():
        # Else it might be made again between the look and the removal.
        with contextlib.suppress(Timeout), building.lock_of(folder).acquire(timeout=0):
            if _entry(folder) is None and _remove(folder):
                progress.say(f"{folder} was damaged: removed")


def _remove(folder: Path) -> bool:
    # The lock's file stays: who waits for it would hold another lock than who comes later.
    try:
        with building.lock_of(folder).acquire(timeout=0):
            if not folder.is_dir():
                return False
            shutil.rmtree(folder)
            building.log_of(folder).unlink(missing_ok=True)
    except Timeout:
        return False
    return True


def _note(recipe: Recipe, folder: Path, seconds: float) -> None:
    files = [file for file in folder.rglob("*") if file.is_file()]
    facts = {
        "kind": recipe.kind,
        "name": recipe.name,
        "inputs": dict(recipe.inputs),
        "seconds": round(seconds, 1),
        "made_at": time.time(),
        "files": {str(file.relative_to(folder)): content.digest(file) for file in files},
    }
    (folder / _FACTS).write_text(json.dumps(facts, indent=2) + "\n")


def _facts(folder: Path) -> dict[str, Any]:
    return json.loads((folder / _FACTS).read_text())


def _damage(folder: Path) -> str | None:
    """Return what is wrong with something kept, if anything."""
    try:
        files = _facts(folder)["files"]
        digests = {name: content.digest(folder / name) for name in files}
    except _UNREADABLE as error:
        return f"damaged ({error})"
    changed = [name for name, digest in digests.items() if digest != files[name]]
    return f"damaged ({changed[0]} is not what was made)" if changed else None


def _entry(folder: Path) -> Entry | None:
    """Return what is kept in a folder; None where that is damaged, or about to be gone."""
    try:
        facts = _facts(folder)
        return Entry(
            folder=folder,
            kind=facts["kind"],
            name=facts["name"],
            inputs=facts["inputs"],
            size=sum(each.stat().st_size for each in folder.rglob("*") if each.is_file()),
            seconds=facts["seconds"],
            made_at=facts["made_at"],
            used_at=(folder / _FACTS).stat().st_mtime,
        )
    except _UNREADABLE:
        return None


def _differences(before: Mapping[str, str], now: Mapping[str, str]) -> list[str]:
    reasons = []
    for name in sorted(before.keys() | now.keys()):
        if name not in now:
            reasons.append(f"{name} is gone")
        elif name not in before:
            reasons.append(f"{name} is new")
        elif before[name] != now[name]:
            told = "" if now[name].startswith("#") else f": {before[name]} → {now[name]}"
            reasons.append(f"{name} changed{told}")
    return reasons
