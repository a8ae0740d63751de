"""Run programs so that a failure tells its story."""

import os
import subprocess
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from trove.tests.common import deadline, progress
from trove.tests.common.errors import ScenarioError


def tail(log: Path, lines: int = 15) -> str:
    """Return the last lines of a log file, or a word on why there are none."""
    try:
        text = log.read_text(errors="replace").splitlines()
    except OSError as error:
        return f"(no log: {error})"
    return "\n".join(text[-lines:]) or "(the log is empty)"


def dying_with_us(argv: Sequence[str | Path]) -> list[str | Path]:
    """Return ``argv`` changed so that the kernel kills it when this process ends.

    Strictly it is when the thread ends that starts it.
    """
    return ["setpriv", "--pdeathsig", "KILL", *argv]


def run(
    argv: Sequence[str | Path],
    *,
    log: Path,
    what: str,
    env: Mapping[str, str] | None = None,
    bare: bool = False,
    cwd: Path | None = None,
    timeout: float | None = None,
) -> None:
    """Run a program to its end, its output appended to ``log``.

    Args:
        argv: program and arguments; no shell is involved.
        log: file that receives standard output and standard error.
        what: the program's purpose, in words for a user.
        env: variables added to this process's environment.
        bare: whether the program gets nothing of that environment but those.
        cwd: folder to run in.
        timeout: seconds after which the program is killed; when a run's time is over it is
            in any case.

    Raises:
        ScenarioError: the program failed or took too long; the text has its
            last lines and the log's path.
    """
    timeout = deadline.seconds_left(timeout)
    with _started(argv, log, what, env=env, bare=bare, cwd=cwd) as process:
        try:
            process.wait(timeout)
        except subprocess.TimeoutExpired:
            process.kill()
            raise ScenarioError(
                f"{what}: no end after {timeout:.0f} s. Last lines of {log}:\n{tail(log)}"
            ) from None
        except BaseException:
            process.kill()
            raise
    _check(process, log, what)


def run_to_the_end(
    argv: Sequence[str | Path],
    *,
    log: Path,
    what: str,
    env: Mapping[str, str] | None = None,
    inherited: Collection[int] = (),
) -> None:
    """Run a program that must not be ended half-way: who interrupts this process waits for it.

    It has no time limit, and goes on where this process is killed.

    Args:
        argv: see ``run``.
        log: see ``run``.
        what: see ``run``.
        env: see ``run``.
        inherited: open files that it has, too.

    Raises:
        ScenarioError: the program failed.
        KeyboardInterrupt: this process was interrupted meanwhile.
    """
    # In a session of its own it is out of the terminal's reach.
    process = _started(argv, log, what, env=env, start_new_session=True, pass_fds=inherited)
    interrupted = None
    while process.returncode is None:
        try:
            process.wait()
        except KeyboardInterrupt as interruption:
            progress.say(f"interrupted; this has to get to its end first: {what}")
            interrupted = interruption
    if interrupted:
        raise interrupted
    _check(process, log, what)


def _started(
    argv: Sequence[str | Path],
    log: Path,
    what: str,
    *,
    env: Mapping[str, str] | None,
    bare: bool = False,
    **options: Any,
) -> subprocess.Popen[bytes]:
    log.parent.mkdir(parents=True, exist_ok=True)
    try:
        with log.open("ab") as output:
            return subprocess.Popen(
                [str(word) for word in argv],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env={**({} if bare else os.environ), **(env or {})},
                **options,
            )
    except FileNotFoundError:
        raise ScenarioError(f"{what}: the program {argv[0]} is not installed.") from None


def _check(ended: subprocess.Popen[bytes], log: Path, what: str) -> None:
    if ended.returncode != 0:
        raise ScenarioError(
            f"{what}: {ended.args[0]} ended with {ended.returncode}."
            f" Last lines of {log}:\n{tail(log)}"
        )
