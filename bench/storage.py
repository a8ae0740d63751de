"""Objects and volumes, as a tenant on this machine uses them."""

import hashlib
import os

import openstack
from openstack.connection import Connection

from bench.figures import Figures
from trove.tests.common.errors import ScenarioError

SIZE = 128 << 20
NAME = "bench"


def measure(figures: Figures, cloud: str) -> None:
    """Move an object to Swift and back; make a volume and a snapshot of it."""
    connection = openstack.connect(cloud=cloud)
    _objects(figures, connection)
    _volumes(figures, connection)


def _objects(figures: Figures, connection: Connection) -> None:
    swift, data = connection.object_store, os.urandom(SIZE)
    swift.put(f"/{NAME}").raise_for_status()
    try:
        with figures.rate("Swift put", SIZE):
            stored = swift.put(f"/{NAME}/{NAME}", data=data)
        stored.raise_for_status()
        with figures.rate("Swift get", SIZE):
            back = swift.get(f"/{NAME}/{NAME}").content
        if stored.headers["Etag"].strip('"') != hashlib.md5(data).hexdigest() or back != data:
            raise ScenarioError("Swift returns other bytes than it was given.")
    finally:
        swift.delete(f"/{NAME}/{NAME}")
        swift.delete(f"/{NAME}")


def _volumes(figures: Figures, connection: Connection) -> None:
    cinder = connection.block_storage
    with figures.seconds("volume create"):
        volume = cinder.create_volume(name=NAME, size=1)
        cinder.wait_for_status(volume, "available", interval=0.5, wait=120)
    try:
        with figures.seconds("volume snapshot"):
            snapshot = cinder.create_snapshot(name=NAME, volume_id=volume.id)
            cinder.wait_for_status(snapshot, "available", interval=0.5, wait=120)
        cinder.delete_snapshot(snapshot)
        cinder.wait_for_delete(snapshot, interval=0.5, wait=120)
    finally:
        with figures.seconds("volume delete"):
            cinder.delete_volume(volume)
            cinder.wait_for_delete(volume, interval=0.5, wait=120)
