"""Guest images by themselves: how soon their database is healthy, and what tuning them saves."""

from bench import servers
from bench.figures import Figures
from trove.tests.common import matrix
from trove.tests.common.errors import ScenarioError
from trove.tests.common.matrix import Target
from trove.tests.embedded.api import EmbeddedCloud
from trove.tests.harness import images, verifying
from trove.tests.harness.redaction import new_password
from trove.tests.harness.waiting import wait_for

TIMEOUT = 1200  # seconds; without tuning and on a busy machine a guest takes several minutes


def measure_emulated(figures: Figures, datastore: str) -> None:
    """Boot the image of a datastore on an emulated processor, with and without tuning."""
    target = matrix.load().select(datastore)
    tuned, untuned = (_seconds(target, tuned=tuned) for tuned in (True, False))
    figures.add(f"guest on to healthy (qemu, {datastore})", tuned, "s")
    figures.add(f"guest on to healthy, untuned (qemu, {datastore})", untuned, "s")
    figures.add(f"guest untuned, to tuned (qemu, {datastore})", untuned / tuned, "times")


def measure_container(figures: Figures, names: EmbeddedCloud, datastore: str) -> None:
    """Boot the image of a datastore on a cloud whose guests are containers."""
    target = matrix.load().select(datastore)
    with servers.booted(names, target, verifying.user_data(target, new_password())) as server:
        seconds = wait_for(
            lambda: _healthy(server), f"the guest of {datastore} is healthy", TIMEOUT, interval=3
        )
    figures.add(f"guest on to healthy (lxc, {datastore})", seconds, "s")


def _seconds(target: Target, *, tuned: bool) -> float:
    """Return the seconds from power-on until agent and database are there."""
    image = images.ensure_image(target, tuned=tuned)
    verified = verifying.verify(image, target, timeout=TIMEOUT, accelerator="tcg")
    # What Trove calls healthy: the agent is at work, and so is its database.
    return max(verified.seconds[stage] for stage in ("agent", "container"))


def _healthy(server: servers.Server) -> float | None:
    """Return when the database was healthy, by the guest's clock; None while it is not.

    Raises:
        ScenarioError: the guest says that it won't be.
    """
    for report in verifying.reports_in(server.console()):
        if "fault" in report:
            raise ScenarioError(f"The guest of the measurement failed: {report['fault']}")
        if report["stage"] == "container":
            return report["seconds"]
    return None
