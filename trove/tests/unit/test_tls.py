import base64
import socket
import ssl
import stat
import threading
from contextlib import contextmanager, suppress
from types import SimpleNamespace

import pytest
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    pkcs12,
)

from trove.tests.harness.redaction import redact
from trove.tests.harness.run import Run
from trove.tests.harness.timeouts import Timeouts
from trove.tests.harness.tls import Authority, InstanceTls
from trove.tests.unit.fakes import FakeCloud


@pytest.fixture
def authority(tmp_path):
    return Authority(tmp_path)


class Database:
    """A database and Trove's calls for its TLS, each noted."""

    def __init__(self):
        self.calls = []
        self.mode = "builtin"
        self.restart_required = True
        self.lets_in = True

    def ssl_show(self, _id, include_certificate):
        return SimpleNamespace(to_dict=lambda: {"mode": self.mode})

    def ssl_enable(self, _id, mode, container_ref, password_ref):
        self.mode = mode
        return self._note(f"enable {mode}{' with a passphrase' if password_ref else ''}")

    def ssl_disable(self, _id):
        self.mode = "builtin"
        return self._note("disable")

    def ssl_rollback(self, _id):
        return self._note("roll back")

    def _note(self, call):
        self.calls.append(call)
        return {"restart_required": self.restart_required}


@pytest.fixture
def database():
    return Database()


@pytest.fixture
def tls(tmp_path, authority, database, monkeypatch):
    cloud = FakeCloud(tmp_path / "cloud")
    cloud.trove.instances = database
    instance = SimpleNamespace(
        id="42",
        name="db",
        address="127.0.0.1",
        login=None,
        cloud=cloud,
        timeouts=Timeouts(),
        restart=lambda: database.calls.append("restart"),
        accepts=lambda _login: database.lets_in,
    )
    tls = InstanceTls(instance, authority, Run("1", tmp_path / "run"))
    monkeypatch.setattr(InstanceTls, "wait_until_served", lambda *_: None)
    tls.can_end = True
    return tls


def stored(tls):
    return tls.instance.cloud.store.all("secret")


@contextmanager
def serving(certificate, folder):
    """Serve one certificate on loopback; return address and port."""
    file = folder / "server.pem"
    key = certificate.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    file.write_bytes(certificate.pem.encode() + key)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file)

    def serve(listener):
        with suppress(OSError):
            while True:
                client, _ = listener.accept()
                with client, suppress(OSError), context.wrap_socket(client, server_side=True) as it:
                    it.recv(1)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve, args=(listener,))
        thread.start()
        yield listener.getsockname()
        listener.shutdown(socket.SHUT_RDWR)
        thread.join()


def handshake(address, authority):
    """Return the certificate of a server, verified."""
    context = ssl.create_default_context(cafile=authority)
    with (
        socket.create_connection(address) as plain,
        context.wrap_socket(plain, server_hostname=address[0]) as encrypted,
    ):
        return encrypted.getpeercert()


def test_a_certificate_is_vouched_for_and_names_its_server(authority):
    certificate = authority.for_server("192.0.2.1")

    certificate.x509.verify_directly_issued_by(certificate.issuer)
    assert "192.0.2.1" in str(certificate.x509.extensions)


def test_a_bundle_opens_with_its_passphrase_alone(authority):
    certificate = authority.for_server("192.0.2.1")
    bundle = certificate.bundle("right")

    key, shown, issuers = pkcs12.load_key_and_certificates(bundle, b"right")
    assert (shown, issuers) == (certificate.x509, [certificate.issuer])
    assert key.public_key() == certificate.key.public_key()
    with pytest.raises(ValueError, match="password"):
        pkcs12.load_key_and_certificates(bundle, b"wrong")


@pytest.mark.parametrize("form", [PrivateFormat.PKCS8, PrivateFormat.TraditionalOpenSSL])
def test_a_key_is_shown_nowhere(authority, form):
    certificate = authority.for_server("192.0.2.1")
    key = certificate.key.private_bytes(Encoding.PEM, form, NoEncryption()).decode()

    assert not any(line in redact(key) for line in key.splitlines()[1:-1])
    assert "key" not in repr(certificate).lower().replace("x509", "")


def test_a_clients_files_are_its_owners_alone(authority):
    client = authority.client("demo")

    for file in (client.authority, client.certificate, client.key):
        assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_a_client_without_a_certificate_shows_none(authority):
    assert authority.client().certificate is authority.client().key is None


def test_clients_trust_servers_of_their_authority_and_no_others(authority, tmp_path):
    other = tmp_path / "other"
    other.mkdir()
    with serving(authority.for_server("127.0.0.1"), tmp_path) as address:
        assert handshake(address, authority.client().authority)
        with pytest.raises(ssl.SSLCertVerificationError):
            handshake(address, Authority(other).client().authority)


def test_what_a_server_serves_is_seen_by_anybody(tls, tmp_path):
    certificate = tls.new_certificate()
    with serving(certificate, tmp_path) as (_, port):
        dialect = SimpleNamespace(start_tls=lambda _connection: None)
        tls.instance.spec = SimpleNamespace(port=port, dialect=dialect)

        assert tls.served() == certificate.x509


def test_enabling_hands_over_a_bundle_and_restarts(tls, database):
    certificate = tls.new_certificate()

    tls.enable("enforced", certificate)

    assert database.calls == ["enable enforced", "restart"]
    (secret,) = stored(tls)
    content = base64.b64decode(secret.payload)
    assert pkcs12.load_key_and_certificates(content, None)[1] == certificate.x509


def test_a_passphrase_is_a_secret_of_its_own(tls, database):
    tls.enable("basic", tls.new_certificate(), passphrase="open sesame")

    assert database.calls[0] == "enable basic with a passphrase"
    assert b"open sesame" in [base64.b64decode(each.payload) for each in stored(tls)]


def test_a_restart_that_trove_does_not_ask_for_is_none(tls, database):
    database.restart_required = False

    tls.roll_back()

    assert database.calls == ["roll back"]


def test_what_nothing_was_done_to_is_left_alone(tls, database):
    tls.store("bundle", b"unused")

    tls.restore()

    assert database.calls == []
    assert stored(tls) == []


def test_restored_it_lets_all_in_and_has_no_tls(tls, database):
    tls.enable("mtls", tls.new_certificate())
    database.calls.clear()

    tls.restore()

    assert database.calls == ["enable basic", "disable", "restart"]


def test_a_restart_can_wait_until_it_is_restored(tls, database):
    tls.enable("basic", tls.new_certificate(), restart=False)

    tls.restore()

    assert database.calls == ["enable basic", "disable", "restart"]


def test_rolled_back_to_the_beginning_there_is_nothing_left_to_do(tls, database):
    tls.roll_back()
    database.calls.clear()

    tls.restore()

    assert database.calls == []


def test_who_is_locked_out_comes_in_again(tls, database):
    tls.disable()
    database.calls.clear()
    database.lets_in = False

    tls.restore()

    assert database.calls == ["enable basic", "disable", "restart"]


def test_where_tls_can_not_end_it_stays(tls, database):
    tls.can_end = False
    tls.enable("mtls", tls.new_certificate())
    database.calls.clear()

    tls.restore()

    assert database.calls == ["enable basic", "restart"]


def test_secrets_are_in_the_journal_until_they_are_gone(tls):
    tls.store("bundle", b"content")
    (entry,) = tls._run.journal.open_entries()
    assert (entry.kind, entry.id) == ("secret", stored(tls)[0].id)

    tls.restore()

    assert tls._run.journal.open_entries() == []
