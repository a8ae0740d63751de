"""Build things once: keyed by content, isolated while in the making, complete or absent."""

import contextlib
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from filelock import FileLock, Timeout

from trove.tests.common import commands, deadline, progress, registries
from trove.tests.common.errors import ScenarioError

_MAKING = ".making"
_BLOCK_DEVICES = Path("/sys/block")
# What diskimage-builder calls its disk, as one sees it once its own file system is unmounted.
_DISK_IN_MEMORY = "/image0.raw"


def made_once(folder: Path, make: Callable[[Path], None]) -> Path:
    """Return ``folder``, after having it made if it is not there yet.

    ``make`` gets another, empty folder to fill; that one gets its final name
    only when ``make`` is through, so that a folder found is always complete.
    Of several processes one makes it, and the others wait for that. What a
    killed process left half made is removed.
    """
    remove_leftovers(folder.parent)
    if folder.is_dir():
        return folder
    folder.parent.mkdir(parents=True, exist_ok=True)
    with _locked(folder):
        if folder.is_dir():
            return folder
        making = folder.with_name(folder.name + _MAKING)
        _discard(making)
        making.mkdir()
        try:
            make(making)
            making.rename(folder)
        finally:
            _discard(making)
    return folder


def log_of(making: Path) -> Path:
    """Return the log file for what is being made in a folder; it outlives failures."""
    name = making.name.removesuffix(_MAKING)
    return making.with_name(f"{name}.log")


def made_in(parent: Path) -> list[Path]:
    """Return the folders in ``parent`` that were made; what is in the making is none of them."""
    return [each for each in parent.glob("*") if each.is_dir() and each.suffix != _MAKING]


def remove_leftovers(parent: Path) -> None:
    """Remove what killed processes left half made in ``parent``."""
    for making in parent.glob(f"*{_MAKING}"):
        lock = lock_of(making.with_name(making.name.removesuffix(_MAKING)))
        # What this very thread is making, whose lock it would get once more.
        if lock.is_locked:
            continue
        with contextlib.suppress(Timeout), lock.acquire(timeout=0):
            _discard(making)


def lock_of(folder: Path) -> FileLock:
    """Return the lock that is held while a folder is made or removed."""
    # One object for each path in a process: taking a lock that this process
    # holds already is then no deadlock.
    return FileLock(folder.with_name(f"{folder.name}.lock"), is_singleton=True)


@contextlib.contextmanager
def _locked(folder: Path) -> Iterator[None]:
    lock = lock_of(folder)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        progress.say(f"waiting for another process that is making {folder.name}")
        _acquire_in_time(lock, folder)
    try:
        yield
    finally:
        lock.release()


def _acquire_in_time(lock: FileLock, folder: Path) -> None:
    left = deadline.seconds_left()
    try:
        lock.acquire(timeout=-1 if left is None else left)
    except Timeout:
        raise ScenarioError(
            f"Another process is still making {folder.name}, and the run's time is over."
        ) from None


def _discard(making: Path) -> None:
    if not making.exists():
        return
    for device in _loop_devices(making):
        detach = ["losetup", "--detach", device]
        subprocess.run(detach, check=False, env={**os.environ, "PATH": search_path()})
    shutil.rmtree(making)


def _loop_devices(folder: Path) -> list[str]:
    """Return the loop devices whose files were made in ``folder``.

    What was attached in a mount namespace that is gone is not always listed with its whole
    path. The name of the folder itself must do; of what was in memory there is not even that.
    """
    files = {
        f"/dev/{backing.parts[-3]}": backing.read_text().strip()
        for backing in _BLOCK_DEVICES.glob("loop*/loop/backing_file")
    }
    return [
        device
        for device, file in files.items()
        if f"/{folder.name}/" in file or (file == _DISK_IN_MEMORY and _is_out_of_reach(device))
    ]


def _is_out_of_reach(device: str) -> bool:
    """Tell whether a loop device's file is on a file system that nobody has mounted any more."""
    number = subprocess.run(
        ["losetup", "--noheadings", "--output", "BACK-MAJ:MIN", device],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PATH": search_path()},
    ).stdout.strip()
    return bool(number) and not any(f" {number} " in mounts for mounts in _mounts_of_all())


def _mounts_of_all() -> Iterator[str]:
    for mounts in Path("/proc").glob("[0-9]*/mountinfo"):
        with contextlib.suppress(OSError):  # the process has ended
            yield mounts.read_text()


def keep_only(folder: Path, names: set[str]) -> None:
    """Remove everything else from a folder."""
    for entry in folder.iterdir():
        if entry.name in names:
            continue
        if entry.is_dir():
            shutil.rmtree(entry)
        else:
            entry.unlink()


def isolated(argv: Sequence[str | Path]) -> list[str | Path]:
    """Return ``argv`` changed to run in mount and PID namespaces of its own.

    When it ends, or this process does, however that happens, the kernel kills
    everything it started and undoes everything it mounted.
    """
    namespaces = ["unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"]
    return commands.dying_with_us([*namespaces, *argv])


def search_path() -> str:
    """Return ``PATH`` with the folders of system programs, which not every root has in it."""
    return f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"


def require_mirror() -> str:
    """Return the Debian mirror that is named, else the one that this machine is set up for.

    Raises:
        ScenarioError: there is none.
    """
    mirror = (
        os.environ.get("DIB_DEBIAN_DISTRIBUTION_MIRROR")
        # To diskimage-builder that of the guest's distribution, which need not be Debian.
        or os.environ.get("DIB_DISTRIBUTION_MIRROR")
        or registries.debian_mirrors().get("main")
    )
    if mirror is None:
        raise ScenarioError(
            "apt has no Debian mirror configured, which guest images are made from: name one in "
            "DIB_DISTRIBUTION_MIRROR."
        )
    return mirror
