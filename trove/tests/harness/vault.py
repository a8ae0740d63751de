"""Secrets in Barbican: what Trove takes certificates and passphrases from."""

import base64
from dataclasses import dataclass

from openstack import exceptions as sdk_errors

from trove.tests.harness.clients import Cloud
from trove.tests.harness.journal import Entry, Journal


@dataclass(frozen=True)
class Secret:
    """A secret, without its content."""

    id: str
    name: str


def store(cloud: Cloud, journal: Journal, name: str, content: bytes) -> tuple[Entry, str]:
    """Store a secret.

    Args:
        cloud: its owner's.
        journal: what it is written down in.
        name: its name.
        content: the secret itself.

    Returns:
        its place in the journal, and the address that other services ask for it by.
    """
    entry = journal.creating("secret", name)
    with journal.refusable(entry):
        made = cloud.key_manager.create_secret(
            name=name,
            payload=base64.b64encode(content).decode(),
            payload_content_type="application/octet-stream",
            payload_content_encoding="base64",
        )
    return journal.created(entry, made.secret_id), made.secret_ref


def stored(cloud: Cloud) -> list[Secret]:
    """Return the secrets that there are."""
    return [Secret(each.secret_id, each.name) for each in cloud.key_manager.secrets()]


def look_up(cloud: Cloud, id: str) -> None:
    """Make sure that there is a secret with this id; its content stays where it is.

    Raises:
        NotFoundException: there is none. (The SDK's own call doesn't tell.)
    """
    sdk_errors.raise_from_response(cloud.key_manager.get(f"/secrets/{id}"))


def delete(cloud: Cloud, id: str) -> None:
    """Delete a secret.

    Raises:
        NotFoundException: there is none with this id.
    """
    cloud.key_manager.delete_secret(id, ignore_missing=False)
