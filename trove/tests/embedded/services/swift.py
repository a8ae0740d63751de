"""Objects: backups, guests' logs, and whatever else users put there.

One copy of each object, and so no replicators; what other daemons tidy up in the
background (statistics of accounts, expired objects) a short-lived cloud goes without.
"""

from pathlib import Path

from trove.tests.embedded import probes
from trove.tests.embedded.cloud import Cloud, Settings
from trove.tests.embedded.components import OBJECT_STORAGE
from trove.tests.embedded.units import Service, Task, Unit

_RINGS = Path(__file__).parents[1] / "object_rings.py"
_DEVICE = "disk"
# Of objects that don't outlive their cloud none need outlive a power cut: nobody waits
# until they are on the machine's own disk.
_WITHOUT_WAITING = {"LD_PRELOAD": "libeatmydata.so"}


def units(cloud: Cloud, settings: Settings) -> list[Unit]:
    """Return the units of Swift."""
    programs = f"{settings.venv}/bin"
    ports = [f"{kind}={port}" for kind, port in OBJECT_STORAGE.items()]
    rings = Task(
        name="object-rings", commands=((f"{programs}/python", str(_RINGS), _DEVICE, *ports),)
    )
    servers = [
        Service(
            name=f"swift-{kind}-server",
            after=("disks", "object-rings"),
            folders=(f"disks/swift/{_DEVICE}",),
            environment=_WITHOUT_WAITING,
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
    return [rings, *servers, proxy]
