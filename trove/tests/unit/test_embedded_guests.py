"""The way into guests, with and without a kernel of their own."""

import shlex
import stat
from ipaddress import ip_address, ip_network
from types import SimpleNamespace

import pytest
from cryptography.hazmat.primitives.serialization import load_ssh_private_key, load_ssh_public_key

from trove.tests.common.errors import ScenarioError
from trove.tests.embedded import certificates, guests
from trove.tests.embedded.cloud import Cloud

# What libvirt writes down of a running guest, as far as it is read.
RECORD = """\
<!-- not to be edited -->
<domstatus state='running' pid='841'>
  {init}
  <domain type='{kind}'>
    <name>instance-0000000{number}</name>
    <uuid>id-of-{name}</uuid>
    <metadata>
      <nova:instance xmlns:nova="http://openstack.org/xmlns/libvirt/nova/1.1">
        <nova:name>{name}</nova:name>
        <nova:flavor name="m1"/>
        <nova:ports>
          <nova:port uuid="1">
            <nova:ip type="fixed" address="198.18.{number}.9" ipVersion="4"/>
          </nova:port>
          <nova:port uuid="2">
            <nova:ip type="fixed" address="198.19.{number}.9" ipVersion="4"/>
          </nova:port>
        </nova:ports>
      </nova:instance>
    </metadata>
  </domain>
</domstatus>
"""
MANAGEMENT = ip_network("198.19.7.0/24")


def addresses(number):
    return ip_address(f"198.18.{number}.9"), ip_address(f"198.19.{number}.9")


@pytest.fixture
def root(tmp_path, monkeypatch):
    for kind in ("lxc", "qemu"):
        folder = tmp_path / "run" / "libvirt" / kind
        folder.mkdir(parents=True)
        for number, name in ((3, "orders"), (7, "users")):
            init = f"<init pid='{number}'/>" if kind == "lxc" else ""
            text = RECORD.format(init=init, kind=kind, number=number, name=name)
            (folder / f"instance-0000000{number}.xml").write_text(text)
    monkeypatch.setattr(guests, "Path", lambda proc: tmp_path)
    return tmp_path


def a_cloud(hypervisor="lxc"):
    up = SimpleNamespace(pid=99), SimpleNamespace(hypervisor=hypervisor)
    net = SimpleNamespace(management=MANAGEMENT)
    return SimpleNamespace(name="mine", require_up=lambda: up, net=net, guest_key="/cloud/key")


def inside(command):
    """Return what is run in the cloud's namespaces by a command line that enters them."""
    assert command[:3] == ["nsenter", "--target", "99"]
    return command[command.index("--") + 1 :]


def test_guests_are_known_by_what_libvirt_writes_down(root):
    assert guests.running(root, "lxc") == [
        guests.Guest("orders", "id-of-orders", addresses(3), 3),
        guests.Guest("users", "id-of-users", addresses(7), 7),
    ]
    assert {guest.init for guest in guests.running(root, "qemu")} == {None}


@pytest.mark.parametrize("wanted", ["users", "id-of-users"])
@pytest.mark.parametrize(
    ("command", "program"), [(["docker", "ps"], ["docker", "ps"]), ([], ["/bin/bash", "-l"])]
)
def test_a_container_is_entered_by_name_or_id(root, wanted, command, program):
    entered = inside(guests.enter(a_cloud(), wanted, command))

    assert entered == ["nsenter", "--target", "7", "--all", "--", *program]


@pytest.mark.parametrize("kind", ["qemu", "kvm"])
def test_any_other_is_logged_in_to_over_the_management_network(root, kind):
    login = inside(guests.enter(a_cloud(kind), "users", []))

    assert login[0] == "ssh"
    assert login[login.index("-i") + 1] == "/cloud/key"
    assert login[-1] == "root@198.19.7.9"


def test_a_command_reaches_the_guest_word_by_word(root):
    wanted = ["sh", "-c", 'echo "$1"', "-", "a b"]

    *_, login, words = inside(guests.enter(a_cloud("qemu"), "users", wanted))

    assert login == "root@198.19.7.9"
    assert shlex.split(words) == wanted


@pytest.mark.parametrize(
    ("cloud", "wanted", "told"),
    [
        (
            a_cloud(),
            "nobody",
            "No guest 'nobody' runs in the cloud mine; known are: orders, users.",
        ),
        (a_cloud("qemu"), "orders", "orders has no address in the management network"),
    ],
    ids=["unknown", "out of reach"],
)
def test_it_is_told_why_nothing_is_entered(root, cloud, wanted, told):
    with pytest.raises(ScenarioError, match=told):
        guests.enter(cloud, wanted, [])


def test_a_cloud_that_is_down_has_no_guests(tmp_path, monkeypatch):
    monkeypatch.setenv("TROVE_SCENARIO_HOME", str(tmp_path))

    with pytest.raises(ScenarioError, match="The cloud mine is not up"):
        guests.enter(Cloud("mine"), "users", [])


def test_the_key_of_a_cloud_is_its_owners_alone(tmp_path):
    key = tmp_path / "key"

    line = certificates.make_login(key)

    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    private = load_ssh_private_key(key.read_bytes(), None)
    assert private.public_key() == load_ssh_public_key(line.encode())
