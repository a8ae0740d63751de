"""Install Debian's packages, and leave the machine otherwise as it is."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from trove.tests.common import locks
from trove.tests.common.commands import run, run_to_the_end

_POLICY = Path("/usr/sbin/policy-rc.d")
_REFUSAL = """\
#!/bin/sh
# Of trove-scenario, for as long as it installs packages.
exit 101
"""


@contextmanager
def alone() -> Iterator[int]:
    """Keep other processes from installing packages in this way, of whatever home they are.

    What one that was killed meanwhile has left is put right.

    Yields:
        the lock, for ``install``.
    """
    busy = "another process is installing packages: waiting"
    with locks.held(_POLICY.parent, busy=busy) as lock:
        _put_right()
        yield lock


def install(packages: Sequence[str], log: Path, lock: int) -> None:
    """Install packages, none of whose daemons is started.

    Whoever interrupts it while they are unpacked and set up waits for that: dpkg would
    refuse all further work. What was interrupted earlier is brought to its end.

    Args:
        packages: their names.
        log: file that apt's output is appended to.
        lock: what ``alone`` has yielded. If this process is killed, others wait for apt.

    Raises:
        ScenarioError: apt failed.
        KeyboardInterrupt: this process was interrupted meanwhile.
    """
    apt = {
        "log": log,
        "what": "Installing system packages",
        "env": {"DEBIAN_FRONTEND": "noninteractive"},
    }
    wanted = ["apt-get", "install", "-y", "-q", "--no-install-recommends", *packages]
    with _daemons_left_alone():
        run_to_the_end(["dpkg", "--configure", "-a"], **apt)
        run(["apt-get", "update", "-q"], **apt)
        run([*wanted, "--download-only"], **apt)
        # apt hands the lock on to nobody who might outlive it.
        run_to_the_end(wanted, inherited=[lock], **apt)


@contextmanager
def _daemons_left_alone() -> Iterator[None]:
    """Keep packages from starting their daemons while they install."""
    if _POLICY.exists():  # the machine has its own
        yield
        return
    _POLICY.write_text(_REFUSAL)
    _POLICY.chmod(0o755)
    try:
        yield
    finally:
        _put_right()


def _put_right() -> None:
    """Let daemons be started again, if it is us who keep them from it."""
    with suppress(FileNotFoundError):
        if _POLICY.read_text() == _REFUSAL:
            _POLICY.unlink()
