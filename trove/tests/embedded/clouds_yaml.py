"""Add the cloud's entries to the user's clouds.yaml, and take them out again.

Other entries, comments and order are kept, and so are owner and mode of a file that was
there before. One that is made here holds passwords: it is readable by its owner alone, and
says in a comment that it goes, and with how many folders, when its last entry does.
"""

import contextlib
import os
import re
import stat
from collections.abc import Callable
from pathlib import Path

from filelock import FileLock
from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError

from trove.tests.common import paths, progress
from trove.tests.common.errors import ScenarioError
from trove.tests.embedded.cloud import REGION, Cloud

VARIABLE = "OS_CLIENT_CONFIG_FILE"
_MADE = "# Made by trove-cloud with {} folders, and removed with them when it is empty.\n"


def location() -> Path:
    """Return the file: ``OS_CLIENT_CONFIG_FILE``, or the user's own clouds.yaml."""
    if named := os.environ.get(VARIABLE):
        return Path(named).expanduser().absolute()
    base = os.environ.get("XDG_CONFIG_HOME") or "~/.config"
    return Path(base).expanduser().absolute() / "openstack" / "clouds.yaml"


def _entry(cloud: Cloud, user: str) -> dict:
    return {
        "auth": {
            "auth_url": cloud.url("keystone"),
            "username": user,
            "password": cloud.secrets[user],
            "project_name": user,
            "user_domain_id": "default",
            "project_domain_id": "default",
        },
        "cacert": str(cloud.authority),
        "region_name": REGION,
        "identity_api_version": 3,
    }


def check() -> None:
    """Say what is wrong with the file, before a cloud is started that must get into it.

    Raises:
        ScenarioError: it can't be read.
    """
    _read(location())


def add(cloud: Cloud) -> Path:
    """Write the entries of the demo user and the administrator; return the file.

    A cloud of the same name that another home has loses them, and the user is told so.

    Raises:
        ScenarioError: the file can't be read or written.
    """
    entries = {
        cloud.user_cloud: _entry(cloud, "demo"),
        cloud.admin_cloud: _entry(cloud, "admin"),
    }

    def write(clouds: dict) -> None:
        before = clouds.get(cloud.user_cloud) or {}
        if not _is_of(cloud, before) and Path(before.get("cacert") or "").is_file():
            progress.say(
                f"{cloud.user_cloud} in {location()} meant the cloud of {before['cacert']}, "
                "and means this one now; --name keeps them apart"
            )
        clouds.update(entries)

    _rewrite(write)
    return location()


def remove(cloud: Cloud) -> None:
    """Take the cloud's entries out; a file that ``add`` has made for them is removed.

    Those that another home's cloud of the same name has written since are left.

    Raises:
        ScenarioError: the file can't be read or written.
    """

    def drop(clouds: dict) -> None:
        for name in (cloud.user_cloud, cloud.admin_cloud):
            if _is_of(cloud, clouds.get(name) or {}):
                del clouds[name]

    if location().exists():
        _rewrite(drop)


def _is_of(cloud: Cloud, entry: dict) -> bool:
    # Every cloud has an authority of its own, in its own folder.
    return entry.get("cacert") == str(cloud.authority)


def _rewrite(change: Callable[[dict], object]) -> None:
    file = location()
    try:
        paths.home().mkdir(parents=True, exist_ok=True)
        with FileLock(paths.home() / "clouds.yaml.lock"):
            document = _read(file)
            before = repr(document["clouds"])
            change(document["clouds"])
            if repr(document["clouds"]) != before:
                _write(document, file.resolve())  # who has a link there keeps it
    except OSError as error:
        raise ScenarioError(f"{file} can't be written: {error.strerror}.") from None


def _yaml() -> YAML:
    yaml = YAML()
    yaml.preserve_quotes = True
    return yaml


def _read(file: Path) -> dict:
    try:
        document = (_yaml().load(file) if file.exists() else None) or {}
        fault = _fault(document)
    except (OSError, YAMLError) as error:
        fault = _reason(error)
    if fault:
        raise ScenarioError(
            f"{file} can't be read: {fault}. Correct it, or name another file in {VARIABLE}."
        )
    document["clouds"] = document.get("clouds") or {}
    return document


def _fault(document: object) -> str | None:
    if isinstance(document, dict) and isinstance(document.get("clouds") or {}, dict):
        return None
    return "it has no mapping named clouds"


def _reason(error: OSError | YAMLError) -> str:
    if isinstance(error, OSError):
        return error.strerror
    if not isinstance(error, MarkedYAMLError):
        return str(error).partition("\n")[0]
    # What a key that is there twice stands for may be a password.
    return f"{error.problem.partition(' with value')[0]} in line {error.problem_mark.line + 1}"


def _write(document: dict, file: Path) -> None:
    if list(document) == ["clouds"] and not document["clouds"]:
        made = _folders_made(file)
        if made is not None:
            file.unlink()
            for folder in list(file.parents)[:made]:
                with contextlib.suppress(OSError):  # it holds something else
                    folder.rmdir()
            return
    before = file.stat() if file.exists() else None
    note = "" if before else _MADE.format(sum(not folder.exists() for folder in file.parents))
    file.parent.mkdir(parents=True, exist_ok=True)
    part = file.with_name(f".{file.name}.part")
    try:
        part.touch(mode=0o600)
        with part.open("w") as stream:
            stream.write(note)
            _yaml().dump(document, stream)
        if before:
            os.chown(part, before.st_uid, before.st_gid)
            part.chmod(stat.S_IMODE(before.st_mode))
        part.replace(file)
    finally:
        part.unlink(missing_ok=True)


def _folders_made(file: Path) -> int | None:
    """Return how many folders were made for a file of ours; None of another one."""
    note = re.match(re.escape(_MADE).replace(r"\{\}", r"(\d+)"), file.read_text())
    return int(note[1]) if note else None
