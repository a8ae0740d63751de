"""The package registries this machine is set up for, read from its own tools.

Nothing here names a host: pip's and apt's configuration do.
"""

import ast
import configparser
import os
import re
import subprocess
import sys
from collections import defaultdict
from functools import cache
from pathlib import Path

# What apt calls a site whose addresses are in a file (apt-transport-mirror).
_LISTED = "mirror+file:"


@cache
def _pip_settings() -> dict[str, str]:
    listed = subprocess.run(
        [sys.executable, "-m", "pip", "config", "list"],
        capture_output=True,
        text=True,
        check=False,
    ).stdout
    settings = {}
    # What the environment says wins, and not every pip prints it last.
    for line in sorted(listed.splitlines(), key=lambda line: line.startswith(":env:")):
        where, _, value = line.partition("=")
        settings[where.split(".")[-1].replace("_", "-")] = _as_set(value)
    return settings


def _as_set(printed: str) -> str:
    """Return a value as it was set: pip prints it as Python's source has it."""
    try:
        return str(ast.literal_eval(printed.strip()))
    except (SyntaxError, ValueError):
        return printed.strip()


def uv_environment() -> dict[str, str]:
    """Return the variables that make uv use the registries pip is set up for.

    What the environment says to uv itself is left as it is: those are not among them.
    """
    settings = _pip_settings()
    wanted = {}
    if index := settings.get("index-url"):
        wanted["UV_DEFAULT_INDEX"] = index
    if (extra := settings.get("extra-index-url")) and "UV_INDEX" not in os.environ:
        wanted["UV_INDEX"] = " ".join(extra.split())
        wanted["UV_INDEX_STRATEGY"] = "unsafe-best-match"
    if links := settings.get("find-links"):
        wanted["UV_FIND_LINKS"] = " ".join(links.split())
    if cert := settings.get("cert"):
        wanted["SSL_CERT_FILE"] = cert
    return {name: value for name, value in wanted.items() if name not in os.environ}


@cache
def debian_mirrors() -> dict[str, str]:
    """Return this machine's Debian mirrors: ``main`` and, if any, ``security``.

    The answer comes from apt itself (``apt-get indextargets``), whatever form its sources
    have; of a file with mirrors it is the first. Whose a source is apt knows once its lists
    were downloaded; before, one that has the name of this machine's release is taken for
    Debian's. Empty on a machine that is not Debian.
    """
    if host_distribution()[0] != "debian":
        return {}
    # One site may have several: beside the release that of its backports.
    origins: defaultdict[str, set[str]] = defaultdict(set)
    for site, origin in _index_targets("SITE", "ORIGIN"):
        origins[site].add(origin)
    mirrors: dict[str, str] = {}
    for site, release in _index_targets("SITE", "RELEASE", options=("--no-release-info",)):
        name, _, part = release.partition("-")
        guess = "Debian" if name == _os_release().get("version_codename") else ""
        if "Debian" in (origins.get(site) or {guess}) and (address := _address(site)):
            mirrors.setdefault("security" if part == "security" else "main", address)
    return mirrors


def _address(site: str) -> str | None:
    """Return a site's URL: of one that is a file with mirrors, the first in there.

    None where that file can't be read, or has none.
    """
    if not site.startswith(_LISTED):
        return site
    try:
        lines = Path(site.removeprefix(_LISTED)).read_text(encoding="utf-8").splitlines()
    except (OSError, ValueError):
        return None
    # Options of a mirror stand behind its address.
    addresses = [line.split()[0] for line in lines if line.strip() and not line.startswith("#")]
    return addresses[0] if addresses else None


def _index_targets(*fields: str, options: tuple[str, ...] = ()) -> list[list[str]]:
    """Return those fields of each index that apt is set up for."""
    wanted = "\t".join(f"$({field})" for field in fields)
    listed = subprocess.run(
        ["apt-get", "indextargets", *options, "--format", wanted],
        capture_output=True,
        text=True,
        check=False,
    ).stdout
    return [line.split("\t") for line in listed.splitlines()]


def host_distribution() -> tuple[str, str]:
    """Return ``ID`` and ``VERSION_ID`` of /etc/os-release, empty where absent."""
    fields = _os_release()
    return fields.get("id", ""), fields.get("version_id", "")


@cache
def _os_release() -> dict[str, str]:
    parser = configparser.ConfigParser(interpolation=None)
    try:
        parser.read_string("[os]\n" + Path("/etc/os-release").read_text(encoding="utf-8"))
    except OSError:
        return {}
    return {key: re.sub(r'^"|"$', "", value) for key, value in parser["os"].items()}
