"""What a cloud is made of: services that stay, tasks that end, chores done from outside."""

import shlex
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace

from trove.tests.embedded.probes import Probe


@dataclass(frozen=True, kw_only=True)
class Unit:
    """One node of the start-up graph.

    Attributes:
        name: names log file and progress line.
        after: names of the units that must be ready before this one begins.
        folders: what it finds made below the cloud's state.
    """

    name: str
    after: tuple[str, ...] = ()
    folders: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Service(Unit):
    """A process that the supervisor keeps running.

    Attributes:
        command: program and arguments.
        ready: tells when the service can be used.
        environment: variables beside those all services have.
        urgent: many wait for it, so the kernel lets it go before others.
    """

    command: tuple[str, ...]
    ready: Probe
    environment: Mapping[str, str] = field(default_factory=dict)
    urgent: bool = False

    @property
    def command_line(self) -> str:
        """The command as the supervisor's configuration wants it."""
        precedence = ("nice", "--adjustment=-10") if self.urgent else ()
        return shlex.join((*precedence, *self.command))


@dataclass(frozen=True, kw_only=True)
class Task(Unit):
    """Programs run inside the cloud, one after the other, each to its end.

    Attributes:
        commands: the programs with their arguments.
        environment: variables beside those all tasks have.
        lasting: whether all it does lies in the cloud's folder; what does not
            ends with the namespaces, and is done again by a reset.
    """

    commands: tuple[tuple[str, ...], ...]
    environment: Mapping[str, str] = field(default_factory=dict)
    lasting: bool = True


@dataclass(frozen=True, kw_only=True)
class Migration(Task):
    """A task that brings a component's databases to the series' schema.

    What it leaves there must be the same for all clouds, no password and no
    address in it: later clouds start from a copy.
    """


@dataclass(frozen=True, kw_only=True)
class Chore(Unit):
    """A function called on the host, to its end; what it does lies below the cloud's folder."""

    action: Callable[[], None]


@dataclass(frozen=True, kw_only=True)
class Seed(Chore):
    """Calls of the cloud's own APIs, made from the host."""


def without(units: Iterable[Unit], dropped: Collection[str] = ()) -> list[Unit]:
    """Return the units but the dropped ones, in an order that still holds.

    Who came after a dropped unit comes after what that one came after. Names that
    are no unit's don't count.
    """
    by_name = {unit.name: unit for unit in units}

    def remaining(names: Iterable[str]) -> Iterator[str]:
        for name in names:
            if name in dropped:
                yield from remaining(by_name[name].after)
            elif name in by_name:
                yield name

    return [
        replace(unit, after=tuple(dict.fromkeys(remaining(unit.after))))
        for unit in by_name.values()
        if unit.name not in dropped
    ]
