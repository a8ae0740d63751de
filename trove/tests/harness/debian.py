"""Debian packages of any suite, fetched with apt and kept, without installing them."""

import re
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock

from trove.tests.common import commands, content, paths, progress
from trove.tests.common.errors import ScenarioError
from trove.tests.harness import building

KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")

_PLANNED = re.compile(r"^'\S+' (?P<file>\S+\.deb) \d+ SHA256:(?P<sha256>[0-9a-f]{64})$", re.M)


@dataclass(frozen=True)
class Package:
    """A package file that apt would install.

    Attributes:
        file: its name in the cache.
        sha256: what the suite's index says of its content.
    """

    file: str
    sha256: str


def ensure_packages(suite: str, wanted: Sequence[str], *, log: Path) -> list[Path]:
    """Return the files of packages and of all they depend on, as if none were installed.

    Files and indexes stay in one folder for each suite: with these at hand no network
    is needed. Every file is compared with the index before it is used.

    Raises:
        ScenarioError: the packages are not in the suite, or can't be fetched.
    """
    folder = paths.home() / "packages" / suite
    folder.mkdir(parents=True, exist_ok=True)
    with FileLock(folder / "lock"):
        apt = _prepared(suite, folder)
        _update(apt, suite, folder, log)
        plan = _plan(apt, suite, wanted, log)
        archives = folder / "archives"
        if not _remove_wrong(plan, archives):
            fetch = [*apt, "install", "--yes", "--download-only", *wanted]
            commands.run(fetch, log=log, what=f"Fetching packages of Debian {suite}")
            if not _remove_wrong(plan, archives):
                raise ScenarioError(
                    f"Packages of Debian {suite} arrived damaged and were removed: try again."
                )
        return [archives / package.file for package in plan]


def _prepared(suite: str, folder: Path) -> list[str]:
    """Make the folders that apt wants; return the command that works in them alone."""
    for needed in ("lists/partial", "archives/partial"):
        (folder / needed).mkdir(parents=True, exist_ok=True)
    (folder / "status").touch()
    sources = folder / "sources.list"
    mirror = building.require_mirror()
    sources.write_text(f"deb [signed-by={KEYRING} arch=amd64] {mirror} {suite} main\n")
    settings = {
        "Dir::Etc::SourceList": sources,
        "Dir::Etc::SourceParts": "/dev/null",
        "Dir::Etc::Preferences": "/dev/null",
        "Dir::Etc::PreferencesParts": "/dev/null",
        "Dir::State": folder,
        "Dir::State::Lists": folder / "lists",
        "Dir::State::Status": folder / "status",
        "Dir::Cache": folder,
        "Dir::Cache::Archives": folder / "archives",
        "APT::Architecture": "amd64",
        "APT::Architectures": "amd64",
        "APT::Sandbox::User": "root",
        "APT::Install-Recommends": "false",
        "APT::Update::Error-Mode": "any",
        "Acquire::ForceHash": "sha256",
        "Acquire::Languages": "none",
        "Acquire::Retries": "1",
        "Debug::NoLocking": "true",
    }
    return ["apt-get", "--quiet", *(f"--option={name}={value}" for name, value in settings.items())]


def _update(apt: list[str], suite: str, folder: Path, log: Path) -> None:
    """Fetch the suite's indexes; go on with the old ones where that fails."""
    what = f"Fetching the package lists of Debian {suite}"
    try:
        commands.run([*apt, "update"], log=log, what=what)
    except ScenarioError as error:
        if not (kept := list((folder / "lists").glob("*_Packages*"))):
            raise ScenarioError(
                f"The Debian mirror doesn't give the package lists of {suite}, and none are kept"
                f" from earlier: check the network and apt's sources. {error}"
            ) from None
        day = time.strftime("%Y-%m-%d", time.gmtime(max(file.stat().st_mtime for file in kept)))
        progress.say(
            f"the Debian mirror doesn't answer: going on with the package lists of {suite} of {day}"
        )


def _plan(apt: list[str], suite: str, wanted: Sequence[str], log: Path) -> list[Package]:
    """Return what apt would fetch if nothing had been fetched yet."""
    printed = log.with_suffix(".plan")
    printed.unlink(missing_ok=True)
    nothing_there = "--option=Dir::Cache::Archives=/nonexistent"
    argv = [*apt, nothing_there, "install", "--yes", "--print-uris", *wanted]
    commands.run(argv, log=printed, what=f"Choosing packages of Debian {suite}")
    text = printed.read_text()
    printed.unlink()
    return [Package(**found.groupdict()) for found in _PLANNED.finditer(text)]


def _remove_wrong(plan: list[Package], archives: Path) -> bool:
    """Remove files that are not what the index says; return whether all are there."""
    complete = True
    for package in plan:
        file = archives / package.file
        if not file.is_file():
            complete = False
            continue
        if content.digest(file) != package.sha256:
            progress.say(f"{package.file} was damaged: fetched again")
            file.unlink()
            complete = False
    return complete


def unpack(packages: Sequence[Path], root: Path, *, log: Path) -> None:
    """Unpack package files into a root folder; none of their scripts run."""
    # base-files has the links of / into /usr, which the others need to be there.
    first = [package for package in packages if package.name.startswith("base-files_")]
    for package in [*first, *(package for package in packages if package not in first)]:
        argv = ["dpkg-deb", "--extract", package, root]
        commands.run(argv, log=log, what=f"Unpacking {package.name}")
