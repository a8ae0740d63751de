"""Install Debian's packages, and leave the machine otherwise as it is."""

import os
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
_UNITS = Path("/etc/systemd/system")


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
    """Install packages, none of whose daemons is started, now or at the next boot.

    What was enabled before stays so; if this process is killed, what is new does, too.

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
    """Keep packages from having their daemons run: now, and from the next boot on."""
    enabled = set(_enabled().values())
    if not _POLICY.exists():  # else the machine has its own
        _POLICY.write_text(_REFUSAL)
        _POLICY.chmod(0o755)
    try:
        yield
    finally:
        # Not by `systemctl disable`: it takes along what a unit has in its `Also=`, and that
        # may have been enabled before.
        for link, unit in _enabled().items():
            if unit not in enabled:
                link.unlink()
        _put_right()


def _enabled() -> dict[Path, str]:
    """Return the links by which systemd starts units, or knows them by another name, and these.

    Those that keep it from ever starting one are none of them.
    """
    links = {path: path.readlink() for path in _UNITS.rglob("*") if path.is_symlink()}
    return {link: unit.name for link, unit in links.items() if unit != Path(os.devnull)}


def _put_right() -> None:
    """Let daemons be started again, if it is us who keep them from it."""
    with suppress(FileNotFoundError):
        if _POLICY.read_text(errors="replace") == _REFUSAL:
            _POLICY.unlink()
