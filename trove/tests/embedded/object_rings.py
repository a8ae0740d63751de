"""Write Swift's rings, each with one device that has all of it.

Runs as a script with the services' own Python: ``object_rings.py DEVICE KIND=PORT …``.
One process for all of them: starting one costs more than what it does.
"""

import sys

from swift.common.ring import RingBuilder

PARTITIONS_POWER = 4


def write(kind: str, port: int, device: str) -> None:
    """Write the ring of one kind, reached at that port of loopback."""
    builder = RingBuilder(PARTITIONS_POWER, replicas=1, min_part_hours=0)
    builder.add_dev(
        {
            **{"region": 1, "zone": 1, "weight": 1.0, "device": device},
            **{"ip": "127.0.0.1", "port": port},
        }
    )
    builder.rebalance()
    builder.get_ring().save(f"/etc/swift/{kind}.ring.gz")


if __name__ == "__main__":
    for argument in sys.argv[2:]:
        kind, port = argument.split("=")
        write(kind, int(port), device=sys.argv[1])
