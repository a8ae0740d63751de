"""TLS between database and client, with certificates of the instance's owner's."""

from urllib.parse import urljoin
from uuid import uuid4

import pytest
from troveclient.exceptions import BadRequest, NotFound

from trove.tests.fixtures.applicability import Reason, skip
from trove.tests.harness.redaction import new_password
from trove.tests.harness.sql import AccessRefusedError, UntrustedServerError
from trove.tests.harness.tls import Authority

pytestmark = pytest.mark.tls

NO_END = "Trove ends no TLS of MySQL 8.0 and later"


def test_at_first_no_certificate_is_the_owners(shared_tls):
    shown = shared_tls.show()

    assert shown["mode"] == "builtin"
    assert "payload" not in shown.get("certificate", {})
    assert shared_tls.told() in (None, shared_tls.served())


@pytest.mark.server_bug("first_tls_is_not_rolled_back")
def test_rolled_back_the_first_change_leaves_nothing(tls):
    before = tls.show()
    if before["mode"] != "builtin":
        skip(Reason.NOT_SUPPORTED_BY_SERVER, f"{NO_END}, so no other change will be its first")
    tls.enable("basic", tls.new_certificate(), restart=False)

    tls.roll_back()

    assert tls.show() == before


def test_clients_trust_the_certificate_of_the_owner_and_its_successor(tls, tmp_path):
    certificate, successor = tls.new_certificate(), tls.new_certificate()
    client, stranger = tls.authority.client(), Authority(tmp_path).client()

    tls.enable("basic", certificate, passphrase=new_password())

    shown = tls.show()
    assert (shown["status"], shown["mode"]) == ("on", "basic")
    assert shown["certificate"]["cn"] == tls.instance.address
    assert shown["certificate"]["san"] == [f"IP Address:{tls.instance.address}"]
    assert tls.told() == tls.served() == certificate.x509
    with tls.instance.connected(tls=client) as connection:
        assert connection.encrypted
    with pytest.raises(UntrustedServerError), tls.instance.connected(tls=stranger):
        pass

    tls.enable("basic", successor)
    with tls.instance.connected(tls=client) as connection:
        assert connection.encrypted
    assert tls.told() == tls.served() == successor.x509

    tls.roll_back()
    tls.wait_until_served(certificate)
    assert tls.told() == certificate.x509


@pytest.mark.server_bug("basic_mode_demands_tls")
def test_in_basic_mode_clients_choose_until_tls_ends(tls):
    tls.enable("basic", tls.new_certificate())

    for encrypted in (True, False):
        with tls.instance.connected(encrypted=encrypted) as connection:
            assert connection.encrypted == encrypted

    if not tls.can_end:
        skip(Reason.NOT_SUPPORTED_BY_SERVER, NO_END)
    tls.disable()
    assert tls.show()["mode"] == "builtin"
    with tls.instance.connected() as connection:
        assert not connection.encrypted


def test_more_is_asked_of_clients_mode_by_mode(tls):
    instance, user = tls.instance, tls.instance.login.user
    anonymous, known = tls.authority.client(), tls.authority.client(user)

    tls.enable("enforced", tls.new_certificate())
    assert tls.show()["mode"] == "enforced"
    with pytest.raises(AccessRefusedError), instance.connected(encrypted=False):
        pass
    with instance.connected(tls=anonymous) as connection:
        assert connection.encrypted

    tls.enable("mtls", tls.new_certificate())
    assert tls.show()["mode"] == "mtls"
    with pytest.raises(AccessRefusedError), instance.connected(tls=anonymous):
        pass
    with instance.connected(tls=known) as connection:
        assert connection.encrypted


@pytest.mark.server_bug("users_made_later_need_no_tls")
def test_users_made_later_need_tls_as_well(tls):
    tls.enable("enforced", tls.new_certificate())

    later = tls.instance.create_user("later")

    with pytest.raises(AccessRefusedError), tls.instance.connected(later, encrypted=False):
        pass


@pytest.mark.server_bug("without_tls_enforced_clients_are_locked_out")
def test_without_tls_clients_come_in_clear_that_had_to_use_it(tls):
    if not tls.can_end:
        skip(Reason.NOT_SUPPORTED_BY_SERVER, NO_END)
    tls.enable("enforced", tls.new_certificate(), restart=False)

    tls.disable()

    with tls.instance.connected() as connection:
        assert not connection.encrypted


@pytest.mark.server_bug("tls_ends_with_a_configuration")
def test_a_certificate_outlives_a_configuration_group(tls):
    instance, certificate = tls.instance, tls.new_certificate()
    tls.enable("basic", certificate, restart=False)

    instance.attach(instance.create_configuration({}))
    instance.detach()
    instance.restart()

    assert tls.served() == certificate.x509


@pytest.mark.parametrize("wrong", ["no bundle", "unknown mode"])
def test_what_can_not_be_is_refused(cloud, shared_tls, wrong):
    before = shared_tls.show()
    bundle = shared_tls.store("bundle", shared_tls.new_certificate().bundle())
    mode, bundle = {"no bundle": ("basic", None), "unknown mode": ("none", bundle)}[wrong]

    with pytest.raises(BadRequest):
        cloud.trove.instances.ssl_enable(shared_tls.instance.id, mode, bundle)

    assert shared_tls.show() == before


@pytest.mark.server_bug("useless_bundles_are_errors_of_the_server")
@pytest.mark.parametrize("wrong", ["unknown", "damaged", "other passphrase"])
def test_a_useless_bundle_is_refused(cloud, shared_tls, wrong):
    before = shared_tls.show()
    locked = shared_tls.store("bundle", shared_tls.new_certificate().bundle(new_password()))
    passphrase = shared_tls.store("passphrase", new_password().encode())
    bundle = {
        "unknown": urljoin(locked, str(uuid4())),
        "damaged": shared_tls.store("damaged", b"no bundle"),
        "other passphrase": locked,
    }[wrong]

    with pytest.raises((BadRequest, NotFound)):
        cloud.trove.instances.ssl_enable(
            shared_tls.instance.id, "basic", bundle, password_ref=passphrase
        )

    assert shared_tls.show() == before
