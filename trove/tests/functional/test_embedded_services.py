"""A running cloud with every service: it heals, keeps its secrets, and can begin again."""

import json
import os
import stat
import time
from pathlib import Path

import openstack
import pytest

from trove.tests.common import paths
from trove.tests.embedded import namespaces, services
from trove.tests.embedded.cloud import Cloud
from trove.tests.embedded.supervision import RUNNING
from trove.tests.embedded.units import Service
from trove.tests.functional.conftest import verb
from trove.tests.functional.observing import wait_until
from trove.tests.functional.striking import kill_services, supervised

# What is killed together; what is named nowhere else is in the last group.
GROUPS = {
    "database": ["mariadb"],
    "broker": ["rabbitmq"],
    "switch": ["ovsdb", "vswitchd"],
    "network": ["ovn-nb", "ovn-sb", "ovn-northd", "ovn-controller"],
    "edges": ["libvirtd", "tls-proxy"],
    "openstack": [],
}
_NAMED = {name for group in GROUPS.values() for name in group}
IDLE_SHARE = 0.10


def legs(cloud: Cloud) -> set[str]:
    """Return the controller's addresses in the cloud's networks, and the way to tenants."""
    shown = verb("shell", "--inside", "--", "ip", "-4", "-o", "address", name=cloud.name).stdout
    route = ("ip", "route", "show", str(cloud.net.tenant))
    routes = verb("shell", "--inside", "--", *route, name=cloud.name).stdout
    expected = {str(cloud.net.controller), str(cloud.net.public[1])}
    return {address for address in expected if f"{address}/" in shown} | {routes.split(" ")[0]}


def connect(cloud: Cloud) -> openstack.connection.Connection:
    """Log in as the administrator."""
    return openstack.connect(cloud=cloud.admin_cloud)


def use(cloud: Cloud) -> None:
    """Have the services do something that needs all of them: APIs, workers, database, switch."""
    admin = connect(cloud)
    network = admin.network.create_network(name="used")
    admin.network.create_subnet(network_id=network.id, ip_version=4, cidr="192.0.2.0/24")
    admin.network.delete_network(network)
    assert [service.state for service in admin.compute.services()] == ["up"] * 3
    assert list(admin.image.images()) == []


@pytest.fixture
def environment(full_cloud, monkeypatch) -> Cloud:
    """The cloud, with the variables by which clients find its clouds.yaml."""
    done = verb("shell", "--", "env", name=full_cloud.name)
    for line in done.stdout.splitlines():
        name, _, value = line.partition("=")
        if name == "OS_CLIENT_CONFIG_FILE":
            monkeypatch.setenv(name, value)
    return full_cloud


def test_attaching_takes_a_moment(environment):
    begun = time.monotonic()
    assert verb("up", name=environment.name).returncode == 0
    assert time.monotonic() - begun < 5


def test_status_tells_programs_of_every_service(environment):
    done = verb("status", "--json", name=environment.name)
    (facts,) = json.loads(done.stdout)["clouds"]
    assert (done.returncode, facts["state"]) == (0, "up")
    by_name = {service["name"]: service for service in facts["services"]}
    assert by_name["mariadb"]["ports"] == [3306]
    assert all(service["rss"] >= service["pss"] > 0 for service in by_name.values())


def test_another_hypervisor_or_a_missing_service_is_refused(environment):
    done = verb("up", "--hypervisor", "kvm", name=environment.name)
    assert done.returncode == 1
    assert "runs with --hypervisor qemu" in done.stderr


def test_no_secret_is_in_a_log_or_a_process(environment):
    secrets = {secret.encode() for secret in environment.secrets.values()}
    assert len(secrets) == len(environment.secrets)

    def exposed(content: bytes) -> bool:
        return any(secret in content for secret in secrets)

    logs = [*environment.logs.rglob("*"), *(paths.home() / "logs").rglob("*")]
    assert [log for log in logs if log.is_file() and exposed(log.read_bytes())] == []
    for process in namespaces.members(environment.init).values():
        for file in ("cmdline", "environ"):
            assert not exposed(Path(f"/proc/{process.pid}/{file}").read_bytes()), process
    readable = [
        file
        for file in environment.etc.rglob("*")
        if file.is_file()
        and stat.S_IMODE(file.stat().st_mode) & 0o077
        and exposed(file.read_bytes())
    ]
    assert readable == []
    assert stat.S_IMODE((environment.folder / "secrets.json").stat().st_mode) == 0o600
    assert stat.S_IMODE(environment.folder.stat().st_mode) == 0o700


def test_the_databases_kept_for_other_clouds_have_no_secret(environment):
    secrets = [secret.encode() for secret in environment.secrets.values()]
    kept = [file for file in (paths.home() / "databases").rglob("*") if file.is_file()]
    assert kept
    addresses = str(environment.net.api).encode()
    for file in kept:
        content = file.read_bytes()
        assert not any(secret in content for secret in secrets), file
        assert addresses not in content, file


def test_an_idle_cloud_leaves_the_processor_alone(environment):
    def share() -> float:
        before, begun = namespaces.processor_seconds(environment.init), time.monotonic()
        time.sleep(20)
        spent = namespaces.processor_seconds(environment.init) - before
        return spent / (time.monotonic() - begun)

    # What was begun as it started comes to an end first.
    wait_until(lambda: share() < IDLE_SHARE, timeout=100)


def test_bulk_tcp_passes_routers_that_are_made_later(environment):
    network = connect(environment).network
    outside = network.find_network("public", ignore_missing=False)
    router = network.create_router(name="later", external_gateway_info={"network_id": outside.id})

    def bypassed() -> bool:
        find = ("find", "logical_router_port", "options:gateway_mtu_bypass=tcp")
        command = ("ovn-nbctl", "--bare", "--columns=networks", *find)
        shown = verb("shell", "--inside", "--", *command, name=environment.name).stdout
        (address,) = router.external_gateway_info["external_fixed_ips"]
        return f"{address['ip_address']}/" in shown

    wait_until(bypassed, timeout=20)
    network.delete_router(router)


@pytest.mark.timeout(300)
@pytest.mark.parametrize("group", GROUPS)
def test_killed_services_come_back(environment, group):
    cloud = environment
    before, reachable = supervised(cloud), legs(cloud)
    assert len(reachable) == 3
    victims = GROUPS[group] or sorted(set(before) - _NAMED)
    kill_services(cloud, victims)

    def again() -> bool:
        now = supervised(cloud)
        return all(
            now[name]["statename"] == RUNNING and now[name]["pid"] != before[name]["pid"]
            for name in victims
        )

    wait_until(again, timeout=60)
    for unit in services.units(cloud, cloud.settings):
        if isinstance(unit, Service):
            wait_until(lambda ready=unit.ready: ready() is None, timeout=120)
    wait_until(lambda: legs(cloud) == reachable, timeout=30)
    use(cloud)


@pytest.mark.timeout(300)
def test_a_reset_brings_the_first_state_back(environment):
    cloud = environment
    before = {network.name for network in connect(cloud).network.networks()}
    connect(cloud).network.create_network(name="extra")
    secrets = cloud.secrets
    done = verb("reset", name=cloud.name)
    assert done.returncode == 0, done.stderr
    assert {network.name for network in connect(cloud).network.networks()} == before
    assert cloud.secrets == secrets
    use(cloud)


def test_the_shell_has_the_clouds_environment(environment):
    seen = verb("shell", "--", "printenv", "OS_CLOUD", name=environment.name)
    assert seen.stdout == f"{environment.user_cloud}\n"
    inside = verb("shell", "--inside", "--", "hostname", name=environment.name)
    assert inside.stdout == "embedded\n"
    assert os.uname().nodename != "embedded"
