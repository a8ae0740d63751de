"""The APIs' certificate: trusted through the cloud's own authority, and through nothing else."""

import contextlib
import socket
import ssl
import stat
import threading
from ipaddress import IPv4Address

import pytest

from trove.tests.embedded import certificates

HERE = IPv4Address("127.0.0.1")


@pytest.fixture
def files(tmp_path):
    authority, server = tmp_path / "authority.pem", tmp_path / "server.pem"
    certificates.make("unit", [HERE], authority, server)
    return authority, server


@pytest.fixture
def served(files):
    """Port of a server with the certificate."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(files[1])
    with socket.create_server((str(HERE), 0)) as plain:

        def serve() -> None:
            connection = plain.accept()[0]
            with contextlib.suppress(ssl.SSLError), connection:  # the client may think better
                context.wrap_socket(connection, server_side=True).close()

        threading.Thread(target=serve, daemon=True).start()
        yield plain.getsockname()[1]


def shake_hands(port: int, name: str, authority=None) -> None:
    context = ssl.create_default_context(cafile=authority)
    with (
        socket.create_connection((str(HERE), port), timeout=5) as plain,
        context.wrap_socket(plain, server_hostname=name),
    ):
        pass


def test_whoever_knows_the_authority_trusts_the_server(files, served):
    shake_hands(served, str(HERE), files[0])


def test_nobody_else_does(served):
    with pytest.raises(ssl.SSLCertVerificationError):
        shake_hands(served, str(HERE))


def test_it_is_for_the_cloud_s_address_alone(files, served):
    with pytest.raises(ssl.SSLCertVerificationError, match="mismatch"):
        shake_hands(served, "127.0.0.2", files[0])


def test_the_key_is_its_owner_s_alone(files):
    assert stat.S_IMODE(files[1].stat().st_mode) == 0o600
    assert b"PRIVATE" not in files[0].read_bytes()
