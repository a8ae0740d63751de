"""Wait until a cloud ends, or until its lease does, and then end the cloud.

Runs as a script with the standard library alone: ``watcher.py NAME FOLDER PID``,
where PID is the cloud's first process.
"""

import contextlib
import os
import select
import sys
import time
from pathlib import Path

_LONGEST_SLEEP = 60


def remaining(folder: Path) -> float:
    """Return for how many seconds more the cloud in ``folder`` may lie idle."""
    lease = folder / "lease"
    try:
        duration, used = float(lease.read_text()), lease.stat().st_mtime
    except (OSError, ValueError):
        return 0
    with contextlib.suppress(OSError):
        used = max(used, (folder / "logs" / "tls-proxy.log").stat().st_mtime)
    return used + duration - time.time() if duration else float("inf")


def main() -> None:
    """Sleep as long as nothing happens; end with the cloud."""
    name, folder, pid = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])
    try:
        ended = select.poll()
        ended.register(os.pidfd_open(pid), select.POLLIN)
    except ProcessLookupError:
        return
    while (left := remaining(folder)) > 0:
        if ended.poll(1000 * min(left, _LONGEST_SLEEP)):
            return
    trove_cloud = [sys.executable, "-m", "trove.tests.embedded.cli", "--name", name]
    os.execv(sys.executable, [*trove_cloud, "expire"])


if __name__ == "__main__":
    main()
