"""When things happened in a run: what its instances went through, and what was waited for.

Written down while the run goes, by all its processes, a line an event: changes of an
instance's state beside the journal, and waits when they are over. Moments are seconds
since 1970.
"""

import json
import os
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from itertools import pairwise
from operator import attrgetter
from pathlib import Path
from typing import Any

from trove.tests.harness.redaction import redact
from trove.tests.harness.run import Run

WAITS = "waits.jsonl"
CREATE, BUILD, HEALTHY, UNWATCHED = "create", "BUILD", "HEALTHY", "unwatched"
# Seconds after its creation by which an instance is looked at, if anybody waits for it.
WATCHED = 2.0


@dataclass(frozen=True)
class Phase:
    """A time in which an instance was in one state.

    Attributes:
        state: in Trove's words; ``create`` while Trove was asked for the instance, and
            ``unwatched`` where it was built, or failed, while nobody looked. ``BUILD`` ends
            where the guest tells of its milestones, whose names follow.
        start: its first moment.
        end: its last moment.
    """

    state: str
    start: float
    end: float

    @property
    def seconds(self) -> float:
        """How long it was."""
        return self.end - self.start


@dataclass(frozen=True)
class Life:
    """What an instance went through.

    Attributes:
        name: the instance's.
        label: its name without what the names of all the run's instances begin with.
        phases: one after the other, without a gap.
    """

    name: str
    label: str
    phases: tuple[Phase, ...]

    @property
    def building(self) -> tuple[Phase, ...]:
        """What came before it was healthy for the first time."""
        return self.phases[: self._grown]

    @property
    def operations(self) -> dict[str, list[Phase]]:
        """What came after that, by state, but for being healthy."""
        found: dict[str, list[Phase]] = {}
        for phase in self.phases[self._grown :]:
            if phase.state != HEALTHY:
                found.setdefault(phase.state, []).append(phase)
        return found

    @property
    def seconds_to_healthy(self) -> float | None:
        """From asking for it until it was healthy; None if it never was, or unwatched."""
        watched = all(phase.state != UNWATCHED for phase in self.building)
        if self._grown == len(self.phases) or not watched:
            return None
        return self.phases[self._grown].start - self.phases[0].start

    @property
    def _grown(self) -> int:
        states = [phase.state for phase in self.phases]
        return states.index(HEALTHY) if HEALTHY in states else len(states)


@dataclass(frozen=True)
class Wait:
    """A wait that is over.

    Attributes:
        label: what was waited for.
        start: when the wait began.
        seconds: how long it was.
        came: whether what was waited for came.
        test: the test that waited, as pytest names it, with its phase; empty between tests.
    """

    label: str
    start: float
    seconds: float
    came: bool
    test: str = ""


def note_state(run: Run, instance: str, state: str) -> None:
    """Write down that an instance, by its name, was seen in another state than before.

    Never raises: what was looked for is there or not, also on a full disk.
    """
    _note(trail(run, instance), {state: time.time()})


def note_milestones(run: Run, instance: str, reached: dict[str, float]) -> None:
    """Write down what has begun in the guest of an instance, by its name, and when.

    Never raises, as ``note_state``; most looks find nothing new, and write nothing.
    """
    if reached:
        _note(_milestones(run, instance), reached)


def note_wait(run: Run, label: str, seconds: float, came: bool) -> None:
    """Write down that a wait is over, unless the run has no folder: then it uses no cloud.

    Never raises: a wait must not fail because it can't be told of.
    """
    test = os.environ.get("PYTEST_CURRENT_TEST", "")
    wait = Wait(redact(label), round(time.time() - seconds, 3), round(seconds, 3), came, test)
    with suppress(OSError), (run.folder / WAITS).open("a") as waits:
        waits.write(json.dumps(asdict(wait)) + "\n")


def trail(run: Run, instance: str) -> Path:
    """Return the file that an instance's changes of state are written to."""
    return run.folder / "states" / f"{instance}.log"


def _milestones(run: Run, instance: str) -> Path:
    return run.folder / "milestones" / f"{instance}.log"


def waits(run: Run) -> list[Wait]:
    """Return the waits that are over, the longest first."""
    found = []
    for line in _lines(run.folder / WAITS):
        # A line may be torn by the death of who wrote it.
        with suppress(ValueError):
            found.append(Wait(**json.loads(line)))
    return sorted(found, key=attrgetter("seconds"), reverse=True)


def lives(run: Run, until: float | None = None) -> list[Life]:
    """Return what each of the run's instances went through, in the order of their creation.

    Args:
        until: where those end that are still there, by default now.
    """
    until = time.time() if until is None else until
    events: dict[str, dict[str, dict[str, Any]]] = {}
    for event in run.journal.events():
        if event.get("kind") == "instance":
            events.setdefault(event["name"], {})[event["event"]] = event
    return [
        Life(name, name.removeprefix(run.prefix), tuple(_phases(run, name, its, until)))
        for name, its in events.items()
        # What was never made, or looked for in vain, is none.
        if "creating" in its and ("created" in its or "closed" not in its)
    ]


def _phases(
    run: Run, name: str, events: dict[str, dict[str, Any]], until: float
) -> Iterator[Phase]:
    seen = list(_seen(run, name))
    begun = [(events["creating"]["at"], CREATE)]
    if "created" in events:
        created = events["created"]["at"]
        watched = not seen or seen[0][1] == BUILD or seen[0][0] - created < WATCHED
        begun.append((created, BUILD if watched and seen else UNWATCHED))
    deleted = events.get("closed", {}).get("why") == "deleted"
    end = events["closed"]["at"] if deleted else until
    changes = _changes(begun + seen)
    milestones = list(_moments(_milestones(run, name)))
    for (start, state), (following, _) in pairwise([*changes, (end, "")]):
        # A clock may have jumped.
        phase = Phase(state, start, max(start, following))
        yield from _divided(phase, milestones) if state == BUILD else [phase]


def _divided(build: Phase, milestones: list[tuple[float, str]]) -> Iterator[Phase]:
    """Yield the parts of the time in which an instance was built, each from a milestone on."""
    # The guest's clock may be another one, and processes have noted the same.
    first = {name: at for at, name in reversed(milestones) if build.start < at < build.end}
    parts = [(build.start, build.state), *sorted((at, name) for name, at in first.items())]
    for (start, state), (end, _) in pairwise([*parts, (build.end, "")]):
        yield Phase(state, start, end)


def _seen(run: Run, name: str) -> Iterator[tuple[float, str]]:
    """Yield when an instance was seen in another state than before, by each process."""
    for moment, state in _moments(trail(run, name)):
        # After the slash stands the database's state.
        yield moment, HEALTHY if state.endswith(f"/{HEALTHY}") else state


def _note(file: Path, moments: dict[str, float]) -> None:
    """Add lines as ``_moments`` reads them."""
    lines = (
        f"{datetime.fromtimestamp(moment, UTC).isoformat(timespec='milliseconds')} {word}\n"
        for word, moment in moments.items()
    )
    with suppress(OSError):
        file.parent.mkdir(parents=True, exist_ok=True)
        with file.open("a") as noted:
            noted.write("".join(lines))


def _moments(file: Path) -> list[tuple[float, str]]:
    """Return the moments that a file tells of, in their order, with a word on each."""
    moments = []
    for line in _lines(file):
        moment, _, word = line.partition(" ")
        with suppress(ValueError):
            moments.append((datetime.fromisoformat(moment).timestamp(), word))
    return sorted(moments)


def _changes(moments: list[tuple[float, str]]) -> list[tuple[float, str]]:
    """Return the moments without those whose state is that of the one before."""
    first, *others = moments
    changes = [first]
    for moment in others:
        if moment[1] != changes[-1][1]:
            changes.append(moment)
    return changes


def _lines(file: Path) -> list[str]:
    try:
        return file.read_text().splitlines()
    except (FileNotFoundError, NotADirectoryError, PermissionError):
        return []
