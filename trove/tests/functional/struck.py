"""What a run does while a service of its cloud is killed; test_faults.py runs these tests.

They are collected by name only, and each is a run of its own:
``pytest trove/tests/functional/struck.py -m mariadb -k "create and nova-compute"``.
"""

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from trove.tests.embedded.cloud import Cloud as EmbeddedCloud
from trove.tests.functional import striking
from trove.tests.harness import redaction
from trove.tests.harness.instances import Instance
from trove.tests.harness.replication import ReplicationGroup
from trove.tests.harness.waiting import wait_for
from trove.tests.harness.workload import Workload

SERVICES = ("trove-taskmanager", "trove-conductor", striking.AGENT, "rabbitmq", "nova-compute")
# Names the file that the run's secrets are written to, for who looks whether they are told.
SECRETS = "TROVE_STRUCK_SECRETS"


@pytest.fixture(scope="session", autouse=True)
def secrets(clouds) -> Iterator[None]:
    """Writes down what no log and no report of the run may have."""
    yield
    if file := os.environ.get(SECRETS):
        tokens = [cloud.connection.auth_token for cloud in clouds]
        Path(file).write_text(json.dumps([*redaction.known(), *tokens]))


@pytest.fixture(params=SERVICES)
def strike(request, admin_cloud) -> Callable[[Instance], None]:
    """Kills a service of the cloud, or the agent in an instance's guest."""
    embedded = EmbeddedCloud()

    def strike(instance: Instance) -> None:
        if request.param == striking.AGENT:
            server = admin_cloud.compute.get_server(instance.server_id(admin_cloud))
            striking.kill_agent(embedded, server.instance_name)
        else:
            striking.kill_services(embedded, [request.param])

    return strike


@pytest.fixture
def under_way(strike, request, admin_cloud) -> Callable[[Instance], bool]:
    """Tells whether the service that is to be killed is at work for a new instance."""
    service = request.node.callspec.params["strike"]

    def under_way(instance: Instance) -> bool:
        shown = admin_cloud.trove.mgmt_instances.show(instance.id).to_dict()
        if service in (striking.AGENT, "trove-conductor"):
            # The agent, through the conductor, has begun to report.
            return shown["service_status"] != "NEW"
        return bool((shown.get("server") or {}).get("id"))

    return under_way


@pytest.fixture
def source(instance_factory) -> Instance:
    """A healthy instance."""
    instance = instance_factory.request("source")
    instance.wait_until_built()
    return instance


def test_next(cloud, target):
    """Begins a run, with all that this takes, and ends it."""


def test_undisturbed(source):
    """Makes an instance, and lets it be."""


def test_full_disk(source, run):
    """Fills what the run writes to; nothing there can be written any more, to the run's end."""
    with (run.folder / "ballast").open("wb", buffering=0) as ballast:
        while True:
            ballast.write(b"x")


def test_create(instance_factory, under_way, strike):
    instance = instance_factory.request("struck")
    wait_for(
        lambda: under_way(instance), "work is under way", instance.timeouts.failed, interval=0.2
    )

    strike(instance)

    instance.wait_until_built()


def test_backup(source, object_store, backups, strike):
    workload = Workload(source)
    workload.write(20)
    backup = backups.request(source)

    strike(source)

    backup.wait_until_completed()
    workload.verify()


def test_promote(source, instance_factory, strike):
    (replica,) = instance_factory.request_replicas(source)
    replica.wait_until_built()
    group = ReplicationGroup(source, [replica])
    workload = Workload(source)
    workload.write(20)
    group.wait_until_served(workload)
    group.request_promotion(replica)

    strike(replica)

    group.wait_until_promoted(replica)
    workload.verify(group.source)
