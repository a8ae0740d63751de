"""Copies of a cloud's databases: migrated ones for later clouds, seeded ones for a reset.

Both are taken while the daemons that write them are stopped for a moment. What
they have written by then is one consistent state, the one that a power cut
leaves, and their own recovery starts from it.
"""

import shutil
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from trove.tests.common import content, paths
from trove.tests.common.commands import run
from trove.tests.embedded import configuration
from trove.tests.embedded.cloud import Cloud
from trove.tests.embedded.namespaces import enter, members
from trove.tests.embedded.services.builders import sql
from trove.tests.embedded.supervision import Supervisor
from trove.tests.embedded.units import Chore, Migration, Unit, without

_DATABASE = "mariadb"
_SERVER = Path("/usr/sbin/mariadbd")
_WRITERS = (_DATABASE, "ovsdb", "ovn-nb", "ovn-sb")


def templates() -> Path:
    """Return the folder of migrated databases, one sub-folder for each content key."""
    return paths.home() / "databases"


def template(cloud: Cloud, units: Sequence[Unit]) -> Path:
    """Return where the databases lie, or will, that the migrations of the cloud's units make.

    It is named by all that shapes them: how they are created and made, the pins (which
    name the migrations' programs) and the database server. In which cloud's folder they
    were made doesn't matter.
    """
    makers = [unit for unit in units if isinstance(unit, Migration) or unit.name == "mariadb-files"]
    commands = [f"{unit.name}: {command}" for unit in makers for command in unit.commands]
    anywhere = [command.replace(str(cloud.folder), "") for command in commands]
    # As it is in the tree: what is rendered has the cloud's password.
    creation = configuration.source(configuration.DATABASES)
    return templates() / content.key([*anywhere, creation, _SERVER])


def from_template(cloud: Cloud, units: Sequence[Unit]) -> list[Unit]:
    """Return the units with a copy in place of the migrations, where there is one to copy.

    Where there is none it is made once the migrations are through.
    """
    source = template(cloud, units)
    migrations = {unit.name for unit in units if isinstance(unit, Migration)}
    if source.exists():
        files = Chore(name="mariadb-files", action=lambda: _use(source, cloud.state / _DATABASE))
        kept = without(units, migrations)
        return [files if unit.name == files.name else unit for unit in kept]
    making = Chore(
        name="database-template", after=tuple(migrations), action=lambda: _save(cloud, source)
    )
    # Nobody but migrations uses the databases while they are copied.
    later = [
        replace(unit, after=(*unit.after, making.name))
        if unit.name not in migrations and migrations.intersection(unit.after)
        else unit
        for unit in units
    ]
    return [*later, making]


def _use(source: Path, target: Path) -> None:
    source.touch()  # so that one can tell when it was used last
    _copy([source], target)


def _save(cloud: Cloud, target: Path) -> None:
    """Copy the migrated databases, without the one user whose password is this cloud's."""
    log = cloud.log("database-template")

    def execute(statement: str) -> None:
        run(enter(cloud.init, sql(statement)), log=log, what="Keeping migrated databases")

    target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    part = target.with_name(f".{target.name}-{cloud.name}.part")
    shutil.rmtree(part, ignore_errors=True)
    execute("DROP USER 'openstack'@'127.0.0.1'")
    with _frozen(cloud, [_DATABASE]):
        _copy([cloud.state / _DATABASE], part)
    execute("source /etc/mariadb.sql")
    if target.exists():
        shutil.rmtree(part)  # another cloud was faster
    else:
        part.rename(target)


def take(cloud: Cloud) -> None:
    """Keep the state of a cloud that has just been seeded."""
    part = cloud.seeded.with_suffix(".part")
    part.mkdir()
    with _frozen(cloud, _WRITERS):
        _copy([path for path in cloud.state.iterdir() if path not in _not_kept(cloud)], part)
    part.rename(cloud.seeded)


def _not_kept(cloud: Cloud) -> tuple[Path, ...]:
    """Return what a reset makes anew.

    The broker's users and queues are made at its first start, and nobody's messages
    outlive a reset; nothing is on the disks of a cloud that was just seeded.
    """
    return cloud.state / "rabbitmq", cloud.disks, cloud.disks_file


def restore(cloud: Cloud) -> None:
    """Give a cloud that is down its seeded state back.

    Raises:
        ScenarioError: the disk is full.
    """
    for folder in (cloud.state, *(cloud.folder / name for name in ("run", "var", "etc.work"))):
        shutil.rmtree(folder, ignore_errors=True)
    _copy([cloud.seeded], cloud.state)


def _copy(sources: Sequence[Path], target: Path) -> None:
    """Copy folders: by reference where the file system can, and holes as holes."""
    command = ["cp", "--archive", "--reflink=auto", "--sparse=always"]
    log = paths.home() / "logs" / "copies.log"
    run([*command, *sources, target], log=log, what="Copying a cloud's databases")


@contextmanager
def _frozen(cloud: Cloud, names: Sequence[str]) -> Iterator[None]:
    """Hold services still for as long as the block runs."""
    supervisor = Supervisor(cloud.supervisor)
    numbers = {process["name"]: process["pid"] for process in supervisor.processes()}
    inside = members(cloud.init)
    try:
        for name in names:
            supervisor.signal(name, "STOP")
        for name in names:
            while not _stopped(inside[numbers[name]].pid):
                time.sleep(0.01)
        yield
    finally:
        for name in names:
            supervisor.signal(name, "CONT")


def _stopped(pid: int) -> bool:
    """Tell whether every thread of a process is stopped."""
    threads = Path(f"/proc/{pid}/task").glob("*/stat")
    return all(thread.read_text().rpartition(") ")[2].startswith("T") for thread in threads)
