"""How long things may take: the one table of limits, in seconds.

They are limits, not expectations: several times what was measured on two cores
without KVM. Failing states end a wait long before.
"""

from dataclasses import dataclass, fields, replace


@dataclass(frozen=True)
class Timeouts:
    """Limits in seconds.

    Attributes:
        upload: an image sent to Glance is active.
        healthy: a new instance is healthy.
        gone: a deleted instance is no longer known.
        restart: a restarted instance is healthy again.
        resize: an instance is healthy on its new flavor or with its larger volume.
        backup: a backup is complete; PostgreSQL's begins with a checkpoint that is spread
            over up to four and a half minutes.
        change: what the API accepted to do on the guest has been done.
        login: a database that should take a login takes it.
        connect: one attempt at a connection.
    """

    upload: float = 300
    healthy: float = 900
    gone: float = 300
    restart: float = 300
    resize: float = 900
    backup: float = 600
    change: float = 60
    login: float = 60
    connect: float = 15

    def scaled(self, factor: float) -> "Timeouts":
        """Return these limits multiplied, for slower or faster clouds."""
        return replace(self, **{f.name: getattr(self, f.name) * factor for f in fields(self)})
