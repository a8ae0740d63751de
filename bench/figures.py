"""Figures: what was measured, what it should be, and how both are shown."""

import statistics
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from rich.table import Table

from trove.tests.common import matrix, progress


@dataclass(frozen=True)
class Goal:
    """What a figure should be.

    Attributes:
        bound: the limit, in the figure's unit.
        least: the figure should be no less than that, else no more.
    """

    bound: float
    least: bool = False

    def __str__(self) -> str:
        return f"{'≥' if self.least else '≤'} {self.bound:g}"

    def met_by(self, value: float) -> bool:
        """Tell whether a value is good enough."""
        return value >= self.bound if self.least else value <= self.bound


TRANSFER = Goal(50, least=True)
GOALS = {
    "first up": Goal(90),
    "warm up": Goal(40),
    "attach": Goal(2),
    "reset": Goal(40),
    "down": Goal(10),
    "idle: use of one processor": Goal(10),
    "idle: memory": Goal(7 * 1024),
    "instance create to healthy (lxc)": Goal(25),
    "instance create to healthy (qemu)": Goal(90),
    "two instances at once, to one alone (lxc)": Goal(1.6),
    "two instances at once, to one alone (qemu)": Goal(1.6),
    "SQL result to client": TRANSFER,
    "SQL statement to server": TRANSFER,
    "Swift put": TRANSFER,
    "Swift get": TRANSFER,
    "guest to Swift": TRANSFER,
    "Swift to guest": TRANSFER,
}
for _datastore in matrix.load().datastores:
    GOALS |= {
        f"guest on to healthy (qemu, {_datastore})": Goal(60),
        f"guest on to healthy (lxc, {_datastore})": Goal(15),
        f"guest untuned, to tuned (qemu, {_datastore})": Goal(2.5, least=True),
        f"run of tests ({_datastore}): share of its machinery": Goal(2),
    }


@dataclass
class Figures:
    """All values measured, by what they are of."""

    values: dict[str, list[float]] = field(default_factory=dict)
    units: dict[str, str] = field(default_factory=dict)

    def add(self, name: str, value: float, unit: str) -> None:
        """Note one value."""
        self.values.setdefault(name, []).append(value)
        self.units[name] = unit
        progress.say(f"{name}: {value:.1f} {unit}")

    @contextmanager
    def seconds(self, name: str) -> Iterator[None]:
        """Note how long the block took; nothing where it failed."""
        begun = time.monotonic()
        yield
        self.add(name, time.monotonic() - begun, "s")

    @contextmanager
    def rate(self, name: str, size: int) -> Iterator[None]:
        """Note how many MB (millions of bytes) a second the block, which moved ``size``, did."""
        begun = time.monotonic()
        yield
        self.add(name, size / (time.monotonic() - begun) / 1e6, "MB/s")

    def summary(self) -> dict[str, dict]:
        """Return the figures, fit for JSON."""
        return {
            name: {
                "unit": self.units[name],
                "median": statistics.median(values),
                "min": min(values),
                "max": max(values),
                "values": values,
                "goal": str(GOALS[name]) if name in GOALS else None,
            }
            for name, values in self.values.items()
        }

    def table(self) -> Table:
        """Return the figures as a table; red is what misses its goal."""
        table = Table("figure", "unit", box=None)
        for heading in ("median", "min", "max", "goal"):
            table.add_column(heading, justify="right")
        for name, facts in self.summary().items():
            missed = name in GOALS and not GOALS[name].met_by(facts["median"])
            numbers = (f"{facts[number]:.1f}" for number in ("median", "min", "max"))
            style = "red" if missed else None
            table.add_row(name, facts["unit"], *numbers, facts["goal"] or "", style=style)
        return table
