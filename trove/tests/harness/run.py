"""One test run: its id, its folder, and what its processes share.

All processes of a run (pytest-xdist has several) know the same folder. What they
share is made once, by whichever comes first; the others wait for it and take the
result. Each of them holds a lock for as long as it lives: the kernel releases it, however
the process ends, and a run is dead when none of its locks is held.
"""

import json
import re
import secrets
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from trove.tests.common import paths
from trove.tests.common.errors import ScenarioError
from trove.tests.harness.journal import PREFIX, Journal

OWNER_LOCK = "owner.lock"
WORKER_LOCK = "worker-{}.lock"
WORKER_PATIENCE = 20  # seconds; execnet ends a worker within 15 s of the controller's end
LOCK_INTERVAL = 0.5
JOURNAL = "journal.jsonl"
RUNS_KEPT = 20
LATEST = "latest"
LENT = ".lent"  # ends the names of the marks of results that are in use
SECRET = "secret-"  # begins the names of results that hold passwords
_BEGUN = "%y%m%d%H%M"  # UTC, for one cloud may be used from several places
# What ``Run.name`` returns, and what comes of it: Trove numbers replicas that are asked
# for together.
_ID = r"([0-9]{10})[0-9a-f]{4}"
_NAME = re.compile(rf"{PREFIX}(?P<run>{_ID})-[a-z0-9-]+-[0-9a-f]{{4,8}}(?:-[0-9]+)?")


class SharedError(ScenarioError):
    """What is shared could not be made, as whoever wants it is told.

    Attributes:
        culprit: whose fault it was likely to be, by who tried.
    """

    def __init__(self, text: str, culprit: str) -> None:
        super().__init__(text)
        self.culprit = culprit


@dataclass(frozen=True)
class Run:
    """A test run.

    Attributes:
        id: short and unique; part of the name of whatever the run creates.
        folder: journal, logs and shared results.
    """

    id: str
    folder: Path

    @classmethod
    def new(cls) -> "Run":
        """Return a run with a new id; nothing is on disk yet."""
        id = f"{time.strftime(_BEGUN, time.gmtime())}{secrets.token_hex(2)}"
        return cls(id, paths.runs() / id)

    @property
    def logins(self) -> Path:
        """Folder of the commands that log in to instances; they hold passwords."""
        return self.folder / "logins"

    @cached_property
    def journal(self) -> Journal:
        """What the run created."""
        return Journal(self.folder / JOURNAL)

    def prepare(self) -> None:
        """Make the folder, readable by its owner alone."""
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)

    def own(self) -> FileLock:
        """Mark the run as alive until this process ends; return the lock held.

        Raises:
            filelock.Timeout: it is alive already.
            ScenarioError: nothing can be written to its folder.
        """
        return self._alive(OWNER_LOCK)

    def join(self, worker: str) -> FileLock:
        """Do the same as one of its workers, told by its name."""
        return self._alive(WORKER_LOCK.format(worker))

    @contextmanager
    def held(self, *, owner: float = 0, worker: float = WORKER_PATIENCE) -> Iterator[None]:
        """Have a run that is dead to oneself: nobody else gets it meanwhile.

        A worker whose controller was killed goes on for a moment, and what it makes then is
        to be found.

        Args:
            owner: seconds for the owner to end; negative for as long as it takes.
            worker: the same for each worker.

        Raises:
            filelock.Timeout: the run is alive, or somebody else has it.
        """
        with ExitStack() as locks:
            locks.enter_context(_lock(self.folder / OWNER_LOCK, owner))
            for file in sorted(self.folder.glob(WORKER_LOCK.format("*"))):
                locks.enter_context(_lock(file, worker))
            yield

    def name(self, what: str) -> str:
        """Return a new resource name that tells the project and the run."""
        return unique(f"{self.prefix}{what}")

    @property
    def prefix(self) -> str:
        """What the names of all that the run creates begin with."""
        return f"{PREFIX}{self.id}-"

    def once(self, what: str, make: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        """Return what ``make`` returns, having called it once in the whole run.

        A ``ScenarioError`` of ``make`` is remembered too: what failed for one
        process fails for all at once, instead of being tried again by each.

        Args:
            what: names the thing within the run; also a file name.
            make: returns something that JSON can hold.

        Raises:
            SharedError: it failed with a ``ScenarioError``.
        """
        self.prepare()
        result = self.folder / f"{what}.json"
        with self.alone(what):
            if not result.exists():
                outcome: dict[str, Any]
                try:
                    outcome = {"value": make()}
                except ScenarioError as error:
                    outcome = {"error": str(error), "culprit": _culprit(error)}
                _write_whole(result, json.dumps(outcome))
            outcome = _read(result)
        if "error" in outcome:
            raise SharedError(outcome["error"], outcome["culprit"])
        return outcome["value"]

    def forget_failures(self) -> None:
        """Have what failed be tried again by who wants it next."""
        for result in self.folder.glob("*.json"):
            with self.alone(result.stem), suppress(FileNotFoundError):
                if "error" in _read(result):
                    result.unlink()

    def _alive(self, name: str) -> FileLock:
        try:
            self.prepare()
            lock = _lock(self.folder / name, timeout=0)
            lock.acquire()
        except Timeout:
            raise
        except OSError as error:
            raise ScenarioError(
                f"{self.folder.parent} can't be written to ({error.strerror}): name another"
                " folder for all that is kept in TROVE_SCENARIO_HOME."
            ) from None
        return lock

    def be_latest(self) -> None:
        """Have the link beside the runs lead to this one."""
        link = self.folder.with_name(f".{self.id}")
        link.symlink_to(self.id)
        link.replace(self.folder.with_name(LATEST))

    def made(self, kind: str) -> dict[str, dict[str, Any]]:
        """Return what ``once`` has made so far of a kind, by the rest of its name.

        Args:
            kind: how the names begin, up to a dash, such as ``image``.
        """
        outcomes = {
            result.stem.removeprefix(f"{kind}-"): _read(result)
            for result in sorted(self.folder.glob(f"{kind}-*.json"))
        }
        return {name: each["value"] for name, each in outcomes.items() if "value" in each}

    def forget_secrets(self) -> None:
        """Remove what holds the passwords of instances."""
        for result in self.folder.glob(f"{SECRET}*.json"):
            result.unlink()
        shutil.rmtree(self.logins, ignore_errors=True)

    def alone(self, what: str) -> FileLock:
        """Have something for oneself in the whole run, while the lock that this returns is held."""
        self.prepare()
        return FileLock(self.folder / f"{what}.lock", is_singleton=False)

    @contextmanager
    def lent(self, what: str) -> Iterator[None]:
        """Mark a shared result as in use; whoever dies meanwhile, or spoils it, leaves the mark."""
        self.lend(what)
        yield
        self.take_back(what)

    def lend(self, what: str) -> bool:
        """Mark a shared result as in use, for good or until it is taken back.

        Returns:
            whether it wasn't before: of two who lend it at once one does.
        """
        try:
            self._mark(what).touch(exist_ok=False)
        except FileExistsError:
            return False
        return True

    def take_back(self, what: str) -> None:
        """Remove that mark."""
        self._mark(what).unlink(missing_ok=True)

    def is_lent(self, what: str) -> bool:
        """Tell whether a shared result has not come back from whoever used it last."""
        return self._mark(what).exists()

    def _mark(self, what: str) -> Path:
        return self.folder / f"{what}{LENT}"

    def forget_results(self, but: str) -> None:
        """Have what was made once be made anew, except what matches a pattern and is not in use."""
        for result in self.folder.glob("*.json"):
            if not result.match(f"{but}.json") or self.is_lent(result.stem):
                result.unlink()
                self.take_back(result.stem)


def unique(begin: str) -> str:
    """Return a name that begins like this, and that nothing else has.

    Of two things of one name the journal knows the second alone: with half as many digits
    that happened once in a hundred runs that make forty.
    """
    return f"{begin}-{secrets.token_hex(4)}"


def earlier_runs() -> list[Run]:
    """Return the runs that have left a folder here, the newest first."""
    return [Run(folder.name, folder) for folder in reversed(_folders())]


def run_of(name: str) -> str | None:
    """Return the id of the run that gave a resource this name; None if no run did."""
    found = _NAME.fullmatch(name)
    return found["run"] if found and begun_at(found["run"]) else None


def begun_at(id: str) -> datetime | None:
    """Return when the run with an id began; None if no run has such an id."""
    found = re.fullmatch(_ID, id)
    try:
        return datetime.strptime(found[1], _BEGUN).replace(tzinfo=UTC) if found else None
    except ValueError:
        return None


def ended_runs() -> Iterator[Run]:
    """Yield the runs that have left a folder here and of which no process is alive.

    While a run is in the caller's hands no other process gets it.
    """
    for folder in _folders():
        run = Run(folder.name, folder)
        try:
            with run.held():
                yield run
        except Timeout:
            continue


def forget_old_runs(keep: int = RUNS_KEPT) -> None:
    """Remove the folders of all but the newest runs, unless one has something left."""
    newest_first = sorted(_folders(), key=lambda folder: folder.stat().st_mtime, reverse=True)
    for folder in newest_first[keep:]:
        if not Journal(folder / JOURNAL).open_entries():
            shutil.rmtree(folder, ignore_errors=True)


def _folders() -> list[Path]:
    """Return the folders of all runs, in order of their ids."""
    each = paths.runs().glob("*")
    return sorted(folder for folder in each if folder.is_dir() and not folder.is_symlink())


def _lock(file: Path, timeout: float) -> FileLock:
    return FileLock(file, timeout, is_singleton=False, poll_interval=LOCK_INTERVAL)


def _culprit(error: ScenarioError) -> str:
    # Here, for a reaper has nothing to do with it and, while it waits, is to be small.
    from trove.tests.harness.culprits import likely

    return likely(error)


def _read(result: Path) -> dict[str, Any]:
    return json.loads(result.read_text())


def _write_whole(path: Path, text: str) -> None:
    part = path.with_suffix(".part")
    part.touch(mode=0o600)
    part.write_text(text)
    part.replace(path)
