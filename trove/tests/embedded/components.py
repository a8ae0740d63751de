"""The one table of the cloud's OpenStack services: what each is called and where it answers."""

from collections.abc import Iterable
from dataclasses import dataclass

from trove.tests.common.errors import ScenarioError


@dataclass(frozen=True, kw_only=True)
class Component:
    """One OpenStack service of the cloud.

    Attributes:
        port: where its API answers.
        catalogue: service type and the path of its endpoint, None for keystone,
            which enters itself.
        wsgi: module that gunicorn serves; None where the service brings its server.
        databases: names of its databases.
        files: its configuration files below /etc that are known before the start.
        needs: other components without which it is of no use.
    """

    port: int
    catalogue: tuple[str, str] | None = None
    wsgi: str | None = None
    databases: tuple[str, ...] = ()
    files: tuple[str, ...] = ()
    needs: tuple[str, ...] = ("keystone",)


COMPONENTS = {
    "keystone": Component(
        port=5000,
        wsgi="keystone.wsgi.api",
        databases=("keystone",),
        files=("keystone/keystone.conf",),
        needs=(),
    ),
    "glance": Component(
        port=9292,
        catalogue=("image", ""),
        wsgi="glance.wsgi.api",
        databases=("glance",),
        files=("glance/glance-api.conf",),
    ),
    "placement": Component(
        port=8778,
        catalogue=("placement", ""),
        wsgi="placement.wsgi.api",
        databases=("placement",),
        files=("placement/placement.conf",),
    ),
    "neutron": Component(
        port=9696,
        catalogue=("network", ""),
        wsgi="neutron.wsgi.api",
        databases=("neutron",),
        files=("neutron/neutron.conf", "neutron/plugins/ml2/ml2_conf.ini"),
    ),
    "nova": Component(
        port=8774,
        catalogue=("compute", "/v2.1"),
        wsgi="nova.wsgi.osapi_compute",
        databases=("nova_api", "nova", "nova_cell0"),
        files=("nova/nova.conf",),
        needs=("keystone", "glance", "placement", "neutron"),
    ),
    "swift": Component(
        port=8080,
        catalogue=("object-store", "/v1/AUTH_%(project_id)s"),
        files=(
            "swift/swift.conf",
            "swift/proxy-server.conf",
            "swift/account-server.conf",
            "swift/container-server.conf",
            "swift/object-server.conf",
        ),
    ),
    "cinder": Component(
        port=8776,
        catalogue=("volumev3", "/v3/%(project_id)s"),
        wsgi="cinder.wsgi.api",
        databases=("cinder",),
        files=("cinder/cinder.conf",),
    ),
    "barbican": Component(
        port=9311,
        catalogue=("key-manager", ""),
        wsgi="barbican.wsgi.api",
        databases=("barbican",),
        files=("barbican/barbican.conf",),
    ),
    "trove": Component(
        port=8779,
        catalogue=("database", "/v1.0/%(project_id)s"),
        databases=("trove",),
        files=("trove/trove.conf", "trove/trove-guestagent.conf"),
        needs=("keystone", "glance", "neutron", "nova", "cinder", "swift"),
    ),
}
# What stores Swift's objects and their listings, and the ports on loopback.
OBJECT_STORAGE = {"account": 6202, "container": 6201, "object": 6200}


def with_needs(names: Iterable[str]) -> tuple[str, ...]:
    """Return the named components and all they need, in the table's order.

    Raises:
        ScenarioError: a name is not in the table.
    """
    wanted: set[str] = set()
    open_names = list(names)
    while open_names:
        name = open_names.pop()
        if name not in COMPONENTS:
            raise ScenarioError(
                f"The embedded cloud has no service {name!r}: choose from {', '.join(COMPONENTS)}."
            )
        if name not in wanted:
            wanted.add(name)
            open_names += COMPONENTS[name].needs
    return tuple(name for name in COMPONENTS if name in wanted)
