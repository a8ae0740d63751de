"""TLS of an instance, with certificates of its owner's.

Trove takes a server's certificate from Barbican, as a PKCS#12 bundle with its key and
the authority's certificate; which clients are let in depends on the mode.
"""

import ipaddress
import secrets
import socket
import ssl
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from functools import cached_property
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    pkcs12,
)
from cryptography.x509.oid import ExtendedKeyUsageOID

from trove.tests.common.certificates import builder
from trove.tests.harness import vault
from trove.tests.harness.instances import Instance
from trove.tests.harness.journal import PREFIX, Entry
from trove.tests.harness.redaction import remember
from trove.tests.harness.run import Run
from trove.tests.harness.sql import CannotConnectError, ClientTls, NoTlsError
from trove.tests.harness.waiting import wait_for

BUILTIN, BASIC = "builtin", "basic"
LOOK_INTERVAL = 0.3  # seconds
VALID = timedelta(days=1)  # longer than any run


@dataclass(frozen=True)
class Certificate:
    """A certificate, and the key that proves it; the key is in no ``repr``.

    Attributes:
        x509: the certificate.
        key: its key.
        issuer: the certificate of the authority that vouches for it.
    """

    x509: x509.Certificate
    key: ec.EllipticCurvePrivateKey = field(repr=False)
    issuer: x509.Certificate = field(repr=False)

    @property
    def pem(self) -> str:
        """The certificate as text."""
        return self.x509.public_bytes(Encoding.PEM).decode()

    def bundle(self, passphrase: str | None = None) -> bytes:
        """Return certificate, key and authority as PKCS#12.

        Args:
            passphrase: what the bundle is encrypted with, if it is.
        """
        encryption = BestAvailableEncryption(passphrase.encode()) if passphrase else NoEncryption()
        return pkcs12.serialize_key_and_certificates(
            None, self.key, self.x509, [self.issuer], encryption
        )


def _new_key() -> ec.EllipticCurvePrivateKey:
    """Return a key that nothing will show, in whatever form it is written."""
    key = ec.generate_private_key(ec.SECP256R1())
    for form in (PrivateFormat.PKCS8, PrivateFormat.TraditionalOpenSSL):
        pem = key.private_bytes(Encoding.PEM, form, NoEncryption()).decode()
        for line in pem.splitlines()[1:-1]:
            remember(line)
    return key


class Authority:
    """An authority that exists for one run.

    Args:
        folder: of its owner's alone, for the files that client libraries read.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._key = _new_key()
        # Of its own: of authorities with one name clients can't tell which is meant.
        self._name = f"{PREFIX}{secrets.token_hex(4)}"
        self._certificate = (
            builder(self._name, self._name, self._key, VALID)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .sign(self._key, hashes.SHA256())
        )

    def for_server(self, address: str) -> Certificate:
        """Return a new certificate for a server at an address."""
        names = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(address))])
        return self._issue(address, names)

    def for_client(self, user: str) -> Certificate:
        """Return a new certificate for a user of the database."""
        return self._issue(user, x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH]))

    def client(self, user: str | None = None) -> ClientTls:
        """Return what a client needs that trusts this authority.

        Args:
            user: whose certificate it shows; None for a client that shows none.
        """
        authority = self._file("authority.crt", self._certificate.public_bytes(Encoding.PEM))
        if user is None:
            return ClientTls(authority)
        shown = self.for_client(user)
        key = shown.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        return ClientTls(
            authority,
            self._file(f"{user}.crt", shown.pem.encode()),
            self._file(f"{user}.key", key),
        )

    def _issue(self, name: str, purpose: x509.ExtensionType) -> Certificate:
        key = _new_key()
        unsigned = builder(name, self._name, key, VALID).add_extension(purpose, critical=False)
        return Certificate(unsigned.sign(self._key, hashes.SHA256()), key, self._certificate)

    def _file(self, name: str, content: bytes) -> Path:
        path = self._folder / name
        path.touch(mode=0o600)
        path.write_bytes(content)
        return path


class InstanceTls:
    """TLS of one instance: what Trove does to it, with the restarts that it asks for.

    Args:
        instance: whose it is.
        authority: who vouches for its certificates.
        run: whose journal the secrets are written down in.
        replicas: those of the instance, to which Trove does the same.
    """

    def __init__(
        self, instance: Instance, authority: Authority, run: Run, replicas: Sequence[Instance] = ()
    ) -> None:
        self.instance = instance
        self._members = (instance, *replicas)
        self.authority = authority
        self._run = run
        self._calls = instance.cloud.trove.instances
        self._secrets: list[Entry] = []
        self._changed = False
        self._waits_for_restart = False

    @cached_property
    def can_end(self) -> bool:
        """Whether Trove lets this server go without TLS again."""
        with self.instance.connected() as connection:
            return connection.can_end_tls

    def new_certificate(self) -> Certificate:
        """Return a new certificate for the instance's address."""
        return self.authority.for_server(self.instance.address)

    def show(self, *, certificate: bool = False) -> dict[str, Any]:
        """Return what Trove tells of it.

        Args:
            certificate: with the server's certificate itself.
        """
        return self._calls.ssl_show(self.instance.id, include_certificate=certificate).to_dict()

    def told(self) -> x509.Certificate | None:
        """Return the server's certificate that Trove tells of, if it does."""
        certificate = self.show(certificate=True).get("certificate")
        return (
            x509.load_pem_x509_certificate(certificate["payload"].encode()) if certificate else None
        )

    def served(self, member: Instance | None = None) -> x509.Certificate | None:
        """Return the certificate that a server shows to anybody; None if it has no TLS.

        Args:
            member: the instance or one of its replicas; by default the instance.
        """
        member = member or self.instance
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        spec, timeouts = member.spec, member.timeouts
        with socket.create_connection((member.address, spec.port), timeouts.connect) as raw:
            try:
                spec.dialect.start_tls(raw)
            except NoTlsError:
                return None
            with context.wrap_socket(raw) as encrypted:
                return x509.load_der_x509_certificate(encrypted.getpeercert(binary_form=True))

    def enable(
        self,
        mode: str,
        certificate: Certificate,
        passphrase: str | None = None,
        *,
        restart: bool = True,
    ) -> None:
        """Have the server show a certificate, and let clients in as a mode says.

        Args:
            mode: ``basic``: over TLS or not; ``enforced``: over TLS alone; ``mtls``: only
                those that show a certificate.
            certificate: the server's; a new one, since that tells when all is done.
            passphrase: what its bundle is to be encrypted with.
            restart: whether to restart a server that needs that for the certificate; the
                mode doesn't.

        Raises:
            WaitTimeoutError: the server doesn't show it.
        """
        bundle = self.store("bundle", certificate.bundle(passphrase))
        key = self.store("passphrase", passphrase.encode()) if passphrase else None
        self._do("ssl_enable", mode, bundle, password_ref=key)
        if restart:
            self._restart()
        if not self._waits_for_restart:
            self.wait_until_served(certificate)

    def roll_back(self) -> None:
        """Have it as it was before the last change."""
        self._do("ssl_rollback")
        self._restart()

    def disable(self) -> None:
        """Have the server do without TLS.

        Raises:
            WaitTimeoutError: it goes on to offer it.
        """
        self._do("ssl_disable")
        self._restart()
        self.wait_until_served(None)

    def wait_until_served(self, certificate: Certificate | None) -> None:
        """Wait until the servers show a certificate, or have no TLS any more.

        Databases that need no restart read a certificate some time after they are told to.
        """
        wanted = certificate and certificate.x509
        for member in self._members:
            wait_for(
                lambda member=member: self.served(member) == wanted,
                f"{member.name} " + ("shows its certificate" if wanted else "has no TLS"),
                member.timeouts.change,
                interval=LOOK_INTERVAL,
                ignoring=(CannotConnectError, OSError),
            )

    def store(self, what: str, content: bytes) -> str:
        """Store a secret; return the address that Trove asks Barbican for it by."""
        entry, address = vault.store(
            self.instance.cloud, self._run.journal, self._run.name(what), content
        )
        self._secrets.append(entry)
        return address

    def restore(self) -> None:
        """Let all clients in again, end TLS where that can be, and delete the secrets."""
        if self._changed:
            mode = self.show()["mode"]
            if mode not in (BUILTIN, BASIC) or not self.instance.accepts(self.instance.login):
                # Nothing else lets those in again whom another mode keeps out.
                mode = BASIC
                self.enable(mode, self.new_certificate(), restart=False)
            if mode != BUILTIN and self.can_end:
                self._do("ssl_disable")
            self._restart()
        self.delete_secrets()

    def delete_secrets(self) -> None:
        """Delete what Barbican keeps of it; the servers have it by then."""
        for secret in self._secrets:
            vault.delete(self.instance.cloud, secret.id)
            self._run.journal.closed(secret)

    def _do(self, action: str, *args: Any, **kwargs: Any) -> None:
        self._changed = True
        answer = getattr(self._calls, action)(self.instance.id, *args, **kwargs)
        self._waits_for_restart |= answer["restart_required"]

    def _restart(self) -> None:
        if self._waits_for_restart:
            for member in self._members:
                member.restart()
            self._waits_for_restart = False
