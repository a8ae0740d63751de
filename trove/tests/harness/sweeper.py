"""Delete what runs have made, side by side, in an order in which nothing is in use.

By a journal only what that names is touched: by its id, or, where the run died before
it was told the id, by its exact name, which has the run's id.
"""

import logging
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from itertools import groupby
from typing import Any

from trove.tests.common import progress
from trove.tests.harness.clients import Cloud
from trove.tests.harness.journal import Entry, Journal
from trove.tests.harness.kinds import BUSY, GONE, Kind, attribute, kinds
from trove.tests.harness.paging import every
from trove.tests.harness.run import ended_runs, run_of
from trove.tests.harness.timeouts import Timeouts
from trove.tests.harness.waiting import State, is_transient, wait_for

log = logging.getLogger(__name__)

ATTEMPTS = 2
SIDE_BY_SIDE = 8
SETTLING = 10  # seconds that a cloud may take to list what it was asked to create

Problem = tuple[Entry, Exception]


def sweep(journal: Journal, user: Cloud, admin: Cloud, timeouts: Timeouts) -> list[str]:
    """Delete everything that is open in ``journal``; return what went wrong.

    One failure doesn't keep the rest from being deleted. What a newer version of this
    harness has made, and only that can delete, stays in the journal.
    """
    known = kinds(user, admin)
    entries = journal.open_entries()
    # Another version of the tree may have written this journal.
    strange = [entry for entry in entries if entry.kind not in known]
    pending = [entry for entry in reversed(entries) if entry.kind in known]
    _let_settle(pending)
    return [
        *map(told, delete(pending, known, timeouts, journal.closed)),
        *(f"{entry.kind} {entry.name}: unknown to this version" for entry in strange),
    ]


def delete(
    entries: Iterable[Entry],
    known: dict[str, Kind],
    timeouts: Timeouts,
    gone: Callable[[Entry], Any],
) -> list[Problem]:
    """Delete resources, wait until they are gone, and return those that are not, and why.

    Args:
        entries: the resources, of each kind the newest first.
        known: how to handle each kind, in the order in which to delete.
        timeouts: how long deleting may take.
        gone: told of each resource that is gone.
    """
    order = {kind: place for place, kind in enumerate(known)}
    # An instance's volume can't go while its snapshots are there, nor they perhaps while
    # volumes made of them are: instances and backups go together, the newest first.
    order["backup"] = order["instance"]
    pending = sorted(entries, key=lambda entry: order[entry.kind])
    problems: list[Problem] = []
    with _side_by_side() as pool:
        # What is still in use by what is deleted with it can be deleted once that is gone.
        for _ in range(ATTEMPTS):
            problems = []
            for kind, batch in groupby(pending, key=lambda entry: entry.kind):
                problems += _delete_together(list(batch), known[kind], timeouts, gone, pool)
            pending = [entry for entry, _ in problems]
    return problems


def told(problem: Problem) -> str:
    """Return a line that tells what could not be deleted, and why."""
    entry, why = problem
    return f"{entry.kind} {entry.name} ({entry.id or 'no id'}): {why}"


def remove(entry: Entry, user: Cloud, admin: Cloud, timeouts: Timeouts) -> None:
    """Delete one resource of a journal, if it is still there, and wait until it is gone."""
    for _, why in delete([entry], kinds(user, admin), timeouts, lambda _: None):
        raise why


def sweep_after_ended_runs(user: Cloud, admin: Cloud, timeouts: Timeouts, *, but: str = "") -> None:
    """Delete what ended runs on this cloud have left, because they died or Trove did.

    A task manager that was interrupted may bring back an instance that was deleted since.

    Args:
        user: the cloud as those runs' user sees it.
        admin: the same as its administrator does.
        timeouts: how long deleting may take.
        but: id of a run to leave alone.
    """

    @cache
    def there() -> dict[str, str]:
        return {instance.name: instance.id for instance in every(user.trove.instances.list)}

    for run in ended_runs():
        if run.id == but or run.journal.facts().get("identity") != user.identity:
            continue
        for name in run.journal.deleted("instance"):
            if name in there():
                run.journal.created(run.journal.creating("instance", name), there()[name])
        if run.journal.open_entries():
            with progress.step(f"clean-up after run {run.id}"):
                for problem in sweep(run.journal, user, admin, timeouts):
                    progress.say(f"not cleaned up: {problem}")
            run.forget_secrets()


def _let_settle(entries: list[Entry]) -> None:
    """Wait until what was asked for a moment ago, by a process that died, is there."""
    newest = max((entry.at for entry in entries if not entry.id), default=0)
    time.sleep(min(max(newest + SETTLING - time.time(), 0), SETTLING))


@contextmanager
def _side_by_side() -> Iterator[ThreadPoolExecutor]:
    """Have a pool of threads that keeps nobody who interrupts waiting for what hasn't begun."""
    pool = ThreadPoolExecutor(SIDE_BY_SIDE, thread_name_prefix="sweeper")
    try:
        yield pool
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


@dataclass
class _Deletion:
    """One resource on its way out.

    Attributes:
        entry: what is to be deleted.
        ids: what there is of it; several only where just its name is known.
        asked: whether the deletion was asked for.
        state: what it was when it was last looked at.
        problem: why it can't be deleted.
    """

    entry: Entry
    ids: list[str]
    asked: bool = False
    state: str = "there"
    problem: BaseException | None = None

    @property
    def over(self) -> bool:
        return self.problem is not None or not self.ids

    def ask(self, kind: Kind) -> None:
        """Ask for the deletion; what is busy is to be asked again."""
        for id in list(self.ids):
            log.info("deleting %s %s (%s)", self.entry.kind, self.entry.name, id)
            try:
                kind.delete(id)
            except GONE:
                self.ids.remove(id)
            except BUSY:
                return
        self.asked = True

    def look(self, kind: Kind) -> None:
        """Find out what is still there."""
        for id in list(self.ids):
            try:
                self.see(kind.get(id))
            except GONE:
                self.ids.remove(id)
            except Exception as error:
                if not is_transient(error):
                    raise

    def see(self, found: Any) -> None:
        """Remember the state that a resource is in."""
        self.state = attribute(found, "status") or "there"

    def note(self, gone: Callable[[Entry], Any]) -> None:
        """Tell that the resource is gone."""
        try:
            gone(self.entry)
        except OSError as error:
            # A full disk keeps nothing from being deleted.
            self.fail(error)

    def fail(self, error: BaseException) -> None:
        """Give it up."""
        log.warning("deleting %s %s failed", self.entry.kind, self.entry.name, exc_info=error)
        self.problem = error


def _delete_together(
    entries: list[Entry],
    kind: Kind,
    timeouts: Timeouts,
    gone: Callable[[Entry], Any],
    pool: ThreadPoolExecutor,
) -> list[Problem]:
    """Delete resources of a kind side by side, and nothing before what depends on it."""
    try:
        listed = _listed(entries, kind)
    except Exception as error:
        return [(entry, error) for entry in entries]
    problems: list[Problem] = []
    there = {each.id for each in listed}
    deletions = [_Deletion(entry, _ids(entry, kind, listed, there)) for entry in entries]
    for batch in _in_turn(deletions, kind, listed):
        _carry_out(batch, kind, timeouts, pool)
        for deletion in batch:
            if deletion.problem is None:
                deletion.note(gone)
            if deletion.problem is not None:
                problems.append((deletion.entry, deletion.problem))
    return problems


def _listed(entries: list[Entry], kind: Kind) -> list[Any]:
    by_id = kind.get and not kind.source and all(entry.id for entry in entries)
    return [] if by_id else kind.list()


def _ids(entry: Entry, kind: Kind, listed: list[Any], there: set[str]) -> list[str]:
    if not entry.id:
        return _ids_by_name(entry, listed)
    return [entry.id] if kind.get or entry.id in there else []


def _ids_by_name(entry: Entry, listed: list[Any]) -> list[str]:
    # Images and flavors are called the same in all runs: another one may use that by now.
    if run_of(entry.name):
        return [each.id for each in listed if each.name == entry.name]
    if entry.kind == "datastore_version":
        # Its name is the database's version; the image is what makes it ours.
        image = entry.details["image"]
        return [each.id for each in listed if each.image == image]
    return []


def _in_turn(
    deletions: list[_Deletion], kind: Kind, listed: list[Any]
) -> Iterator[list[_Deletion]]:
    """Yield what can be deleted side by side: those that others come from are the last."""
    sources = {each.id: kind.source(each) for each in listed} if kind.source else {}
    while deletions:
        needed = {sources.get(id) for deletion in deletions for id in deletion.ids}
        free = [each for each in deletions if needed.isdisjoint(each.ids)]
        # Should they come from one another the cloud decides.
        yield free or deletions
        deletions = [each for each in deletions if free and each not in free]


def _carry_out(
    deletions: list[_Deletion], kind: Kind, timeouts: Timeouts, pool: ThreadPoolExecutor
) -> None:
    """Ask for deletions and wait for their end, or for a reason why there is none."""

    def each(do: Callable[[_Deletion, Kind], None], these: Iterable[_Deletion]) -> None:
        going_on = [(one, pool.submit(do, one, kind)) for one in these if not one.over]
        for one, future in going_on:
            if error := future.exception():
                one.fail(error)

    def look() -> State:
        each(_Deletion.ask, [one for one in deletions if not one.asked])
        if kind.get:
            each(_Deletion.look, deletions)
        else:
            _look_at_list(deletions, kind)
        left = [one.state for one in deletions if not one.over]
        states = ", ".join(sorted(set(left)))
        return State(f"{len(left)} left: {states}" if left else "gone", reached=not left)

    what = f"{len(deletions)} of kind {deletions[0].entry.kind} deleted"
    try:
        wait_for(look, what, timeouts.gone)
    except Exception as error:
        for one in deletions:
            if not one.over:
                one.fail(error)


def _look_at_list(deletions: list[_Deletion], kind: Kind) -> None:
    if all(one.over for one in deletions):
        return
    there = {found.id: found for found in kind.list()}
    for one in deletions:
        one.ids = [id for id in one.ids if id in there]
        for id in one.ids:
            one.see(there[id])
