"""How to reach an instance by hand: commands for each, in the run's folder.

That to its database logs in by itself, so that the password is in that file and on no screen.
"""

from collections.abc import Iterable
from pathlib import Path

from keystoneauth1 import exceptions as keystone_errors
from openstack import exceptions as sdk_errors
from troveclient import exceptions as trove_errors

from trove.tests.common.errors import ScenarioError
from trove.tests.harness.clients import Cloud
from trove.tests.harness.instances import Instance
from trove.tests.harness.run import Run
from trove.tests.harness.sql import Server

# With these the guest's address can't be told; that of the database still is.
_UNANSWERED = (
    *(ScenarioError, sdk_errors.SDKException),
    *(keystone_errors.ClientException, trove_errors.ClientException),
)


def command(run: Run, name: str) -> Path:
    """Return the file of the command that opens a client to an instance, by its name."""
    return run.logins / name


def guest(run: Run, name: str) -> str | None:
    """Return the command that opens a shell in an instance's guest, if there is one."""
    file = _shell(run, name)
    return file.read_text().rstrip() if file.exists() else None


def write(run: Run, instances: Iterable[Instance], admin: Cloud) -> list[str]:
    """Write the commands of each instance that has an address; return lines on each."""
    lines = []
    for instance in instances:
        lines.append(_written(run, instance))
        _write_shell(run, instance, admin)
        if shell := guest(run, instance.name):
            lines.append(f"  a shell in its guest: {shell}")
    return lines


def _written(run: Run, instance: Instance) -> str:
    try:
        server = Server(instance.address, instance.spec.port, instance.timeouts.connect)
    except _UNANSWERED as error:
        return f"{instance.name}: {error}"
    client = instance.spec.dialect.client(server, instance.login, instance.database)
    _fill(command(run, instance.name), f'#!/bin/sh\n{client} "$@"\n')
    return f"{instance.name} at {server.host}:{server.port}: {command(run, instance.name)}"


def _shell(run: Run, name: str) -> Path:
    return run.logins / f"{name}.shell"


def _write_shell(run: Run, instance: Instance, admin: Cloud) -> None:
    enter = run.journal.facts().get("enter")
    if enter is None:
        return
    line = enter.replace("{name}", instance.name)
    if "{address}" in line:
        try:
            line = line.replace("{address}", instance.guest_address(admin))
        except _UNANSWERED:
            return
    _fill(_shell(run, instance.name), f"{line}\n")


def _fill(file: Path, text: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    file.touch(mode=0o700)
    file.write_text(text)
