"""How operators log in to a guest: by SSH, as root, with the key of the server's keypair."""

from pathlib import Path

# As the server's option ``nova_keypair`` names it, and devstack's plugin of Trove.
KEYPAIR = "trove-mgmt"


def ssh(key: Path | str, address: str) -> list[str]:
    """Return the command line that logs in to a guest, to which a command may be added.

    Args:
        key: file of the private key.
        address: one that the guest has in the management network.
    """
    settings = {
        "IdentitiesOnly": "yes",
        # Guests make their keys anew with each boot, and addresses have other guests later.
        "StrictHostKeyChecking": "no",
        "UserKnownHostsFile": "/dev/null",
        "LogLevel": "ERROR",
    }
    options = [word for name, value in settings.items() for word in ("-o", f"{name}={value}")]
    return ["ssh", "-F", "none", "-i", str(key), *options, f"root@{address}"]
