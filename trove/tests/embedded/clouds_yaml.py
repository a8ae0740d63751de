"""Add the cloud's entries to the user's clouds.yaml, and take them out again.

Other entries, comments and order are kept. The file holds passwords: it is
readable by its owner alone.
"""

import contextlib
import os
from collections.abc import Callable
from pathlib import Path

from filelock import FileLock
from ruamel.yaml import YAML

from trove.tests.common import paths, progress
from trove.tests.embedded.cloud import REGION, Cloud


def location() -> Path:
    """Return the file: ``OS_CLIENT_CONFIG_FILE``, or the user's own clouds.yaml."""
    if named := os.environ.get("OS_CLIENT_CONFIG_FILE"):
        return Path(named).expanduser()
    base = os.environ.get("XDG_CONFIG_HOME") or "~/.config"
    return Path(base).expanduser() / "openstack" / "clouds.yaml"


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


def add(cloud: Cloud) -> Path:
    """Write the entries of the demo user and the administrator; return the file.

    A cloud of the same name that another home has loses them, and the user is told so.
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
    """Take the cloud's entries out; a file that held nothing else is removed.

    Those that another home's cloud of the same name has written since are left.
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
    file, yaml = location(), YAML()
    yaml.preserve_quotes = True
    paths.home().mkdir(parents=True, exist_ok=True)
    with FileLock(paths.home() / "clouds.yaml.lock"):
        file.parent.mkdir(parents=True, exist_ok=True)
        document = (yaml.load(file) if file.exists() else None) or {}
        before = repr(document.get("clouds"))
        clouds = document.setdefault("clouds", {})
        if clouds is None:
            clouds = document["clouds"] = {}
        change(clouds)
        if repr(clouds) == before:
            return
        if not clouds and list(document) == ["clouds"]:
            file.unlink(missing_ok=True)
            for folder in (file.parent, file.parent.parent):
                with contextlib.suppress(OSError):  # it holds something else
                    folder.rmdir()
            return
        part = file.with_name(f".{file.name}.part")
        part.touch(mode=0o600)
        with part.open("w") as stream:
            yaml.dump(document, stream)
        part.replace(file)
