"""Which hypervisor runs the guests."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from trove.tests.common import progress, qemu
from trove.tests.common.errors import ScenarioError
from trove.tests.embedded.containers import probe


@dataclass(frozen=True, kw_only=True)
class Hypervisor:
    """How nova drives a kind of guest.

    Attributes:
        name: what the user calls it.
        uri: libvirt's name of it; nova's ``[libvirt] connection_uri``.
        virt_type: nova's ``[libvirt] virt_type``.
        cpu_mode: nova's ``[libvirt] cpu_mode``.
        cpu_flags: nova's ``[libvirt] cpu_model_extra_flags``, empty for none.
        containers: its guests are containers: they share this machine's kernel and
            run as its root.
        report_interval: seconds between a guest agent's looks after its database; Trove's
            ``report_interval``. They are a good part of what an idle guest does.
        call_timeout: seconds an agent has to answer; Trove's ``agent_call_low_timeout``.
        fault: starts a probe guest; returns what is wrong, None if that ran.
    """

    name: str
    uri: str = "qemu:///system"
    virt_type: str
    cpu_mode: str
    cpu_flags: str = ""
    containers: bool = False
    report_interval: int = 5
    call_timeout: int = 30
    fault: Callable[[], str | None]


KINDS = {
    kind.name: kind
    for kind in (
        Hypervisor(name="kvm", virt_type="kvm", cpu_mode="host-passthrough", fault=qemu.kvm_fault),
        Hypervisor(
            name="lxc",
            uri="lxc:///system",
            virt_type="lxc",
            cpu_mode="none",
            containers=True,
            fault=probe.fault,
        ),
        Hypervisor(
            name="qemu",
            virt_type="qemu",
            cpu_mode="host-model",
            cpu_flags=qemu.EMULATED_WITHOUT,
            report_interval=15,
            call_timeout=60,
            fault=lambda: None,
        ),
    )
}
AUTO = "auto"


def choose(name: str) -> Hypervisor:
    """Return the hypervisor of that name; ``auto`` takes the first that runs a guest.

    The fastest come first. What was chosen, and why none before it, is said.

    Raises:
        ScenarioError: the name is unknown, or that hypervisor runs no guest here.
    """
    if name not in (AUTO, *KINDS):
        raise ScenarioError(
            f"There is no hypervisor {name!r}: choose one of {', '.join([AUTO, *KINDS])}."
        )
    faults = []
    wanted = list(KINDS.values()) if name == AUTO else [KINDS[name]]
    with ThreadPoolExecutor(max_workers=len(wanted)) as pool:
        probes = [(kind, pool.submit(kind.fault)) for kind in wanted]
    for kind, found in probes:
        fault = found.result()
        if fault is None:
            progress.say("; ".join([*faults, f"guests will be run by {kind.name}"]))
            return kind
        faults.append(fault)
    raise ScenarioError(
        f"This machine has no use for --hypervisor {name}: {'; '.join(faults)}. Choose {AUTO}."
    )
