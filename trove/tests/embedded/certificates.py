"""What a cloud proves itself with: its certificates, and the key that opens its guests."""

import ipaddress
from collections.abc import Iterable
from datetime import timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)
from cryptography.x509.oid import ExtendedKeyUsageOID

from trove.tests.common.certificates import builder

_VALID = timedelta(days=90)


def make(
    cloud: str, addresses: Iterable[ipaddress.IPv4Address], authority: Path, server: Path
) -> None:
    """Write the certificate of a new authority, and a server's certificate with its key.

    The authority's own key is forgotten at once: it signs this one certificate.

    Args:
        cloud: name of the cloud, for whoever reads the certificates.
        addresses: where the server answers.
        authority: file of the authority's certificate, for everyone to read.
        server: file of the server's certificate and key, for its owner alone.
    """
    issuer = f"Embedded cloud {cloud}"
    authority_key, server_key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    authority_id = x509.SubjectKeyIdentifier.from_public_key(authority_key.public_key())
    root = (
        builder(issuer, issuer, authority_key, _VALID)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(key_cert_sign=True, crl_sign=True), critical=True)
        .add_extension(authority_id, critical=False)
        .sign(authority_key, hashes.SHA256())
    )
    leaf = (
        builder("APIs", issuer, server_key, _VALID)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(digital_signature=True), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(address) for address in addresses]),
            critical=False,
        )
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(authority_id),
            critical=False,
        )
        .sign(authority_key, hashes.SHA256())
    )
    private = server_key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    authority.write_bytes(root.public_bytes(Encoding.PEM))
    server.touch(mode=0o600)
    server.write_bytes(leaf.public_bytes(Encoding.PEM) + private)


def make_login(private: Path) -> str:
    """Write a new key of SSH's, for its owner alone; return the line that lets it in."""
    key = Ed25519PrivateKey.generate()
    private.touch(mode=0o600)
    private.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption()))
    return key.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode()


def _usage(**allowed: bool) -> x509.KeyUsage:
    """Return a key usage that allows what is named and nothing else."""
    kinds = (
        *("digital_signature", "content_commitment", "key_encipherment", "data_encipherment"),
        *("key_agreement", "key_cert_sign", "crl_sign", "encipher_only", "decipher_only"),
    )
    return x509.KeyUsage(**dict.fromkeys(kinds, False) | allowed)
