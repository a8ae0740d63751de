"""Run programs so that a failure tells its story."""

import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from trove.tests.common import deadline
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
    cwd: Path | None = None,
    timeout: float | None = None,
) -> None:
    """Run a program to its end, its output appended to ``log``.

    Args:
        argv: program and arguments; no shell is involved.
        log: file that receives standard output and standard error.
        what: the program's purpose, in words for a user.
        env: variables added to this process's environment.
        cwd: folder to run in.
        timeout: seconds after which the program is killed; when a run's time is over it is
            in any case.

    Raises:
        ScenarioError: the program failed or took too long; the text has its
            last lines and the log's path.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    timeout = deadline.seconds_left(timeout)
    with log.open("ab") as output:
        try:
            done = subprocess.run(
                [str(word) for word in argv],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env={**os.environ, **(env or {})},
                cwd=cwd,
                timeout=timeout,
                check=False,
            )
        except FileNotFoundError:
            raise ScenarioError(f"{what}: the program {argv[0]} is not installed.") from None
        except subprocess.TimeoutExpired:
            raise ScenarioError(
                f"{what}: no end after {timeout:.0f} s. Last lines of {log}:\n{tail(log)}"
            ) from None
    if done.returncode != 0:
        raise ScenarioError(
            f"{what}: {argv[0]} ended with {done.returncode}. Last lines of {log}:\n{tail(log)}"
        )
