"""What all certificates have in common, whoever they are for."""

from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

_CLOCKS_DIFFER = timedelta(hours=1)


def builder(
    subject: str, issuer: str, key: ec.EllipticCurvePrivateKey, valid: timedelta
) -> x509.CertificateBuilder:
    """Return the beginnings of a certificate, to be extended and signed.

    Args:
        subject: common name of whose it is.
        issuer: common name of the authority that will sign it.
        key: the subject's.
        valid: how long from now on; it is so somewhat before now, too, since clocks differ.
    """
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(_name(subject))
        .issuer_name(_name(issuer))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _CLOCKS_DIFFER)
        .not_valid_after(now + valid)
    )


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])
