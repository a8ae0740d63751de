"""The way into guests that share the cloud's kernel."""

from types import SimpleNamespace

import pytest

from trove.tests.common.errors import ScenarioError
from trove.tests.embedded import guests

# What libvirt writes down of a running container, as far as it is read.
RECORD = """\
<!-- not to be edited -->
<domstatus state='running' pid='841'>
  <init pid='{init}'/>
  <domain type='lxc'>
    <name>instance-0000000{init}</name>
    <uuid>{id}</uuid>
    <metadata>
      <nova:instance xmlns:nova="http://openstack.org/xmlns/libvirt/nova/1.1">
        <nova:name>{name}</nova:name>
        <nova:flavor name="m1"/>
      </nova:instance>
    </metadata>
  </domain>
</domstatus>
"""


@pytest.fixture
def root(tmp_path):
    folder = tmp_path / "run" / "libvirt" / "lxc"
    folder.mkdir(parents=True)
    for init, name in ((3, "orders"), (7, "users")):
        text = RECORD.format(init=init, id=f"id-of-{name}", name=name)
        (folder / f"instance-0000000{init}.xml").write_text(text)
    return tmp_path


def a_cloud(hypervisor="lxc", *, up=True):
    settings = SimpleNamespace(hypervisor=hypervisor) if up else None
    init = SimpleNamespace(pid=99) if up else None
    return SimpleNamespace(name="mine", init=init, settings=settings)


def test_guests_are_known_by_what_libvirt_writes_down(root):
    assert guests.running(root) == [
        guests.Guest("orders", "id-of-orders", 3),
        guests.Guest("users", "id-of-users", 7),
    ]


@pytest.mark.parametrize("wanted", ["users", "id-of-users"])
def test_a_guest_is_entered_by_name_or_id(root, monkeypatch, wanted):
    monkeypatch.setattr(guests, "Path", lambda proc: root)

    command = guests.enter(a_cloud(), wanted, ["bash"])

    assert command[:3] == ["nsenter", "--target", "99"]
    inside = command[command.index("--") + 1 :]
    assert inside == ["nsenter", "--target", "7", "--all", "--", "bash"]


@pytest.mark.parametrize(
    ("cloud", "told"),
    [
        (a_cloud(up=False), "The cloud mine is not up"),
        (a_cloud("qemu"), r"have kernels of their own \(qemu\)"),
        (a_cloud(), "No guest 'nobody' runs in the cloud mine; known are: orders, users."),
    ],
    ids=["down", "emulated", "unknown"],
)
def test_it_is_told_why_nothing_is_entered(root, monkeypatch, cloud, told):
    monkeypatch.setattr(guests, "Path", lambda proc: root)

    with pytest.raises(ScenarioError, match=told):
        guests.enter(cloud, "nobody", ["bash"])


def test_only_a_cloud_of_containers_has_a_way_in():
    assert guests.way_in(a_cloud()) == "trove-cloud --name mine enter"
    assert guests.way_in(a_cloud("qemu")) is None
