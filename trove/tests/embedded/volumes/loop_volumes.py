"""A Cinder driver whose volumes are sparse files, attached as loop devices.

For a cloud of one machine: the volume service and the guests' hypervisor see the
same files. Of the drivers that Cinder brings none runs there: LVM wants the
device-mapper and a target, NFS a server, all others a product of their own.

Copies are made by reference, so clones and snapshots take no time and no room;
the files lie on a file system that can do that, such as XFS.
"""

import os
import shutil
from pathlib import Path

import loops
from cinder import exception, interface
from cinder.image import image_utils
from cinder.volume import configuration, driver, volume_utils
from oslo_config import cfg
from oslo_utils import units

OPTIONS = [
    cfg.StrOpt(
        "loop_volumes_folder",
        default="$state_path/volumes",
        help="Folder of the volumes' files, on a file system that copies by reference.",
    ),
]
cfg.CONF.register_opts(OPTIONS, group=configuration.SHARED_CONF_GROUP)


@interface.volumedriver
class LoopVolumeDriver(driver.VolumeDriver):
    """Volumes and snapshots are files, named after them, in one folder.

    A volume's device gets a number when it is attached, and another one the next
    time. What Nova notes is a symbolic link of the volume's name, which stays.
    """

    VERSION = "1.0"

    def __init__(self, *args, **kwargs) -> None:
        super().__init__(*args, **kwargs)
        self.configuration.append_config_values(OPTIONS)
        self._folder = Path(self.configuration.loop_volumes_folder)
        self._links = self._folder / "attached"
        self._holders: dict[str, int] = {}

    def do_setup(self, context) -> None:
        """Make the folders."""
        self._links.mkdir(mode=0o700, parents=True, exist_ok=True)

    def check_for_setup_error(self) -> None:
        """Raise an error unless the folder's file system copies by reference."""
        probe = self._folder / "probe"
        probe.write_bytes(bytes(4096))
        copy = self._folder / "probe-copy"
        try:
            self._copy(probe, copy)
        except Exception as error:
            message = f"{self._folder} is on a file system that does not copy by reference"
            raise exception.VolumeBackendAPIException(data=message) from error
        finally:
            probe.unlink()
            copy.unlink(missing_ok=True)

    # Volumes and snapshots

    def create_volume(self, volume) -> None:
        """Make an empty volume."""
        file = self._file(volume)
        file.touch(mode=0o600)
        self._grow(file, volume.size)

    def delete_volume(self, volume) -> None:
        """Delete a volume; one that is gone already is none to complain about."""
        self.remove_export(None, volume)
        self._file(volume).unlink(missing_ok=True)

    def extend_volume(self, volume, new_size: int) -> None:
        """Make a volume larger; an attached one's device grows with it."""
        self._grow(self._file(volume), new_size)
        if holder := self._holders.get(volume.name):
            loops.resize(holder)

    def create_snapshot(self, snapshot) -> None:
        """Keep what a volume holds at this moment."""
        self._copy_volume(snapshot.volume, self._file(snapshot))

    def delete_snapshot(self, snapshot) -> None:
        """Delete a snapshot; one that is gone already is none to complain about."""
        self._file(snapshot).unlink(missing_ok=True)

    def create_volume_from_snapshot(self, volume, snapshot) -> None:
        """Make a volume of a snapshot's content, of the same size or larger."""
        self._copy(self._file(snapshot), self._file(volume))
        self._grow(self._file(volume), volume.size)

    def create_cloned_volume(self, volume, src_vref) -> None:
        """Make a volume of another one's content, of the same size or larger."""
        self._copy_volume(src_vref, self._file(volume))
        self._grow(self._file(volume), volume.size)

    def revert_to_snapshot(self, context, volume, snapshot) -> None:
        """Give a volume the content that it had; it keeps its size."""
        self._copy(self._file(snapshot), self._file(volume))
        self._grow(self._file(volume), volume.size)

    # Images

    def copy_image_to_volume(
        self, context, volume, image_service, image_id: str, disable_sparse: bool = False
    ) -> None:
        """Write an image's content to a volume."""
        image_utils.fetch_to_raw(
            context,
            image_service,
            image_id,
            self.local_path(volume),
            self.configuration.volume_dd_blocksize,
            size=volume.size,
            disable_sparse=disable_sparse,
        )
        self._grow(self._file(volume), volume.size)

    def copy_volume_to_image(self, context, volume, image_service, image_meta: dict) -> None:
        """Make an image of a volume's content."""
        self._flush(volume)
        volume_utils.upload_volume(
            context, image_service, image_meta, self.local_path(volume), volume
        )

    # Attachments

    def ensure_export(self, context, volume) -> None:
        """Keep an attached volume's device, whoever kept it before."""
        self._attach(volume)

    def create_export(self, context, volume, connector: dict) -> None:
        """Do nothing: there is no target apart from the connection."""

    def initialize_connection(self, volume, connector: dict, **kwargs) -> dict:
        """Attach a volume's file to a device of this machine."""
        return {
            "driver_volume_type": "local",
            "data": {"device_path": str(self._attach(volume))},
        }

    def terminate_connection(self, volume, connector: dict | None, **kwargs) -> None:
        """Do nothing: the device is let go with the export."""

    def remove_export(self, context, volume) -> None:
        """Let a volume's device go; it ends when its last user closes it."""
        if holder := self._holders.pop(volume.name, None):
            os.close(holder)
        self._link(volume).unlink(missing_ok=True)

    def _attach(self, volume) -> Path:
        """Return the path of a volume's device, made if there is none yet."""
        link, file = self._link(volume), self._file(volume)
        if volume.name not in self._holders:
            holder = loops.hold(link, file)
            if holder is None:
                holder, device = loops.attach(file)
                link.unlink(missing_ok=True)
                link.symlink_to(device)
            self._holders[volume.name] = holder
        return link

    # Files

    def local_path(self, volume) -> str:
        """Return the path of a volume's file."""
        return str(self._file(volume))

    def _file(self, thing) -> Path:
        """Return the file of a volume or a snapshot."""
        return self._folder / thing.name

    def _link(self, volume) -> Path:
        return self._links / volume.name

    def _copy_volume(self, volume, target: Path) -> None:
        self._flush(volume)
        self._copy(self._file(volume), target)

    def _flush(self, volume) -> None:
        """Bring what was written to an attached volume's device into its file."""
        if holder := self._holders.get(volume.name):
            os.fsync(holder)

    def _copy(self, source: Path, target: Path) -> None:
        self._execute("cp", "--reflink=always", str(source), str(target))

    def _grow(self, file: Path, gib: int) -> None:
        os.truncate(file, gib * units.Gi)

    def _update_volume_stats(self) -> None:
        """Tell the scheduler what there is, and what this driver can do."""
        room = shutil.disk_usage(self._folder)
        self._stats = {
            "volume_backend_name": self.configuration.volume_backend_name,
            "vendor_name": "trove-scenario",
            "driver_version": self.VERSION,
            "storage_protocol": "local",
            "total_capacity_gb": room.total / units.Gi,
            "free_capacity_gb": room.free / units.Gi,
            "reserved_percentage": self.configuration.reserved_percentage,
            "max_over_subscription_ratio": self.configuration.max_over_subscription_ratio,
            "thin_provisioning_support": True,
            "sparse_copy_volume": True,
            "multiattach": False,
            # A virtual machine would have to be told, and Nova doesn't do that for local
            # devices; a container may not resize a file system that is mounted.
            "online_extend_support": False,
        }
