"""``trove-sweep``: what test runs have left on a cloud, and its deletion."""

import argparse
import json
import sys
from collections.abc import Iterable
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import timedelta
from operator import attrgetter
from typing import Any

from filelock import Timeout

from trove.tests.common import paths, progress
from trove.tests.common.errors import ScenarioError
from trove.tests.harness import clients, leftovers, sweeper
from trove.tests.harness.arguments import duration
from trove.tests.harness.clients import Cloud
from trove.tests.harness.journal import Entry
from trove.tests.harness.kinds import kinds
from trove.tests.harness.leftovers import Found, Leftover
from trove.tests.harness.run import Run, begun_at
from trove.tests.harness.timeouts import Timeouts, of_run

USUAL_AGE = timedelta(hours=12)
_WIDE = 1000  # columns, where no terminal has a say

_EXAMPLES = """\
Only what a run has made is touched: its whole name is one that a run gives, and it is in
the project of one of the two users. A run that is alive on this machine is left alone. Of
one on another machine nobody knows: hence --older-than. What --keep has kept is
listed like everything else.

examples:
  trove-sweep --os-cloud devstack                   what is there
  trove-sweep --os-cloud devstack --yes             delete it
  trove-sweep --run 2611261141d0fe --yes            of one run, however young
  trove-sweep --older-than 2h --json                for programs
"""


@dataclass
class _Outcome:
    """What a call of the command has come to.

    Attributes:
        leftovers: what is to be deleted.
        spared: a line each for runs that are left alone.
        problems: a line each for what could not be deleted; None where nothing was.
        deleted: how many have been deleted.
    """

    leftovers: list[Leftover] = field(default_factory=list)
    spared: list[str] = field(default_factory=list)
    problems: list[str] | None = None
    deleted: int = 0


def main(argv: list[str] | None = None) -> int:
    """Run the command; the exit code is not zero when something is left that should not be."""
    arguments = _parser().parse_args(argv)
    try:
        return _run(arguments)
    except ScenarioError as error:
        print(f"trove-sweep: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("trove-sweep: interrupted; call it again for what is left.", file=sys.stderr)
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="trove-sweep",
        description="List what test runs have left on a cloud; with --yes, delete it.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--os-cloud", metavar="NAME", help="entry of clouds.yaml (default: $OS_CLOUD)"
    )
    parser.add_argument(
        "--os-admin-cloud",
        metavar="NAME",
        help="its administrator's entry (default: $OS_ADMIN_CLOUD, else <cloud>-admin)",
    )
    parser.add_argument("--run", type=_run_id, metavar="ID", help="of this run alone")
    parser.add_argument(
        "--older-than",
        type=duration,
        metavar="TIME",
        help="of runs that began so long ago: 30m, 2h, 3d (default: 12h; with --run 0m)",
    )
    parser.add_argument("--yes", action="store_true", help="delete it")
    parser.add_argument("--json", action="store_true", help="print the result for programs")
    return parser


def _run_id(text: str) -> str:
    if begun_at(text) is None:
        raise argparse.ArgumentTypeError(f"{text!r} is no run's id, such as 2611261141d0fe")
    return text


def _run(arguments: argparse.Namespace) -> int:
    name = clients.named_cloud(arguments.os_cloud)
    if name is None:
        raise ScenarioError("Which cloud? Name one with --os-cloud or OS_CLOUD.")
    names = clients.pair(name, arguments.os_admin_cloud)
    with progress.step(f"look at cloud {names.user}"):
        user, admin = clients.connect(names.user), clients.connect(names.admin)
        found = leftovers.look(user, admin, kinds(user, admin))
    with ExitStack() as held:
        outcome = _choose(found, arguments, held)
        if arguments.yes:
            _delete(outcome, found, user, admin)
    print(_for_programs(outcome, found) if arguments.json else _for_people(outcome, found))
    return 1 if outcome.problems or found.unseen else 0


def _choose(found: Found, arguments: argparse.Namespace, held: ExitStack) -> _Outcome:
    """Choose the runs to sweep after, and have those of this machine for ourselves."""
    usual = timedelta() if arguments.run else USUAL_AGE
    least = usual if arguments.older_than is None else arguments.older_than
    outcome, chosen = _Outcome(), set()
    for run, age in sorted({each.run: each.age for each in found.leftovers}.items()):
        if arguments.run not in (None, run):
            continue
        if age < least:
            outcome.spared.append(f"run {run}: begun {_time(age)} ago; --older-than {_time(least)}")
        elif not _take(run, held):
            outcome.spared.append(f"run {run}: alive on this machine, or being cleaned up after")
        else:
            chosen.add(run)
    outcome.leftovers = [each for each in found.leftovers if each.run in chosen]
    return outcome


def _take(run: str, held: ExitStack) -> bool:
    """Have a run that is dead for ourselves; tell whether it is."""
    folder = paths.runs() / run
    if not folder.is_dir():
        return True
    try:
        held.enter_context(Run(run, folder).held())
    except Timeout:
        return False
    return True


def _delete(outcome: _Outcome, found: Found, user: Cloud, admin: Cloud) -> None:
    """Delete what was chosen, and then what Trove leaves of its instances."""
    known, chosen = kinds(user, admin), {each.run for each in outcome.leftovers}
    timeouts = _limits(chosen)
    problems: list[sweeper.Problem] = []
    tried: set[str | None] = set()

    def gone(entry: Entry) -> None:
        outcome.deleted += 1
        count = f"{outcome.deleted} of {len(outcome.leftovers)}"
        progress.say(f"deleted {entry.kind} {entry.name} ({count})")

    pending = outcome.leftovers
    while pending:
        tried |= {each.entry.id for each in pending}
        problems += sweeper.delete([each.entry for each in pending], known, timeouts, gone)
        later = leftovers.look(user, admin, known, found.runs).leftovers
        pending = [each for each in later if each.run in chosen and each.entry.id not in tried]
        outcome.leftovers = [*outcome.leftovers, *pending]
    outcome.problems = [sweeper.told(problem) for problem in problems]


def _limits(runs: Iterable[str]) -> Timeouts:
    """Return the most generous limits of runs; of one of another machine nothing is known."""
    journals = [Run(run, paths.runs() / run).journal for run in runs]
    return max([Timeouts(), *(of_run(each.facts()) for each in journals)], key=attrgetter("gone"))


def _for_programs(outcome: _Outcome, found: Found) -> str:
    facts: dict[str, Any] = {
        "leftovers": [
            {
                "kind": each.entry.kind,
                "name": each.entry.name,
                "id": each.entry.id,
                "run": each.run,
                "age_seconds": int(each.age.total_seconds()),
            }
            for each in outcome.leftovers
        ],
        "runs_left_alone": outcome.spared,
        "others": found.others,
        "not_looked_at": [*found.absent, *found.unseen],
        "deleted": outcome.deleted,
        "problems": outcome.problems or [],
    }
    return json.dumps(facts, indent=2)


def _for_people(outcome: _Outcome, found: Found) -> str:
    lines = [
        *_section("left alone", [*outcome.spared, *found.others]),
        *_section("not there, or not for these users to see", found.absent),
        *_section("could not be looked at", found.unseen),
    ]
    if outcome.problems is None:
        lines = [*_table(outcome.leftovers), *lines]
        lines.append(
            f"{len(outcome.leftovers)} to delete: call it with --yes"
            if outcome.leftovers
            else "nothing to delete"
        )
    else:
        lines += _section("could not be deleted", outcome.problems)
        lines.append(f"{outcome.deleted} of {len(outcome.leftovers)} deleted")
    return "\n".join(lines)


def _section(title: str, lines: Iterable[str]) -> list[str]:
    lines = [f"  {line}" for line in lines]
    return [f"{title}:", *lines] if lines else []


def _table(found: list[Leftover]) -> list[str]:
    from rich.console import Console
    from rich.table import Table

    if not found:
        return []
    table = Table(box=None)
    for heading in ("kind", "name", "id", "run", "age"):
        table.add_column(heading, overflow="fold")
    for each in found:
        entry = each.entry
        table.add_row(entry.kind, entry.name, entry.id, each.run, _time(each.age))
    console = Console(width=None if sys.stdout.isatty() else _WIDE)
    with console.capture() as printed:
        console.print(table)
    return [line.rstrip() for line in printed.get().splitlines()]


def _time(span: timedelta) -> str:
    minutes = int(span.total_seconds() // 60)
    for unit, size in (("d", 24 * 60), ("h", 60)):
        if abs(minutes) >= 2 * size:
            return f"{minutes // size}{unit}"
    return f"{minutes}m"


if __name__ == "__main__":
    sys.exit(main())
