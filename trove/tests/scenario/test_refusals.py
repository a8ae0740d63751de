"""What Trove refuses to create, with which status and in which words."""

from contextlib import suppress
from uuid import uuid4

import pytest
from troveclient.exceptions import (
    BadRequest,
    NotFound,
    RequestEntityTooLarge,
)

from trove.tests.common.errors import ScenarioError
from trove.tests.fixtures.applicability import Reason, skip
from trove.tests.harness.waiting import FailedStateError

UNKNOWN = str(uuid4())
# What an instance that begins with another's data takes from it.
INHERITED = dict.fromkeys(
    ("flavor_id", "datastore", "datastore_version", "volume", "databases", "users")
)
NOT_OF_A_REPLICA = {
    "flavor_id": "Cannot specify flavor when creating replicas.",
    "datastore": "Cannot specify datastore when creating replicas.",
    "volume": "Cannot specify volume when creating replicas.",
    "locality": "Cannot specify locality when creating replicas.",
    "users": "Cannot create a replica with users or databases.",
    "databases": "Cannot create a replica with users or databases.",
}

pytestmark = pytest.mark.instances


# An instance that can't be had


@pytest.mark.parametrize(
    ("request_change", "status", "words"),
    [
        pytest.param(
            {"flavor_id": UNKNOWN}, BadRequest, f"Resource {UNKNOWN} cannot be found.", id="flavor"
        ),
        pytest.param(
            {"datastore": "no-such-datastore"},
            NotFound,
            "Datastore 'no-such-datastore' cannot be found.",
            id="datastore",
        ),
        pytest.param(
            {"datastore_version": "no-such-version"},
            BadRequest,
            "Datastore version 'no-such-version' cannot be found.",
            id="version",
        ),
        pytest.param(
            {"restorePoint": {"backupRef": UNKNOWN}},
            NotFound,
            f"Resource {UNKNOWN} cannot be found.",
            id="backup",
        ),
        pytest.param(
            {"region_name": "Atlantis"},
            BadRequest,
            "Endpoint not found for service_type=database, endpoint_type=publicURL, "
            "endpoint_region=Atlantis.",
            id="region",
        ),
        pytest.param(
            {"configuration": UNKNOWN},
            NotFound,
            f"Resource {UNKNOWN} cannot be found.",
            id="configuration",
            marks=pytest.mark.server_bug("unknown_configurations_break_the_server"),
        ),
        pytest.param(
            {"nics": [{"subnet_id": UNKNOWN}]},
            BadRequest,
            f"Subnet {UNKNOWN} could not be found.",
            id="subnet",
            marks=pytest.mark.server_bug("unknown_subnets_break_the_server"),
        ),
    ],
)
def test_what_is_not_there(refusal, request_change, status, words):
    answer = refusal(**request_change)

    assert type(answer) is status
    assert answer.message == words


def test_a_source_that_is_not_there(object_store, refusal):
    answer = refusal(replica_of=UNKNOWN, **INHERITED)

    assert type(answer) is NotFound
    assert answer.message == f"Resource {UNKNOWN} cannot be found."


@pytest.mark.parametrize(
    ("request_change", "words"),
    [
        pytest.param(
            {"locality": "nearby"},
            "Invalid locality 'nearby'. Must be one of "
            "['affinity', 'soft-affinity', 'anti-affinity', 'soft-anti-affinity']",
            id="locality",
        ),
        pytest.param(
            {"replica_count": 2},
            "Replica count only valid when creating replicas. Cannot create 2 instances.",
            id="several",
        ),
        pytest.param(
            {"nics": [{}]}, "Instance network or subnet needs to be specified.", id="no network"
        ),
        pytest.param(
            {"nics": [{"net-id": UNKNOWN, "ip_address": "192.0.2.1"}]},
            "Instance subnet needs to be specified.",
            id="address without subnet",
        ),
        pytest.param(
            {"users": [{"name": "joe", "password": "x", "databases": [{"name": "other"}]}]},
            "The request indicates that user joe should have access to database other, but "
            "database other is not included in the initial databases list.",
            id="user of no database",
        ),
        pytest.param(
            {"users": [{"name": "joe", "password": "x"}] * 2},
            "Two or more users share the same name and host in the initial users list. "
            "Please correct the names or remove the duplicate entries.",
            id="user twice",
        ),
        pytest.param(
            {"databases": [{"name": "library"}] * 2, "users": None},
            "Two or more databases share the same name in the initial databases list. "
            "Please correct the names or remove the duplicate entries.",
            id="database twice",
        ),
    ],
)
def test_what_makes_no_sense(refusal, request_change, words):
    answer = refusal(**request_change)

    assert type(answer) is BadRequest
    assert answer.message == words


@pytest.mark.parametrize(
    ("request_change", "words"),
    [
        pytest.param(
            {"nics": [{"net-id": UNKNOWN}] * 2},
            r"^Validation error: instance\['nics'\] .* is too long",
            id="two networks",
        ),
        pytest.param(
            {"replica_count": 4},
            r"^Validation error: instance\['replica_count'\] 4 is greater than the maximum of 3",
            id="many replicas",
        ),
        pytest.param(
            {"access": {"allowed_cidrs": ["10.0.0.0/99"]}},
            r"^Validation error: instance\['access'\]\['allowed_cidrs'\]\[0\] '10.0.0.0/99' does",
            id="range of addresses",
        ),
        pytest.param(
            {"databases": [{"name": "---"}], "users": None},
            r"^Validation error: instance\['databases'\]\[0\]\['name'\] '---' does not match",
            id="database",
        ),
        pytest.param(
            {"volume": {"size": 0}},
            r"^Validation error: instance\['volume'\]\['size'\] 0 is not valid",
            id="volume of nothing",
        ),
    ],
)
def test_what_the_schema_forbids(refusal, request_change, words):
    with pytest.raises(BadRequest, match=words):
        raise refusal(**request_change)


@pytest.mark.parametrize(
    "name",
    [
        pytest.param("", id="nothing"),
        pytest.param("   ", id="blank"),
        pytest.param("---", id="dashes"),
        pytest.param("x" * 256, id="long"),
    ],
)
def test_a_name_without_letter_or_digit_or_too_long(refusal, name):
    with pytest.raises(BadRequest, match=r"^Validation error: instance\['name'\]"):
        raise refusal(name=name)


def test_a_volume_larger_than_any(volume_service, refusal):
    answer = refusal(volume={"size": 2**30})

    assert type(answer) is RequestEntityTooLarge
    assert answer.message.startswith("Volume 'size' cannot exceed maximum of ")


def test_a_network_with_addresses_of_the_management_network(
    instance_factory, admin_cloud, conflicting_network
):
    try:
        made = instance_factory.request("refused", nics=[{"network_id": conflicting_network}])
    except ScenarioError as refused:
        answer = refused.__cause__
    else:
        # Deleted before it has a server, it leaves the port behind that Trove is just making.
        with suppress(FailedStateError):
            made.wait_for_server(admin_cloud)
        made.delete(admin_cloud)
        skip(Reason.NOT_SUPPORTED_BY_SERVER, "a server with network isolation takes any range")

    assert type(answer) is BadRequest
    assert answer.message == "User network conflicts with the reserved network."


def test_no_volume_where_there_must_be_one(volume_service, refusal):
    answer = refusal(volume=None)

    assert type(answer) is BadRequest
    assert answer.message == "Volume size was not specified."


@pytest.mark.usefixtures("object_store")
@pytest.mark.parametrize("more", NOT_OF_A_REPLICA)
def test_a_replica_that_differs_from_its_source(refusal, shared_instance, more):
    own = {
        "flavor_id": shared_instance.spec.flavor,
        "datastore": shared_instance.spec.datastore,
        "volume": {"size": 1},
        "locality": "affinity",
        "users": [{"name": "joe", "password": "x"}],
        "databases": [{"name": "library"}],
    }

    answer = refusal(replica_of=shared_instance.id, **INHERITED | {more: own[more]})

    assert type(answer) is BadRequest
    assert answer.message == NOT_OF_A_REPLICA[more]
