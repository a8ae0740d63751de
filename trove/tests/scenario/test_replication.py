"""Replicas: they serve what their source is given, and take its place."""

from collections.abc import Iterator

import pytest
from troveclient.exceptions import BadRequest, Forbidden

from trove.tests.fixtures.instances import HISTORY, HISTORY_ROWS, LastingGroup
from trove.tests.fixtures.options import Settings
from trove.tests.harness.clients import Cloud
from trove.tests.harness.instances import delete_all
from trove.tests.harness.replication import ReplicationGroup, kill
from trove.tests.harness.run import Run
from trove.tests.harness.sql import ReadOnlyError
from trove.tests.harness.tls import Authority, InstanceTls
from trove.tests.harness.waiting import WaitTimeoutError, wait_for
from trove.tests.harness.workload import Workload

# By default Trove makes a replica of what its source has put into object storage.
pytestmark = [pytest.mark.replication, pytest.mark.usefixtures("object_store")]


@pytest.fixture(scope="module")
def groups(
    lasting_group: LastingGroup, admin_cloud: Cloud, settings: Settings
) -> Iterator[list[ReplicationGroup]]:
    """The group that tests share; a test that takes it apart takes it out."""
    groups = [lasting_group.take()]
    yield groups
    if settings.keep == "never":
        for group in groups:
            delete_all(group.replicas, admin_cloud)
            group.source.delete(admin_cloud)


@pytest.fixture
def group(lasting_group, groups) -> ReplicationGroup:
    """A source with replicas that other tests use, too; which is which may change."""
    if not (groups and groups[0].replicas):
        groups[:] = [lasting_group.take()]
    return groups[0]


@pytest.fixture
def mortal_group(group, groups, workload, admin_cloud) -> Iterator[ReplicationGroup]:
    """The group, whose source may die: a dead one that Trove doesn't eject is revived."""
    source = group.source
    groups.clear()  # if it can't be helped up, it is nobody else's
    yield group
    if group.source is source:
        group.revive(admin_cloud, workload)
    else:
        source.delete(admin_cloud)
    groups.append(group)


@pytest.fixture
def group_tls(
    key_manager: None,
    group: ReplicationGroup,
    groups: list[ReplicationGroup],
    workload: Workload,
    authority: Authority,
    run: Run,
) -> Iterator[InstanceTls]:
    """TLS of the group's source, which its replicas share; it ends with the test if it can."""
    tls = InstanceTls(group.source, authority, run, group.replicas)
    groups.clear()
    yield tls
    tls.restore()
    try:
        group.wait_until_served(workload, within=group.source.timeouts.connect)
    except WaitTimeoutError:
        # What the source doesn't let in any more another one does.
        group.promote(group.replicas[0])
    groups.append(group)


@pytest.fixture
def replica_tls(
    key_manager: None, group: ReplicationGroup, authority: Authority, run: Run
) -> Iterator[InstanceTls]:
    """What would be TLS of a replica alone."""
    tls = InstanceTls(group.replicas[0], authority, run)
    yield tls
    tls.delete_secrets()


@pytest.fixture
def workload(group: ReplicationGroup, request: pytest.FixtureRequest) -> Iterator[Workload]:
    """A table on the source of the group, of this test's own."""
    table = "records_" + "".join(filter(str.isalnum, request.node.originalname.lower()))[-40:]
    workload = Workload(group.source, table)
    yield workload
    workload.drop(on=group.source)


def test_source_and_replicas_are_shown_with_each_other(group):
    shown = group.source.show()

    # Trove forgets it once a replica has taken the source's place.
    assert shown.get("locality") in ("soft-anti-affinity", None)
    assert {each["id"] for each in shown["replicas"]} == {each.id for each in group.replicas}
    for replica in group.replicas:
        assert replica.show()["replica_of"]["id"] == group.source.id


def test_replicas_serve_rows_from_before_and_after_they_were_made(group, workload):
    workload.write(20)

    group.wait_until_served(workload)

    for replica in group.replicas:
        workload.verify(replica)
        rows = replica.sql(
            replica.login, f"SELECT COUNT(*) FROM {HISTORY}", database=replica.database
        )
        assert rows == HISTORY_ROWS


def test_a_replica_takes_no_writes(group, workload):
    workload.write(1)
    group.wait_until_served(workload)

    for replica in group.replicas:
        with pytest.raises(ReadOnlyError):
            workload.write(1, on=replica)
    workload.verify()


def test_a_replica_still_being_built_is_deleted_and_leaves_nothing_behind(
    cloud, group, instance_factory, admin_cloud, traces
):
    (replica,) = instance_factory.request_replicas(group.source)
    assert replica.show()["replica_of"]["id"] == group.source.id
    assert replica.id in {each["id"] for each in group.source.show()["replicas"]}
    # Before that Trove loses what the creation, still going on, makes beside the deletion.
    replica.wait_for_server(admin_cloud)
    made = traces(replica)

    replica.delete(admin_cloud)

    assert made.left() == []
    assert {each["id"] for each in group.source.show()["replicas"]} == {
        each.id for each in group.replicas
    }
    # What it was to be made of: Trove has backed the source up for it.
    wait_for(
        lambda: not cloud.trove.instances.backups(group.source.id),
        f"the backup of {group.source.name} that Trove has made is gone",
        group.source.timeouts.gone,
    )
    group.source.wait_until_healthy()


def test_a_source_with_replicas_can_not_be_deleted(group):
    with pytest.raises(Forbidden):
        group.source.cloud.trove.instances.delete(group.source.id)


def test_a_source_that_lives_can_not_be_ejected(group):
    with pytest.raises(BadRequest, match="has a current heartbeat"):
        group.eject()


def test_a_replica_can_not_be_ejected(group):
    replica = group.replicas[0]

    with pytest.raises(BadRequest, match="is not a replica source"):
        replica.cloud.trove.instances.eject_replica_source(replica.id)


def test_a_source_can_be_neither_promoted_nor_detached(group):
    instances = group.source.cloud.trove.instances

    with pytest.raises(BadRequest, match="is not a replica"):
        instances.promote_to_replica_source(group.source.id)
    with pytest.raises(BadRequest, match="is not a replica"):
        instances.update(group.source.id, detach_replica_source=True)


def test_nothing_is_lost_when_a_replica_is_promoted(group, workload):
    workload.write(20)

    group.promote(group.replicas[0])

    workload.verify(group.source)
    workload.write(20, on=group.source)
    group.wait_until_served(workload)


def test_data_is_still_there_on_larger_volumes_of_source_and_replicas(
    volume_service, group, workload
):
    size = group.source.show()["volume"]["size"] + 1
    workload.write(20)

    # Trove has those of the replicas grow with it.
    group.source.grow(size)
    for replica in group.replicas:
        replica.wait_until_settled(replica.timeouts.resize)

    assert {member.show()["volume"]["size"] for member in group.members} == {size}
    workload.write(20)
    group.wait_until_served(workload)


@pytest.mark.server_bug("sources_are_not_ejected")
@pytest.mark.server_bug("the_last_transaction_is_unknown")
def test_a_dead_source_is_ejected_and_nothing_is_lost(workload, mortal_group, admin_cloud):
    workload.write(20)
    mortal_group.wait_until_served(workload)
    kill(mortal_group.source, admin_cloud)

    dead = wait_for(
        mortal_group.eject,
        f"Trove has missed {mortal_group.source.name} for long enough to eject it",
        mortal_group.source.timeouts.unheard,
        interval=5,
        ignoring=(BadRequest,),
    )

    assert dead not in mortal_group.members
    workload.verify(mortal_group.source)
    workload.write(20, on=mortal_group.source)
    mortal_group.wait_until_served(workload)
    workload.verify(mortal_group.source)


@pytest.mark.tls
def test_a_replica_has_no_tls_of_its_own(replica_tls):
    with pytest.raises(BadRequest, match="Unable to modify ssl on the replica"):
        replica_tls.enable("basic", replica_tls.new_certificate())


@pytest.mark.tls
@pytest.mark.server_bug("tls_locks_replicas_out")
def test_replicas_have_the_certificate_of_their_source(group, group_tls, workload):
    certificate = group_tls.new_certificate()

    group_tls.enable("basic", certificate)

    for member in group.members:
        assert group_tls.served(member) == certificate.x509
        with member.connected(encrypted=True) as connection:
            assert connection.encrypted
    workload.write(20)
    group.wait_until_served(workload)

    group.replicas[-1].restart()
    workload.write(20)
    # It has had to call the source anew.
    group.wait_until_served(workload, within=group.source.timeouts.connect)


def test_a_detached_replica_is_on_its_own(group, workload, admin_cloud):
    workload.write(20)
    group.wait_until_served(workload)
    replica = group.replicas[-1]

    group.detach(replica)

    assert "replica_of" not in replica.show()
    assert replica.id not in [each["id"] for each in group.source.show().get("replicas", [])]
    workload.write(5, on=replica)
    workload.verify(replica)
    replica.delete(admin_cloud)
