"""The addresses of the embedded cloud.

They lie in 198.18.0.0/15, a range that is never routed on the Internet
(RFC 2544), and exist on this machine alone: a fence route makes the whole range
unreachable wherever no cloud claims a part of it.
"""

from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network

from trove.tests.common import proxies

RANGE = proxies.EMBEDDED_CLOUDS
_PREFIX = 20
SLOTS = 1 << (_PREFIX - RANGE.prefixlen)

DNS_PORT = 53
# What the clouds' own name servers call the APIs' address; the domain is nobody's (RFC 6761).
API_NAME = "api.trove.test"


@dataclass(frozen=True)
class Addresses:
    """The part of the range that one cloud uses.

    Attributes:
        slot: which /20 of the range, from 0; two clouds have different ones.
    """

    slot: int = 0

    @property
    def everything(self) -> IPv4Network:
        """All addresses of this cloud; the host routes them into it."""
        return list(RANGE.subnets(new_prefix=_PREFIX))[self.slot]

    def _subnet(self, number: int) -> IPv4Network:
        return list(self.everything.subnets(new_prefix=24))[number]

    @property
    def host(self) -> IPv4Address:
        """The host's end of the link into the cloud."""
        return self._subnet(0)[1]

    @property
    def api(self) -> IPv4Address:
        """The cloud's end of that link, where every API answers, and the name server."""
        return self._subnet(0)[2]

    @property
    def link_prefix(self) -> int:
        """Prefix length of the link between host and cloud."""
        return 30

    @property
    def public(self) -> IPv4Network:
        """The external network: routers have a leg in it."""
        return self._subnet(1)

    @property
    def router(self) -> IPv4Address:
        """The outer address of the demo project's router."""
        return self.public[2]

    @property
    def management(self) -> IPv4Network:
        """The network between guest agents and the message queue."""
        return self._subnet(2)

    @property
    def controller(self) -> IPv4Address:
        """Where guest agents reach the message queue."""
        return self.management[2]

    @property
    def tenant(self) -> IPv4Network:
        """The demo project's own network, where databases answer."""
        return self._subnet(8)

    @property
    def mtu(self) -> int:
        """Largest packet in guests' networks, in bytes: what Geneve leaves of 1500."""
        return 1442

    @property
    def link(self) -> str:
        """Name of the host's network interface into the cloud."""
        return f"trove-cloud{self.slot}"
