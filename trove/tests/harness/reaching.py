"""How to reach an instance by hand: a command for each, in the run's folder.

That to its database logs in by itself, so that the password is in that file and on no screen.
"""

from collections.abc import Iterable
from pathlib import Path

from trove.tests.common.errors import ScenarioError
from trove.tests.harness.instances import Instance
from trove.tests.harness.run import Run
from trove.tests.harness.sql import Server


def command(run: Run, name: str) -> Path:
    """Return the file of the command that opens a client to an instance, by its name."""
    return run.logins / name


def guest(run: Run, name: str) -> str | None:
    """Return the command that opens a shell in an instance's guest, if the cloud has one."""
    enter = run.journal.facts().get("enter")
    return enter and f"{enter} {name}"


def write(run: Run, instances: Iterable[Instance]) -> list[str]:
    """Write the command of each instance that has an address; return lines on each."""
    lines = []
    for instance in instances:
        lines.append(_written(run, instance))
        if shell := guest(run, instance.name):
            lines.append(f"  a shell in its guest: {shell}")
    return lines


def _written(run: Run, instance: Instance) -> str:
    try:
        server = Server(instance.address, instance.spec.port, instance.timeouts.connect)
    except ScenarioError as error:
        return str(error)
    client = instance.spec.dialect.client(server, instance.login, instance.database)
    file = command(run, instance.name)
    file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    file.touch(mode=0o700)
    file.write_text(f'#!/bin/sh\n{client} "$@"\n')
    return f"{instance.name} at {server.host}:{server.port}: {file}"
