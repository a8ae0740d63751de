"""``python -m bench``: measure the project, several times over, and show the medians."""

import argparse
import json
import sys
from pathlib import Path

from rich.console import Console

from bench.figures import Figures
from trove.tests.common import matrix
from trove.tests.common.errors import ScenarioError
from trove.tests.embedded import api, hypervisor, lifecycle
from trove.tests.embedded.api import EmbeddedCloud
from trove.tests.embedded.cloud import Cloud

GROUPS = ("starting", "storage", "guest", "instances", "images", "runs")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__.partition(": ")[2])
    parser.add_argument(
        "groups", nargs="*", metavar="GROUP", help=f"of {', '.join(GROUPS)} (default: all)"
    )
    parser.add_argument("--repeat", type=int, default=3, metavar="N", help="default: %(default)s")
    parser.add_argument(
        "--hypervisor", default=hypervisor.AUTO, choices=[hypervisor.AUTO, *hypervisor.KINDS]
    )
    parser.add_argument(
        "--datastore",
        action="append",
        choices=list(matrix.load().datastores),
        help="whose images and tests to measure; may be given several times (default: mysql)",
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all values there, too")
    return parser


def _measure(group: str, figures: Figures, wanted: str, datastores: list[str]) -> None:
    from bench import guest, images, instances, runs, starting, storage

    match group:
        case "starting":
            starting.measure(figures, wanted)
        case "storage":
            storage.measure(figures, _cloud(wanted).user_cloud)
        case "guest":
            guest.measure(figures, _cloud(wanted))
        case "instances":
            instances.measure(figures, _cloud(wanted))
        case "images":
            images.measure(figures, datastores)
        case "runs":
            _cloud(wanted)
            for datastore in datastores:
                runs.measure(figures, datastore)


def _cloud(wanted: str) -> EmbeddedCloud:
    """Bring up the cloud that most is measured on; it stays."""
    cloud = Cloud()
    lifecycle.up(cloud, lifecycle.Wanted(hypervisor=wanted))
    return api.names_of(cloud)


def main() -> int:
    """Measure; the exit code is 1 where something could not be measured."""
    arguments = _parser().parse_args()
    if unknown := set(arguments.groups) - set(GROUPS):
        print(f"bench: no group {min(unknown)!r}: choose from {', '.join(GROUPS)}", file=sys.stderr)
        return 2
    figures, failed = Figures(), False
    try:
        for group in arguments.groups or GROUPS:
            for _ in range(arguments.repeat):
                _measure(group, figures, arguments.hypervisor, arguments.datastore or ["mysql"])
    except ScenarioError as error:
        print(f"bench: {error}", file=sys.stderr)
        failed = True
    Console().print(figures.table())
    if arguments.json:
        arguments.json.write_text(json.dumps(figures.summary(), indent=2) + "\n")
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
