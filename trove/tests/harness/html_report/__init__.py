"""A run as one HTML file, which needs nothing but a browser.

``page.html.j2`` is its structure, ``charts.html.j2`` how times are drawn; style and script
stand in files of their own and are put into the page.
"""

import secrets
from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import jinja2

from trove.tests.harness.milestones import AGENT, BOOT, CONTAINER
from trove.tests.harness.timeline import BUILD, CREATE, HEALTHY, UNWATCHED, Life, Wait

STAGES = ("setup", "call", "teardown")
# In this order a test with several of them counts as the first.
OUTCOMES = ("error", "failed", "xpassed", "xfailed", "skipped", "passed", "unfinished")
BAD = ("error", "failed")
# Of the longest waits and tests.
SHOWN = 10
# Between marks of a time axis, in seconds; the smallest is taken that makes few enough.
STEPS = (1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1200, 1800, 3600, 7200, 14400, 28800)
MARKS = 8
# The narrowest bar, in percent: one pixel or two.
NARROWEST = 0.15
_KINDS = {
    CREATE: "build",
    BUILD: "build",
    **{milestone: milestone for milestone in (BOOT, AGENT, CONTAINER)},
    HEALTHY: "healthy",
    UNWATCHED: "unwatched",
}


@dataclass(frozen=True)
class Case:
    """A test that was begun, or a file that can't be collected.

    Attributes:
        name: as pytest names it.
        outcome: one of ``OUTCOMES``.
        worker: the process that ran it.
        start: first moment of its last attempt, in seconds since 1970; None if it isn't known.
        seconds: how long the stages of that were, those of ``STAGES`` that it had.
        reason: why it was skipped or had to fail.
        kind: the type of that reason, of a skipped one.
        texts: titles and texts of what it leaves to read.
        attempts: how often it was tried.
    """

    name: str
    outcome: str
    worker: str = ""
    start: float | None = None
    seconds: dict[str, float] = field(default_factory=dict)
    reason: str = ""
    kind: str = ""
    texts: tuple[tuple[str, str], ...] = ()
    attempts: int = 1

    @property
    def total(self) -> float:
        """Seconds of these stages."""
        return sum(self.seconds.values())

    @property
    def parts(self) -> list[tuple[str, float]]:
        """Its stages with their seconds; what decided its outcome is named after that."""
        stages = [stage for stage in STAGES if stage in self.seconds]
        decisive = "call" if "call" in stages else "setup"
        return [
            (self.outcome if stage == decisive else stage, self.seconds[stage]) for stage in stages
        ]


@dataclass(frozen=True)
class Report:
    """What there is to tell of a run.

    Attributes:
        facts: what was tested, by names for people.
        start: first moment, in seconds since 1970.
        end: last moment.
        verdict: ``passed``, ``failed`` or ``interrupted``.
        ended_by: what ended the run before its time, if anything.
        cases: its tests.
        lives: its instances.
        waits: its waits, the longest first.
        left: what could not be deleted, a line each.
    """

    facts: dict[str, str]
    start: float
    end: float
    verdict: str
    ended_by: str = ""
    cases: tuple[Case, ...] = ()
    lives: tuple[Life, ...] = ()
    waits: tuple[Wait, ...] = ()
    left: tuple[str, ...] = ()

    @property
    def counts(self) -> dict[str, int]:
        """How many tests came to which outcome."""
        counted = Counter(case.outcome for case in self.cases)
        return {outcome: counted[outcome] for outcome in OUTCOMES if counted[outcome]}

    @property
    def skips(self) -> list[tuple[str, int]]:
        """Types of reasons for skipping, each with how many tests it is true of."""
        return Counter(case.kind for case in self.cases if case.kind).most_common()

    @property
    def failures(self) -> list[Case]:
        """Tests that failed."""
        return [case for case in self.cases if case.outcome in BAD]

    @property
    def workers(self) -> dict[str, list[Case]]:
        """Tests by the process that ran them, as far as it is known when."""
        found: dict[str, list[Case]] = {}
        for case in self.cases:
            if case.start is not None:
                found.setdefault(case.worker, []).append(case)
        return dict(sorted(found.items(), key=lambda item: (len(item[0]), item[0])))

    @property
    def slowest(self) -> list[Case]:
        """The tests that took longest."""
        return sorted(self.cases, key=lambda case: case.total, reverse=True)[:SHOWN]


@dataclass(frozen=True)
class Axis:
    """Where moments are between a first and a last one, in percent."""

    start: float
    end: float

    def at(self, moment: float) -> float:
        """Return the place of a moment; what lies outside is at the edge."""
        length = max(self.end - self.start, 1e-3)
        return round(min(max((moment - self.start) / length, 0), 1) * 100, 3)

    def width(self, start: float, end: float) -> float:
        """Return the width of a time, wide enough to be seen."""
        return max(round(self.at(end) - self.at(start), 3), NARROWEST)

    @property
    def marks(self) -> list[tuple[float, str]]:
        """Places to mark, each with the time since the first moment."""
        length = self.end - self.start
        step = next((step for step in STEPS if length / step <= MARKS), STEPS[-1])
        return [
            (self.at(self.start + seconds), _duration(seconds))
            for seconds in range(0, int(length) + 1, step)
        ]


def render(report: Report) -> str:
    """Return the page."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        undefined=jinja2.StrictUndefined,
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"duration": _duration, "moment": _moment, "kind": _kind}
    numbered = {id(case): number for number, case in enumerate(report.cases, 1)}
    return environment.get_template("page.html.j2").render(
        report=report,
        axis=Axis(report.start, report.end),
        number=lambda case: numbered[id(case)],
        shown=SHOWN,
        stages=STAGES,
        # No script but the page's own is run, whatever a test is named.
        nonce=secrets.token_hex(16),
    )


def worst(outcomes: Collection[str]) -> str:
    """Return the outcome that a test with all of these has."""
    return next((outcome for outcome in OUTCOMES if outcome in outcomes), "unfinished")


def _kind(state: str) -> str:
    """Return the kind of an instance's state: those of a kind look the same."""
    if state.endswith(("ERROR", "FAILED")):
        return "broken"
    return _KINDS.get(state, "deletion" if state == "SHUTDOWN" else "operation")


def _duration(seconds: float) -> str:
    if seconds < 60:
        return f"{seconds:g} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    parts = (f"{hours} h", f"{minutes} min", f"{rest} s")
    return " ".join(part for part in parts if not part.startswith("0 "))


def _moment(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
