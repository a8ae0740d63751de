"""Objects: backups, guests' logs, and whatever else users put there.

One copy of each object, and so no replicators; what other daemons tidy up in the
background (statistics of accounts, expired objects) a short-lived cloud goes without.
"""

from trove.tests.embedded import probes
from trove.tests.embedded.cloud import Cloud, Settings
from trove.tests.embedded.components import OBJECT_STORAGE
from trove.tests.embedded.units import Service, Task, Unit

_PARTITIONS_POWER = "4"
_DEVICE = "disk"


def _ring(venv: str, kind: str, port: int) -> tuple[tuple[str, ...], ...]:
    """Return the commands that make the ring of one kind: one device has it all."""
    builder = (f"{venv}/bin/swift-ring-builder", f"/etc/swift/{kind}.builder")
    where = ("--ip", "127.0.0.1", "--port", str(port), "--device", _DEVICE)
    return (
        (*builder, "create", _PARTITIONS_POWER, "1", "1"),
        (*builder, "add", "--region", "1", "--zone", "1", *where, "--weight", "1"),
        (*builder, "rebalance", "--format-version=1"),
    )


def units(cloud: Cloud, settings: Settings) -> list[Unit]:
    """Return the units of Swift."""
    programs = f"{settings.venv}/bin"
    rings = [
        Task(name=f"{kind}-ring", commands=_ring(settings.venv, kind, port))
        for kind, port in OBJECT_STORAGE.items()
    ]
    servers = [
        Service(
            name=f"swift-{kind}-server",
            after=("disks", f"{kind}-ring"),
            folders=(f"disks/swift/{_DEVICE}",),
            command=(
                f"{programs}/swift-{kind}-server",
                f"/etc/swift/{kind}-server.conf",
                "--verbose",
            ),
            ready=probes.listens(cloud.folder, port),
        )
        for kind, port in OBJECT_STORAGE.items()
    ]
    proxy = Service(
        name="swift",
        after=tuple(server.name for server in servers),
        command=(f"{programs}/swift-proxy-server", "/etc/swift/proxy-server.conf", "--verbose"),
        ready=probes.answers_http(f"{cloud.url('swift')}/healthcheck", cloud.authority),
    )
    return [*rings, *servers, proxy]
