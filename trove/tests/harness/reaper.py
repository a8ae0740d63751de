"""A process of its own that cleans up after a run that can't: one that was killed.

It waits for the end of the run's processes, by the locks that they hold, and asks the
cloud for nothing meanwhile. A run that has cleaned up leaves it nothing to do.
"""

import logging
import os
import subprocess
import sys
from pathlib import Path

from trove.tests.common import paths
from trove.tests.harness.run import Run

MODULE = "trove.tests.harness.reaper"
LOG = "reaper.log"

log = logging.getLogger(MODULE)


def watch(run: Run) -> None:
    """Start a reaper for a run whose journal says which cloud it uses.

    It is out of reach of what ends this process: Ctrl-C, a closed terminal, a kill.
    """
    run.prepare()
    modules = os.pathsep.join(filter(None, (str(paths.ROOT), os.environ.get("PYTHONPATH"))))
    with (run.folder / LOG).open("a") as written:
        subprocess.Popen(
            [sys.executable, "-P", "-m", MODULE, str(run.folder)],
            stdin=subprocess.DEVNULL,
            stdout=written,
            stderr=written,
            env={**os.environ, "PYTHONPATH": modules},
            start_new_session=True,
        )


def main() -> None:
    """Wait until the run in the folder that is named has ended, and delete what it has left."""
    folder = Path(sys.argv[1])
    run = Run(folder.name, folder)
    logging.basicConfig(format="%(asctime)s %(levelname)-7s %(message)s", level=logging.WARNING)
    logging.getLogger("trove").setLevel(logging.INFO)
    log.info("process %d waits for the end of run %s", os.getpid(), run.id)
    with run.held(owner=-1, worker=-1):
        left = len(run.journal.open_entries())
        log.info("the run has ended and left %d in its journal", left)
        if left:
            clean_up(run)


def clean_up(run: Run) -> None:
    """Delete what a run has left; the caller has it for itself."""
    # Here, for while it waits it is to be small.
    from trove.tests.common.errors import ScenarioError
    from trove.tests.harness import clients, sweeper
    from trove.tests.harness.timeouts import of_run

    facts = run.journal.facts()
    try:
        user, admin = clients.connect(facts["user"]), clients.connect(facts["admin"])
    except ScenarioError as error:
        log.warning("%s The next run on this cloud will try again.", error)
        return
    problems = sweeper.sweep(run.journal, user, admin, timeouts=of_run(facts))
    for problem in problems:
        log.warning("not cleaned up: %s", problem)
    run.forget_secrets()
    log.info("cleaned up" if not problems else "the next run on this cloud will try again")


if __name__ == "__main__":
    main()
