"""A green run of tests: how much of it goes to looking after the run itself."""

import json
import os
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path

from bench import sampling
from bench.figures import Figures
from trove.tests.common import paths
from trove.tests.common.errors import ScenarioError


def measure(figures: Figures, datastore: str) -> None:
    """Run a datastore's smoke tests, two at a time, on the embedded cloud.

    The share of the machinery is what it takes of the run's time, in the controller and,
    on average, in a worker; and what it uses of a processor beside.

    Raises:
        ScenarioError: not all passed: what a failure costs is another matter.
    """
    with tempfile.TemporaryDirectory() as folder:
        _run(datastore, Path(folder))
        seen = {file.stem: json.loads(file.read_text()) for file in Path(folder).iterdir()}
    controller = seen.pop(sampling.CONTROLLER)
    spent = Counter(controller["modules"])
    for worker in seen.values():
        spent.update({name: took / len(seen) for name, took in worker["modules"].items()})
    cleaning = spent.pop(sampling.CLEAN_UP, 0)
    run = f"run of tests ({datastore})"
    figures.add(run, controller["whole"], "s")
    figures.add(f"{run}: clean-up", cleaning, "s")
    for name, took in sorted(spent.items()):
        figures.add(f"{run}: {name.removeprefix('trove.tests.')}", took, "s")
    figures.add(f"{run}: beside", controller["aside"], "s")
    share = (spent.total() + controller["aside"]) / controller["whole"]
    figures.add(f"{run}: share of its machinery", 100 * share, "%")


def _run(datastore: str, folder: Path) -> None:
    others = {name: value for name, value in os.environ.items() if not name.startswith("OS_")}
    wanted = ["-m", f"{datastore} and smoke", "-n", "2", "-p", sampling.__name__]
    environment = {**others, sampling.FOLDER: str(folder)}
    argv = [sys.executable, "-m", "pytest", *wanted]
    done = subprocess.run(argv, cwd=paths.ROOT, env=environment, check=False)
    if done.returncode:
        raise ScenarioError(f"The run that was to be measured ended with {done.returncode}.")
