"""The link between this machine and a cloud, and the fence around the clouds' addresses.

A cloud claims its part of the address range by making the link of that number:
the kernel gives a name once, so two clouds never share a part.
"""

import json
import shutil
import subprocess
from collections.abc import Iterable
from pathlib import Path

import psutil

from trove.tests.common.commands import run
from trove.tests.common.errors import ScenarioError
from trove.tests.embedded import addresses
from trove.tests.embedded.addresses import Addresses
from trove.tests.embedded.namespaces import enter

_INSIDE = "uplink"
_PRIORITY = "19818"  # of the rules about clouds' links: after what is for this machine itself


def raise_fence() -> None:
    """Make the whole address range unreachable unless a cloud claims a part.

    The route stays when clouds end: that is what keeps a stale clouds.yaml
    from sending its requests to whoever lies behind the default route.

    Raises:
        ScenarioError: this machine takes no route.
    """
    made = subprocess.run(
        ["ip", "route", "replace", "unreachable", str(addresses.RANGE), "metric", "4000"],
        capture_output=True,
        text=True,
        check=False,
    )
    if made.returncode != 0:
        raise ScenarioError(
            f"This machine takes no network route ({made.stderr.strip()}); this needs root with"
            " all capabilities, or set OS_CLOUD to use another cloud."
        )


def claim(folder: Path, slots: Iterable[int] = range(addresses.SLOTS)) -> int:
    """Claim a free part of the address range for the cloud in ``folder``; return its number.

    Args:
        folder: the cloud's folder.
        slots: numbers of the parts to choose from.

    Raises:
        ScenarioError: all parts are taken, or no link or route could be made.
    """
    raise_fence()
    for slot in slots:
        link = Addresses(slot).link
        made = subprocess.run(
            ["ip", "link", "add", link, "type", "veth", "peer", "name", f"{link}-in"],
            capture_output=True,
            text=True,
            check=False,
        )
        if made.returncode == 0:
            subprocess.run(["ip", "link", "set", link, "alias", str(folder)], check=True)
            return slot
        if not Path("/sys/class/net", link).exists():
            raise ScenarioError(f"This machine makes no network link: {made.stderr.strip()}")
    raise ScenarioError(
        "All address ranges for this embedded cloud are taken: end another with"
        " trove-cloud down, with its --name and TROVE_SCENARIO_HOME."
    )


def connect(init: psutil.Process, net: Addresses, log: Path) -> None:
    """Move the far end of the claimed link into the cloud, and route its addresses there.

    Raises:
        ScenarioError: the link could not be set up.
    """
    _forget_rule(net.link)  # of a cloud that was killed
    for argv in (
        # What comes through it reaches this machine or nobody. The machine may be a router, as
        # every one with docker is, or become one: guests would reach the clouds beside theirs.
        f"ip rule add iif {net.link} priority {_PRIORITY} unreachable",
        f"ip link set {net.link}-in netns {init.pid} name {_INSIDE}",
        f"ip address add {net.host}/{net.link_prefix} dev {net.link}",
        f"ip link set {net.link} up",
    ):
        run(argv.split(), log=log, what="Linking the embedded cloud to this machine")
    for argv in (
        f"ip address add {net.api}/{net.link_prefix} dev {_INSIDE}",
        f"ip link set {_INSIDE} up",
    ):
        run(enter(init, argv.split()), log=log, what="Linking this machine to the embedded cloud")
    run(
        f"ip route add {net.everything} via {net.api} dev {net.link}".split(),
        log=log,
        what="Routing the embedded cloud's addresses",
    )


def _forget_rule(link: str) -> None:
    rule = ["ip", "rule", "delete", "iif", link, "priority", _PRIORITY]
    subprocess.run(rule, check=False, stderr=subprocess.DEVNULL)


def _forget_rules_of_no_link() -> None:
    """Remove the rules of links that are gone; the kernel leaves them there."""
    if not shutil.which("ip"):
        return  # who makes them needs it
    argv = ["ip", "-json", "rule", "list", "priority", _PRIORITY]
    listed = subprocess.run(argv, check=True, capture_output=True).stdout
    for rule in json.loads(listed):
        if "iif_detached" in rule:
            _forget_rule(rule["iif"])


def release(folder: Path) -> None:
    """Remove every link to the cloud in ``folder`` that the kernel has not removed yet."""
    for alias in Path("/sys/class/net").glob("trove-cloud*/ifalias"):
        if alias.read_text().strip() == str(folder):
            subprocess.run(
                ["ip", "link", "delete", alias.parent.name],
                check=False,
                stderr=subprocess.DEVNULL,
            )
    _forget_rules_of_no_link()
