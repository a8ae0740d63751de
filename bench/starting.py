"""The cloud itself: how soon it is there and gone, and what it takes while it idles."""

import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager

from bench.figures import Figures
from trove.tests.common import paths
from trove.tests.embedded import inspection, lifecycle, namespaces, packages
from trove.tests.embedded.cloud import Cloud

SETTLING = 20  # seconds after the start
WATCHED = 20  # seconds over which use of the processors is averaged


def measure(figures: Figures, hypervisor: str) -> None:
    """Start, attach to, reset and end a cloud that nobody else uses."""
    with _fresh_home():
        cloud = Cloud("bench")
        try:
            for start in ("first up", "warm up"):
                lifecycle.down(cloud)
                with figures.seconds(start):
                    lifecycle.up(cloud, lifecycle.Wanted(hypervisor=hypervisor))
            with figures.seconds("attach"):
                lifecycle.up(cloud, lifecycle.Wanted(hypervisor=hypervisor))
            _idle(cloud, figures)
            with figures.seconds("reset"):
                lifecycle.reset(cloud)
            with figures.seconds("down"):
                lifecycle.down(cloud)
        finally:
            lifecycle.down(cloud)


@contextmanager
def _fresh_home() -> Iterator[None]:
    """Have a home with nothing in it but the services' programs, for as long as the block."""
    environments, before = packages.environments(), os.environ.get("TROVE_SCENARIO_HOME")
    packages.services_environment(paths.home() / "logs" / "services.log")
    home = paths.home() / "bench"
    shutil.rmtree(home, ignore_errors=True)
    home.mkdir(parents=True)
    (home / environments.name).symlink_to(environments)
    os.environ["TROVE_SCENARIO_HOME"] = str(home)
    try:
        yield
    finally:
        if before is None:
            del os.environ["TROVE_SCENARIO_HOME"]
        else:
            os.environ["TROVE_SCENARIO_HOME"] = before
        shutil.rmtree(home)


def _idle(cloud: Cloud, figures: Figures) -> None:
    time.sleep(SETTLING)
    begun = namespaces.processor_seconds(cloud.init)
    time.sleep(WATCHED)
    spent = namespaces.processor_seconds(cloud.init) - begun
    figures.add("idle: use of one processor", 100 * spent / WATCHED, "%")
    memory = inspection.describe(cloud)["memory"]["pss"]
    figures.add("idle: memory", memory / (1 << 20), "MiB")
