"""How Trove's guest agent starts each database's container.

It stands in trove's ``guestagent/datastore/*/service.py`` (``start_db``, ``HEALTHCHECK``)
and ``manager.py``; what tests start in its place, docker is told in the same words.
"""

import shlex
from dataclasses import dataclass
from typing import Any

import jinja2

from trove.tests.common import release
from trove.tests.common.errors import ScenarioError
from trove.tests.common.matrix import Target

# Whom the agent runs databases as, and what it calls the user and the container.
USER_ID = 1001
USER_NAME = "database"
CONTAINER_NAME = "database"

_SECOND = 10**9  # docker counts nanoseconds


@dataclass(frozen=True)
class Database:
    """What the agent gives a kind of database.

    Attributes:
        administrator: the database's user that the agent makes up a password for.
        password_variable: how the container's environment calls that password.
        environment: the rest of that environment.
        mounts: the guest's folders, and where the container has them.
        data: folder in the guest that the agent makes for the database's files.
        command: what the container is told to run.
        health: how docker finds out whether the database is healthy.
        settings_file: where Trove has the agent write the database's configuration.
        files: configuration as Trove would write it, or as little of it as will do.
        privileged: docker keeps nothing from the container.
    """

    administrator: str
    password_variable: str
    environment: dict[str, str]
    mounts: dict[str, str]
    data: str
    command: str
    health: tuple[str, ...]
    settings_file: str
    files: dict[str, str]
    privileged: bool = False


_MYSQL_MOUNTS = {
    "/etc/mysql": "/etc/mysql",
    "/var/lib/mysqld": "/var/run/mysqld",
    "/var/lib/mysql": "/var/lib/mysql",
}
_MYSQL_SETTINGS = """\
[mysqld]
socket = /var/run/mysqld/mysqld.sock
pid_file = /var/run/mysqld/mysqld.pid
skip_name_resolve = ON
"""
_POSTGRESQL_SETTINGS = """\
listen_addresses = '*'
data_directory = '/var/lib/postgresql/data/pgdata'
hba_file = '/etc/postgresql/pg_hba.conf'
"""
# The agent lets the administrator in from the guest alone; tests have no other user.
_POSTGRESQL_LOGINS = """\
local all all trust
host all postgres 127.0.0.1/32 trust
host all all 0.0.0.0/0 md5
"""

_DATABASES = {
    "mysql": Database(
        administrator="root",
        password_variable="MYSQL_ROOT_PASSWORD",
        environment={"MYSQL_INITDB_SKIP_TZINFO": "1"},
        mounts=_MYSQL_MOUNTS,
        data="/var/lib/mysql/data",
        command="--datadir=/var/lib/mysql/data",
        health=(
            *("mysqladmin", "ping", "-h", "127.0.0.1", "-u", "root"),
            "--password=$MYSQL_ROOT_PASSWORD",
        ),
        settings_file="/etc/mysql/my.cnf",
        files={"/etc/mysql/my.cnf": _MYSQL_SETTINGS, "/etc/mysql/conf.d/none.cnf": ""},
    ),
    "mariadb": Database(
        administrator="root",
        password_variable="MYSQL_ROOT_PASSWORD",
        environment={"MYSQL_INITDB_SKIP_TZINFO": "1", "MARIADB_AUTO_UPGRADE": "1"},
        mounts=_MYSQL_MOUNTS,
        data="/var/lib/mysql/data",
        command=(
            "--defaults-file=/etc/mysql/my.cnf --ignore-db-dir=lost+found"
            " --ignore-db-dir=conf.d --datadir=/var/lib/mysql/data"
        ),
        health=(
            *("healthcheck.sh", "--defaults-file", "/var/lib/mysql/data/.my-healthcheck.cnf"),
            *("--connect", "--innodb_initialized"),
        ),
        settings_file="/etc/mysql/my.cnf",
        files={"/etc/mysql/my.cnf": _MYSQL_SETTINGS, "/etc/mysql/conf.d/none.cnf": ""},
        privileged=True,
    ),
    "postgresql": Database(
        administrator="postgres",
        password_variable="POSTGRES_PASSWORD",
        environment={"PGDATA": "/var/lib/postgresql/data/pgdata"},
        mounts={
            "/etc/postgresql": "/etc/postgresql",
            "/var/lib/postgresql-socket": "/var/run/postgresql",
            "/var/lib/postgresql": "/var/lib/postgresql",
            "/var/lib/postgresql/data": "/var/lib/postgresql/data",
        },
        data="/var/lib/postgresql/data/pgdata",
        command="postgres -c config_file=/etc/postgresql/postgresql.conf",
        health=("pg_isready", "-U", "postgres"),
        settings_file="/etc/postgresql/postgresql.conf",
        files={
            "/etc/postgresql/postgresql.conf": _POSTGRESQL_SETTINGS,
            "/etc/postgresql/pg_hba.conf": _POSTGRESQL_LOGINS,
        },
    ),
}


def database(target: Target) -> Database:
    """Return what the agent gives the database of ``target``.

    Raises:
        ScenarioError: the agent's way with this kind of database is not written down here.
    """
    name = target.datastore.manager
    if name not in _DATABASES:
        known = ", ".join(sorted(_DATABASES))
        raise ScenarioError(f"How the agent starts {name!r} is not known; known are: {known}.")
    return _DATABASES[name]


def files(target: Target, ram_mb: int) -> dict[str, str]:
    """Return the database's configuration, file by file: this tree's template where it has one.

    Args:
        target: the cell of the matrix.
        ram_mb: the guest's memory, in MiB.
    """
    store = database(target)
    ours = release.TEMPLATES / target.datastore.name / target.version.name / "config.template"
    if not ours.exists():
        return store.files
    # The server's own one, which ours may include, isn't here.
    includes = {f"{target.datastore.name}/config.template": store.files[store.settings_file]}
    # A configuration file is no HTML.
    environment = jinja2.Environment(loader=jinja2.DictLoader(includes))  # noqa: S701
    template = environment.from_string(ours.read_text())
    return store.files | {store.settings_file: template.render(flavor={"ram": ram_mb}, server_id=1)}


def container(target: Target, password: str) -> dict[str, Any]:
    """Return the body of the request that the agent has docker make the container with.

    Args:
        target: the cell of the matrix.
        password: the administrator's.
    """
    store, port = database(target), target.datastore.port
    environment = {store.password_variable: password} | store.environment
    return {
        "Image": target.version.tagged(target.version.database),
        "User": f"{USER_ID}:{USER_ID}",
        "Env": [f"{name}={value}" for name, value in environment.items()],
        "Cmd": shlex.split(store.command),
        "Healthcheck": {
            "Test": ["CMD", *store.health],
            "StartPeriod": 10 * _SECOND,
            "Interval": 10 * _SECOND,
            "Timeout": 5 * _SECOND,
            "Retries": 3,
        },
        "ExposedPorts": {f"{port}/tcp": {}},
        "HostConfig": {
            "Binds": [f"{outside}:{inside}:rw" for outside, inside in store.mounts.items()],
            "IpcMode": "host",
            "NetworkMode": "bridge",
            "PortBindings": {f"{port}/tcp": [{"HostPort": str(port)}]},
            "Privileged": store.privileged,
            "RestartPolicy": {"Name": "unless-stopped"},
        },
    }
