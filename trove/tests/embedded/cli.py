"""``trove-cloud``: a real OpenStack with Trove on this one machine."""

import argparse
import signal
import subprocess
import sys

from rich.console import Console
from rich.table import Table

from trove.tests.common.errors import ScenarioError
from trove.tests.embedded import hypervisor, lifecycle, namespaces
from trove.tests.embedded.cloud import Cloud
from trove.tests.embedded.supervision import RUNNING, Supervisor

_EXAMPLES = """\
examples:
  trove-cloud up                      start it, or attach to the running one
  openstack --os-cloud trove-embedded database instance list
  trove-cloud logs trove-taskmanager  what a service logged
  trove-cloud down                    end it; nothing of it remains
"""


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="trove-cloud",
        description=__doc__.partition(": ")[2],
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--name",
        default=Cloud().name,
        help="which cloud; several run side by side (default: $TROVE_CLOUD_NAME, else %(default)s)",
    )
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
    up = verbs.add_parser("up", help="start the cloud and write its clouds.yaml entries")
    up.add_argument(
        "--hypervisor",
        default=hypervisor.AUTO,
        choices=[hypervisor.AUTO, *hypervisor.KINDS],
        help="what runs the guests; auto takes kvm where a probe guest really runs",
    )
    up.set_defaults(action=_up)
    verbs.add_parser("down", help="end the cloud and remove all of it").set_defaults(action=_down)
    status = verbs.add_parser("status", help="tell whether each service runs")
    status.set_defaults(action=_status)
    logs = verbs.add_parser("logs", help="print the log of a service or a start-up task")
    logs.add_argument("service", metavar="SERVICE")
    logs.add_argument("--follow", "-f", action="store_true", help="go on as the log grows")
    logs.set_defaults(action=_logs)
    return parser


def _up(cloud: Cloud, arguments: argparse.Namespace) -> int:
    lifecycle.up(cloud, arguments.hypervisor)
    print(f"The cloud is up. Use it: openstack --os-cloud {cloud.user_cloud} …")
    print(f"As its administrator: --os-cloud {cloud.admin_cloud}")
    return 0


def _down(cloud: Cloud, _arguments: argparse.Namespace) -> int:
    lifecycle.down(cloud)
    return 0


def _status(cloud: Cloud, _arguments: argparse.Namespace) -> int:
    init = cloud.init
    if init is None:
        print(f"The cloud {cloud.name} is down.")
        return 1
    table = Table("service", "state", "since", box=None)
    processes = Supervisor(cloud.folder / "supervisor.sock").processes()
    for process in sorted(processes, key=lambda process: process["name"]):
        since = f"{process['now'] - process['start']} s" if process["statename"] == RUNNING else ""
        table.add_row(process["name"], process["statename"], since)
    Console().print(table)
    settings = cloud.settings
    print(
        f"series {settings.series}, guests run by {settings.hypervisor}" if settings else "starting"
    )
    print(f"memory {namespaces.memory(init) / (1 << 30):.1f} GiB, all of it in {cloud.folder}")
    complete = settings and all(process["statename"] == RUNNING for process in processes)
    return 0 if complete else 1


def _logs(cloud: Cloud, arguments: argparse.Namespace) -> int:
    log = cloud.log(arguments.service)
    if not log.exists():
        known = ", ".join(sorted(path.stem for path in cloud.logs.glob("*.log")))
        raise ScenarioError(
            f"There is no log of {arguments.service!r}: "
            + (f"the known ones are {known}." if known else f"the cloud {cloud.name} is down.")
        )
    if arguments.follow:
        return subprocess.run(["tail", "-n", "+1", "-F", str(log)], check=False).returncode
    sys.stdout.write(log.read_text(errors="replace"))
    return 0


def end_on_signals() -> None:
    """Have the polite request to end undo what was begun, as Ctrl-C does."""

    def interrupt(_signal: int, _frame: object) -> None:
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, interrupt)


def main() -> int:
    """Run one verb; the exit code is not zero when it failed."""
    arguments = _parser().parse_args()
    end_on_signals()
    try:
        return arguments.action(Cloud(arguments.name), arguments)
    except ScenarioError as error:
        print(f"trove-cloud: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("trove-cloud: interrupted; nothing was left behind.", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main())
