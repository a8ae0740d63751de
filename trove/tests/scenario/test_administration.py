"""What only an administrator may ask for: a look behind an instance, and what helps it up."""

from functools import partial
from uuid import uuid4

import pytest
from troveclient.exceptions import (
    Forbidden,
    NotFound,
    Unauthorized,
)

from trove.tests.fixtures.applicability import Reason, skip
from trove.tests.harness.paging import every
from trove.tests.harness.waiting import wait_for
from trove.tests.harness.workload import Workload

pytestmark = pytest.mark.administration


# Looking


@pytest.mark.parametrize("include_clustered", [False, True])
def test_instances_of_all_projects_are_listed(admin_cloud, shared_instance, include_clustered):
    listing = partial(admin_cloud.trove.mgmt_instances.list, include_clustered=include_clustered)

    listed = {each.id: each for each in every(listing)}

    assert listed[shared_instance.id].tenant_id == shared_instance.cloud.project_id
    assert not any(each.deleted for each in listed.values())


def test_instances_of_all_projects_are_listed_whatever_became_of_them(admin_cloud, shared_instance):
    # python-troveclient asks for those alone that are deleted, or aren't.
    _, listed = admin_cloud.trove.client.get("/mgmt/instances")

    assert shared_instance.id in [each["id"] for each in listed["instances"]]


def test_instances_of_one_project_are_listed(admin_cloud, shared_instance):
    listing = admin_cloud.trove.mgmt_instances.list
    theirs = every(partial(listing, project_id=shared_instance.cloud.project_id))

    assert shared_instance.id in [each.id for each in theirs]
    assert {each.tenant_id for each in theirs} == {shared_instance.cloud.project_id}
    assert every(partial(listing, project_id=str(uuid4()))) == []


def test_the_server_behind_an_instance_is_shown(admin_cloud, shared_instance):
    shown = admin_cloud.trove.mgmt_instances.show(shared_instance.id)

    server = admin_cloud.compute.get_server(shown.server["id"])
    assert shown.server["name"] == server.name == shared_instance.name
    assert shown.server["host"] in (server.compute_host, server.host_id)
    assert (shown.tenant_id, shown.deleted) == (shared_instance.cloud.project_id, False)
    assert shown.task_description == "No tasks for the instance."


def test_it_is_known_since_when_root_may_log_in(admin_cloud, shared_instance):
    shared_instance.enable_root()

    history = admin_cloud.trove.mgmt_instances.root_enabled_history(shared_instance.id)

    assert history.id == shared_instance.id
    assert history.enabled != "Never"
    assert history.user == shared_instance.cloud.connection.current_user_id


def test_the_guest_agent_answers(admin_cloud, shared_instance):
    answer, _ = admin_cloud.trove.client.get(f"/mgmt/instances/{shared_instance.id}/rpc_ping")

    assert answer.status_code == 204


@pytest.mark.server_bug("agents_tell_nothing_of_their_machines")
@pytest.mark.parametrize("what", ["hwinfo", "diagnostics"])
def test_the_guest_agent_tells_of_its_machine(admin_cloud, shared_instance, what):
    _, told = admin_cloud.trove.client.get(f"/mgmt/instances/{shared_instance.id}/{what}")

    assert told[what]


def test_an_unknown_instance_is_not_found(admin_cloud, target):
    instances, unknown = admin_cloud.trove.mgmt_instances, str(uuid4())

    for ask in (
        instances.show,
        instances.root_enabled_history,
        instances.stop,
        instances.reboot,
        instances.migrate,
        instances.reset_task_status,
        lambda id: instances.rebuild(id, str(uuid4())),
    ):
        with pytest.raises(NotFound):
            ask(unknown)


def test_a_user_looks_behind_nothing(plain_user, shared_instance):
    instances, id = plain_user.trove.mgmt_instances, shared_instance.id

    for forbidden in (
        instances.list,
        lambda: instances.show(id),
        lambda: instances.root_enabled_history(id),
        lambda: plain_user.trove.client.get(f"/mgmt/instances/{id}/rpc_ping"),
        lambda: instances.stop(id),
        lambda: instances.reboot(id),
        lambda: instances.migrate(id),
        lambda: instances.reset_task_status(id),
        lambda: instances.rebuild(id, str(uuid4())),
    ):
        with pytest.raises(Unauthorized, match="^User does not have admin privileges"):
            forbidden()
    with pytest.raises(Forbidden, match="^Policy doesn't allow instance:reset_status"):
        plain_user.trove.instances.reset_status(id)


# Helping it up


def test_a_stopped_database_is_back_after_a_restart(admin_cloud, shared_instance, workload):
    workload.write()

    admin_cloud.trove.mgmt_instances.stop(shared_instance.id)
    shared_instance.wait_until("SHUTDOWN", shared_instance.timeouts.report)

    shared_instance.restart()
    workload.verify()


def test_the_database_is_back_after_a_reboot_of_its_server(admin_cloud, shared_instance, workload):
    workload.write()

    admin_cloud.trove.mgmt_instances.reboot(shared_instance.id)

    shared_instance.wait_for_action(admin_cloud, "reboot")
    shared_instance.wait_until_settled(shared_instance.timeouts.restart)
    # Trove calls it healthy while its guest boots and says nothing.
    shared_instance.wait_until_reached(within=shared_instance.timeouts.restart)
    workload.verify()


def test_a_task_that_stays_can_be_reset(admin_cloud, shared_instance):
    setting = shared_instance.spec.dialect.tunable_at_start
    before = shared_instance.setting(setting)
    group = shared_instance.create_configuration({setting: before + 1})
    assert shared_instance.attach(group) == "RESTART_REQUIRED"

    admin_cloud.trove.mgmt_instances.reset_task_status(shared_instance.id)

    # The task is off; what it stood for isn't done.
    shared_instance.wait_until("HEALTHY")
    assert shared_instance.setting(setting) == before


def test_a_reset_status_lasts_until_the_guest_agent_reports(admin_cloud, shared_instance):
    def reset() -> bool:
        admin_cloud.trove.instances.reset_status(shared_instance.id)
        return shared_instance.status != "HEALTHY"

    # The agent may report before one looks.
    wait_for(reset, "a status that was reset", shared_instance.timeouts.report)
    shared_instance.wait_until("HEALTHY", shared_instance.timeouts.report)


def test_a_migration_without_another_host_leaves_the_database_running(
    admin_cloud, shared_instance, workload
):
    workload.write()

    admin_cloud.trove.mgmt_instances.migrate(shared_instance.id, "no-such-host")
    shared_instance.wait_until_idle(admin_cloud)

    shared_instance.wait_until_settled(shared_instance.timeouts.restart)
    workload.verify()


@pytest.mark.server_bug("instances_are_never_migrated")
def test_an_instance_is_migrated_to_another_host(admin_cloud, shared_instance):
    if len(list(admin_cloud.compute.hypervisors())) < 2:
        skip(Reason.NEEDS_MULTIPLE_HOSTS, "there is one host alone")
    before = admin_cloud.trove.mgmt_instances.show(shared_instance.id).server["host"]

    admin_cloud.trove.mgmt_instances.migrate(shared_instance.id)
    shared_instance.wait_until_idle(admin_cloud)

    shared_instance.wait_until_settled(shared_instance.timeouts.resize)
    assert admin_cloud.trove.mgmt_instances.show(shared_instance.id).server["host"] != before


@pytest.mark.server_bug("agents_can_not_be_told_of_upgrades")
def test_the_guest_agent_is_told_of_its_upgrade(admin_cloud, shared_instance):
    told = {"instance_version": "2", "location": "http://192.0.2.1/agent", "metadata": {}}

    answer, _ = admin_cloud.trove.client.post(
        f"/mgmt/instances/{shared_instance.id}/upgrade", body={"upgrade": told}
    )

    assert answer.status_code == 202


def test_data_is_still_there_after_a_rebuild(admin_cloud, spare_instance, datastore_version):
    with Workload(spare_instance) as workload:
        workload.write()

        admin_cloud.trove.mgmt_instances.rebuild(spare_instance.id, datastore_version.image_id)

        spare_instance.wait_for_action(admin_cloud, "rebuild")
        spare_instance.wait_until_idle(admin_cloud)
        spare_instance.wait_until_settled(spare_instance.timeouts.resize)
        workload.verify()
