"""Where things live: the tree, and the one folder on disk that we write to."""

import os
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
INTEGRATION = ROOT / "integration"
RELEASE = INTEGRATION / "release"
ELEMENTS = INTEGRATION / "elements"
CONTAINERS = INTEGRATION / "containers"
BINDEP = INTEGRATION / "bindep.txt"


def home() -> Path:
    """Return the folder for everything that is built, cached or run.

    ``TROVE_SCENARIO_HOME`` names it; otherwise it is ``trove-scenario`` in the
    user's cache folder (``XDG_CACHE_HOME``, or ``~/.cache``).
    """
    if named := os.environ.get("TROVE_SCENARIO_HOME"):
        return Path(named).expanduser().resolve()
    cache = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(cache).expanduser().absolute() / "trove-scenario"


def images() -> Path:
    """Return the folder of built guest images."""
    return home() / "images"


def downloads() -> Path:
    """Return the folder of guest images that were fetched from elsewhere."""
    return home() / "downloads"


def packages() -> Path:
    """Return the folder of packages that images were built from."""
    return home() / "packages"


def clouds() -> Path:
    """Return the folder that holds one sub-folder for each embedded cloud."""
    return home() / "clouds"


def runs() -> Path:
    """Return the folder that holds journal and logs of each test run."""
    return home() / "runs"
