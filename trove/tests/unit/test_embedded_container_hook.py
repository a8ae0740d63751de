"""What libvirt's hook does for a container."""

from xml.etree import ElementTree

from trove.tests.embedded.containers import hook

DOMAIN = ElementTree.fromstring("<domain><name>instance-00000007</name></domain>")


def test_the_groups_that_a_guest_made_are_removed_and_no_others(tmp_path, monkeypatch):
    monkeypatch.setattr(hook, "CONTROL_GROUPS", tmp_path)
    others = tmp_path / "pids/machine/lxc-41-instance-00000070.libvirt-lxc/init.scope"
    own = tmp_path / "pids/machine/lxc-42-instance-00000007.libvirt-lxc"
    unlimited = tmp_path / "devices/unlimited/machine/lxc-42-instance-00000007.libvirt-lxc"
    for group in (others, own / "docker/abc", own / "init.scope", unlimited / "system.slice"):
        group.mkdir(parents=True)

    hook.remove_control_groups(DOMAIN)

    assert not own.exists()
    assert not unlimited.exists()
    assert others.exists()
