"""Logs of the guest: written while enabled, published in object storage, discarded."""

from uuid import uuid4

import pytest
from troveclient.exceptions import BadRequest, GuestLogNotFoundError, NotFound

from trove.tests.harness import guest_logs
from trove.tests.harness.guest_logs import SYSTEM, USER, GuestLog

pytestmark = [pytest.mark.logs, pytest.mark.usefixtures("object_store")]


@pytest.mark.usefixtures("plain_user")
def test_owners_see_user_logs_and_administrators_all(shared_instance, admin_cloud):
    owners = guest_logs.listed(shared_instance)
    all = guest_logs.listed(shared_instance, admin_cloud)

    assert shared_instance.spec.dialect.query_log in owners
    assert {log.type for log in owners.values()} == {USER}
    assert not any(log.enabled for log in owners.values())
    assert owners.items() < all.items()
    system = [all[name] for name in all.keys() - owners.keys()]
    assert {log.type for log in system} == {SYSTEM}
    assert all["guest"] in system


def test_a_log_holds_what_ran_while_it_was_enabled(shared_instance, tmp_path):
    def run(word):
        shared_instance.sql(shared_instance.login, f"SELECT '{word}'")

    log = GuestLog(shared_instance, shared_instance.spec.dialect.query_log)
    log.enable()
    run("the first word")
    log.publish_with("the first word")
    published = log.parts()

    # The second time only what is new is published, and Trove keeps count of the bytes.
    run("the last word")
    log.publish_with("the last word")
    parts = log.parts()
    assert parts[: len(published)] == published
    assert b"the first word" not in b"".join(parts[len(published) :])
    assert log.show().published == log.metafile()["log_size"] == len(b"".join(parts))

    # python-troveclient finds the same in Swift.
    assert log.tail(3).splitlines() == log.text().splitlines()[-3:]
    log.save(tmp_path / "saved")
    assert (tmp_path / "saved").read_text() == log.text()

    log.disable()
    run("a lost word")
    details = log.publish(disable=True)
    assert (details.enabled, details.pending) == (False, 0)
    assert "a lost word" not in log.text()

    log.discard()
    assert log.stored() == []
    assert (log.show().published, log.show().container) == (0, None)
    with pytest.raises(GuestLogNotFoundError):
        log.tail(3)

    # On the guest it is whole, and nothing of it is published twice.
    log.publish(disable=True)
    assert "the first word" in log.text()
    assert "the last word" in log.text()
    parts = log.parts()
    log.publish(disable=True)
    assert log.parts() == parts


@pytest.mark.server_bug("published_logs_are_counted_in_characters")
def test_a_log_is_counted_right_in_every_language(shared_instance):
    log = GuestLog(shared_instance, shared_instance.spec.dialect.query_log)
    log.enable()
    shared_instance.sql(shared_instance.login, "SELECT 'smørrebrød'")

    log.publish_with("smørrebrød")

    assert log.show().published == len(b"".join(log.parts()))


@pytest.mark.server_bug("only_published_logs_can_be_discarded")
def test_a_log_that_is_not_published_can_be_discarded(shared_instance):
    log = GuestLog(shared_instance, shared_instance.spec.dialect.query_log)

    log.discard()

    assert log.show().published == 0


@pytest.mark.usefixtures("plain_user")
def test_a_system_log_is_for_administrators_and_always_on(shared_instance, admin_cloud):
    log = GuestLog(shared_instance, "guest", admin_cloud)
    assert (log.show().type, log.show().enabled) == (SYSTEM, True)
    with pytest.raises(BadRequest, match="Cannot enable a SYSTEM log"):
        log.enable()
    with pytest.raises(BadRequest, match="Cannot disable a SYSTEM log"):
        log.disable()

    for refused in ({}, {"publish": True}, {"discard": True}):
        with pytest.raises(BadRequest, match="You must be admin to .* log 'guest'"):
            shared_instance.cloud.trove.instances.log_action(
                shared_instance.id, log.name, **refused
            )


def test_an_administrator_reads_what_the_agent_says(shared_instance, admin_cloud):
    log = GuestLog(shared_instance, "guest", admin_cloud)

    log.publish()
    assert "trove.guestagent" in log.text()

    log.discard()
    assert log.stored() == []


def test_what_makes_no_sense_is_refused(cloud, shared_instance):
    act, id = cloud.trove.instances.log_action, shared_instance.id
    log = shared_instance.spec.dialect.query_log

    for action in ("enable", "disable", "publish", "discard"):
        with pytest.raises(BadRequest, match="Log 'no-such-log' is not defined"):
            act(id, "no-such-log", **{action: True})
    with pytest.raises(BadRequest, match="^Cannot enable and disable log"):
        act(id, log, enable=True, disable=True)
    with pytest.raises(NotFound):
        act(str(uuid4()), log)
    with pytest.raises(NotFound):
        cloud.trove.instances.log_list(str(uuid4()))
