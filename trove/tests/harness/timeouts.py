"""How long things may take: the one table of limits, in seconds.

They are limits, not expectations: several times what was measured on two cores.
Failing states end a wait long before.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

# What the limits are multiplied by for guests of a kind: emulated ones take their time.
SCALES = {"kvm": 1.0, "lxc": 1.0, "qemu": 2.0}


@dataclass(frozen=True)
class Timeouts:
    """Limits in seconds.

    Attributes:
        upload: an image sent to Glance is active.
        healthy: a new instance is healthy.
        failed: an instance that can't be built is given up.
        gone: a deleted instance is no longer known.
        restart: a restarted instance is healthy again.
        resize: an instance is healthy on its new flavor or with its larger volume.
        failover: another instance is the source of its replicas.
        lag: replicas serve what their source has acknowledged.
        report: a guest agent has looked after its database, as it does once or twice a minute.
        unheard: Trove takes an agent for gone of which it hears nothing any more.
        backup: a backup is complete.
        change: what the API accepted to do on the guest has been done.
        login: a database that should take a login takes it.
        connect: one attempt at a connection.
        test: the body of a test has ended, whatever that waits for.
    """

    upload: float = 300
    healthy: float = 900
    failed: float = 300
    gone: float = 300
    restart: float = 300
    resize: float = 900
    failover: float = 600
    lag: float = 60
    report: float = 150
    unheard: float = 180
    backup: float = 300
    change: float = 60
    login: float = 60
    connect: float = 15
    test: float = 1200

    def scaled(self, factor: float) -> "Timeouts":
        """Return these limits multiplied, for slower or faster clouds."""
        return replace(self, **{f.name: getattr(self, f.name) * factor for f in fields(self)})


def suited(hypervisor: str | None, factor: float | None = None) -> Timeouts:
    """Return the limits for a cloud.

    Args:
        hypervisor: what runs its guests, if known.
        factor: what a user wants limits multiplied by; None for what suits the guests.
    """
    return Timeouts().scaled(factor or SCALES.get(hypervisor, 1))


def of_run(facts: Mapping[str, Any]) -> Timeouts:
    """Return the limits that a run had, by the facts in its journal."""
    return suited(facts.get("hypervisor"), facts.get("timeout_scale"))
