"""nova-compute for guests that are containers.

In some places nova takes every guest for a virtual machine; there its driver is
corrected, for as long as this process runs.
"""

import contextlib
import os
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from xml.etree import ElementTree

# The first import of all, for it patches the standard library.
from nova.cmd import compute  # isort: skip
import libvirt_lxc
import psutil
from libvirt import libvirtError
from nova.virt import libvirt
from nova.virt.libvirt import blockinfo
from nova.virt.libvirt import utils as libvirt_utils
from oslo_concurrency import processutils
from oslo_log import log as logging

LOG = logging.getLogger(__name__)
BUS = "virtio"
STARTS_ANEW = 3

_named_bus = blockinfo.get_disk_bus_for_device_type


def _bus(instance, virt_type, image_meta, device_type="disk"):
    """Name a bus that libvirt knows: it refuses volumes on nova's own name for none."""
    named = _named_bus(instance, virt_type, image_meta, device_type)
    return BUS if named == "lxc" else named


def _is_known(guest, timeout=3):
    """Tell whether libvirt knows a container's first process; it is told as that starts.

    It may still know that of the same domain's last run, which takes its time to end.
    """
    deadline = time.monotonic() + timeout
    while time.monotonic() < deadline:
        with contextlib.suppress(libvirtError, OSError, psutil.Error):
            # nova's object is older than this run, and so is the id in it.
            domain = guest._domain.connect().lookupByUUID(guest._domain.UUID())
            if _namespaces_known(domain) & _namespaces(domain.ID()):
                return True
        time.sleep(0.1)
    return False


def _namespaces_known(domain):
    """Return the inodes of the namespaces that libvirt takes for a container's."""
    namespaces = libvirt_lxc.lxcOpenNamespace(domain, 0)
    try:
        return {os.fstat(namespace).st_ino for namespace in namespaces}
    finally:
        for namespace in namespaces:
            os.close(namespace)


def _namespaces(controller):
    """Return the inodes of the PID namespaces that the children of a controller are in."""
    children = psutil.Process(controller).children()
    return {Path(f"/proc/{child.pid}/ns/pid").stat().st_ino for child in children}


def _set_devices(xml, state):
    """Bring the host's ends of a container's network devices ``up`` or ``down``.

    The switch cuts what TCP sends into packets of the device's size: larger ones than
    the guest takes are lost, and libvirt leaves a container's devices at 1500 bytes.
    """
    for interface in ElementTree.fromstring(xml).iterfind("devices/interface"):
        device, mtu = interface.find("target").get("dev"), interface.find("mtu")
        size = () if mtu is None else ("mtu", mtu.get("size"))
        processutils.execute("ip", "link", "set", device, *size, state)


def _drain_console(guest, log):
    """Carry what a container writes to its console to nova's file, for as long as it runs.

    Nova itself reads such a console when somebody asks for it. Until then who writes to
    it waits, once its few KiB are full: the guest's journal, and all that logs through it.
    """
    console = ElementTree.fromstring(guest.get_xml_desc()).find("devices/console/source")
    with Path(log).open("ab") as file:
        subprocess.Popen(["cat", console.get("path")], stdout=file, stderr=subprocess.DEVNULL)


class ContainerDriver(libvirt.LibvirtDriver):
    """Starts containers for sure, detaches their devices, keeps the root of resized ones."""

    def _create_guest_with_network(
        self, context, xml, instance, network_info, *args, power_on=True, **kwargs
    ):
        """Start a container anew whose first process libvirt has missed.

        libvirt listens a moment too late for it at times. Nothing can be attached to
        such a container, nor can it be shut down. It reaches no network before it is
        known to stay: its guest agent would take a message, and take it along.
        """

        def start():
            started = super(ContainerDriver, self)._create_guest_with_network(
                context, xml, instance, network_info, *args, power_on=power_on, **kwargs
            )
            if power_on:
                # libvirt has brought them up, and a second later an agent is there.
                _set_devices(xml, "down")
            return started

        guest = start()
        for _ in range(STARTS_ANEW):
            if not power_on or _is_known(guest):
                break
            LOG.warning("libvirt has missed how %s began: it is started anew", guest.name)
            self._destroy(instance)
            self.unplug_vifs(instance, network_info)
            guest = start()
        if power_on:
            _drain_console(guest, self._get_console_log_path(instance))
            _set_devices(xml, "up")
        return guest

    def _soft_reboot(self, instance):
        """Leave it to the hard way: nova would start the domain without mounting its root."""
        return False

    def _detach_from_live_and_wait_for_event(self, dev, guest, instance_uuid, device_name):
        """Wait for nothing: libvirt's driver of containers detaches at once and sends no event."""
        self._detach_sync(dev, guest, instance_uuid, device_name, persistent=False, live=True)

    def migrate_disk_and_power_off(self, context, instance, *args, **kwargs):
        """Move the root disk as well: nova moves the domain's disks, and a mounted root is none."""
        disks = super().migrate_disk_and_power_off(context, instance, *args, **kwargs)
        folder = Path(libvirt_utils.get_instance_path(instance))
        root = folder.with_name(f"{folder.name}_resize") / "disk"
        processutils.execute("cp", "--reflink=auto", "--sparse=always", str(root), str(folder))
        return disks


if __name__ == "__main__":
    blockinfo.get_disk_bus_for_device_type = _bus
    blockinfo.SUPPORTED_DEVICE_BUSES["lxc"] = [BUS]
    # A config drive is made, but is none of a container's devices: it takes no name,
    # so that a volume that comes back has the one it had.
    blockinfo.configdrive = SimpleNamespace(required_by=lambda _instance: False)
    libvirt.LibvirtDriver = ContainerDriver
    sys.exit(compute.main())
