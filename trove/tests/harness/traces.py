"""What an instance consists of in the services below Trove."""

from collections.abc import Iterator

from openstack import exceptions as sdk_errors

from trove.tests.harness.clients import Cloud
from trove.tests.harness.instances import Instance
from trove.tests.harness.waiting import WaitTimeoutError, wait_for


class Traces:
    """An instance's server, ports, security group, volume and images.

    Args:
        admin: the cloud as its administrator sees it: Trove may keep an
            instance's resources in a project of its own.
        instance: the instance, which must still be there.
    """

    def __init__(self, admin: Cloud, instance: Instance) -> None:
        self._admin = admin
        self._instance = instance
        self._server = instance.server_id(admin)

    def found(self) -> list[str]:
        """Return what there is of the instance now, a line each."""
        return [
            *self._servers(),
            *self._ports(),
            *self._security_groups(),
            *self._volumes(),
            *self._images(),
        ]

    def left(self) -> list[str]:
        """Return what is still there of a deleted instance, a line each.

        Services finish a deletion on their own; they get a while for it.
        """
        try:
            wait_for(
                lambda: not self.found(),
                f"all of instance {self._instance.name} is gone",
                self._instance.timeouts.change,
            )
        except WaitTimeoutError:
            return self.found()
        return []

    def _servers(self) -> Iterator[str]:
        if self._server is None:
            for server in self._admin.compute.servers(all_projects=True, name=self._instance.name):
                yield f"server {server.id}"
            return
        try:
            server = self._admin.compute.get_server(self._server)
        except sdk_errors.NotFoundException:
            return
        yield f"server {server.id}"

    def _ports(self) -> Iterator[str]:
        for port in self._admin.network.ports():
            if self._instance.id in port.name or port.device_id == self._server:
                yield f"port {port.id}"

    def _security_groups(self) -> Iterator[str]:
        for group in self._admin.network.security_groups():
            if self._instance.id in group.name:
                yield f"security group {group.name}"

    def _images(self) -> Iterator[str]:
        # Others who use the cloud make images, too: one of a server's says so.
        for image in self._admin.image.images(visibility="all"):
            if self._server and image.instance_uuid == self._server:
                yield f"image {image.id}"

    def _volumes(self) -> Iterator[str]:
        if not self._instance.spec.volume_gb:
            return
        for volume in self._admin.block_storage.volumes(all_projects=True):
            if self._instance.id in (volume.name or ""):
                yield f"volume {volume.name}"
