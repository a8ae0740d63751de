"""What a cloud is made of: services that stay, tasks that end, seeds that call APIs."""

import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from trove.tests.embedded.probes import Probe


@dataclass(frozen=True, kw_only=True)
class Unit:
    """One node of the start-up graph.

    Attributes:
        name: names log file and progress line.
        after: names of the units that must be ready before this one begins.
    """

    name: str
    after: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Service(Unit):
    """A process that the supervisor keeps running.

    Attributes:
        command: program and arguments.
        ready: tells when the service can be used.
        environment: variables beside those all services have.
    """

    command: tuple[str, ...]
    ready: Probe
    environment: Mapping[str, str] = field(default_factory=dict)

    @property
    def command_line(self) -> str:
        """The command as the supervisor's configuration wants it."""
        return shlex.join(self.command)


@dataclass(frozen=True, kw_only=True)
class Task(Unit):
    """Programs run inside the cloud, one after the other, each to its end.

    Attributes:
        commands: the programs with their arguments.
        folders: what they, and the service that follows, find made below the
            cloud's state.
        environment: variables beside those all tasks have.
    """

    commands: tuple[tuple[str, ...], ...]
    folders: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Seed(Unit):
    """Calls of the cloud's own APIs, made from the host."""

    action: Callable[[], None]
