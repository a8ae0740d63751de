"""Install Debian's packages, and leave the machine otherwise as it is."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from trove.tests.common import locks
from trove.tests.common.commands import run

_POLICY = Path("/usr/sbin/policy-rc.d")
_REFUSAL = """\
#!/bin/sh
# Of trove-scenario, for as long as it installs packages.
exit 101
"""


@contextmanager
def alone() -> Iterator[None]:
    """Keep other processes from installing packages in this way, of whatever home they are.

    What one that was killed meanwhile has left is put right.
    """
    with locks.held(_POLICY.parent, busy="another process is installing packages: waiting"):
        _put_right()
        yield


def install(packages: Sequence[str], log: Path) -> None:
    """Install packages, none of whose daemons is started; the caller is ``alone``.

    Raises:
        ScenarioError: apt failed.
    """
    apt, what = {"DEBIAN_FRONTEND": "noninteractive"}, "Installing system packages"
    options = ["-y", "-q", "--no-install-recommends"]
    with _daemons_left_alone():
        run(["apt-get", "update", "-q"], log=log, what=what, env=apt)
        run(["apt-get", "install", *options, *packages], log=log, what=what, env=apt)


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
