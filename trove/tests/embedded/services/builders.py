"""Shapes of units that several services share."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType

from trove.tests.embedded import probes
from trove.tests.embedded.cloud import Cloud, Settings
from trove.tests.embedded.units import Service, Task

DATABASE_SOCKET = "/run/mariadb.sock"


def wsgi(
    cloud: Cloud,
    settings: Settings,
    name: str,
    after: tuple[str, ...],
    folders: tuple[str, ...] = (),
    *,
    urgent: bool = False,
) -> Service:
    """Return an API served by gunicorn.

    It needs no users or endpoints yet: it logs in when it is first asked something.
    The services parse ``sys.argv``, so gunicorn gets its options by variable.
    """
    options = f"--config /etc/gunicorn/{name}.py --no-control-socket"
    return Service(
        name=name,
        after=after,
        folders=folders,
        command=(f"{settings.venv}/bin/gunicorn",),
        # neutron counts its workers by this variable under anything but uWSGI.
        environment={"GUNICORN_CMD_ARGS": options, "ASGI_WORKERS": "1"},
        ready=probes.answers_http(cloud.url(name), cloud.authority),
        urgent=urgent,
    )


def reads(configuration: Sequence[str]) -> list[str]:
    """Return the options that name a service's configuration files, below /etc."""
    return [word for file in configuration for word in ("--config-file", f"/etc/{file}")]


def worker(
    cloud: Cloud,
    settings: Settings,
    name: str,
    after: tuple[str, ...],
    *,
    queue: str,
    configuration: Sequence[str],
    environment: Mapping[str, str] = MappingProxyType({}),
    program: tuple[str, ...] | None = None,
    folders: tuple[str, ...] = (),
) -> Service:
    """Return a service that is reached by the message queue alone."""
    return Service(
        name=name,
        after=after,
        folders=folders,
        command=(
            *(program or (f"{settings.venv}/bin/{name}",)),
            *reads(configuration),
        ),
        environment=environment,
        ready=probes.consumes(str(cloud.net.api), cloud.secrets["rabbitmq"], queue),
    )


def sql(statement: str) -> tuple[str, ...]:
    """Return the command that has the cloud's database server run a statement."""
    return ("mariadb", "--no-defaults", f"--socket={DATABASE_SOCKET}", "--execute", statement)


def heard_now(component: str, column: str) -> Task:
    """Return the task of a reset that lets workers count as alive before they report again.

    Restored databases say that they were heard of last when the cloud was made.

    Args:
        component: whose workers.
        column: where it keeps the time.
    """
    return Task(
        name=f"{component}-workers",
        after=(f"{component}-database",),
        commands=(sql(f"UPDATE {component}.services SET {column} = UTC_TIMESTAMP()"),),
        lasting=False,
    )
