"""How Sphinx builds the documentation: ``tox run -e docs``."""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "doc/_extensions")]

from trove.tests.common.release import load  # noqa: E402

project = "Trove scenario tests"
version = release = load().series
extensions = ["myst_parser", "reno.sphinxext", "from_the_tree"]
# source: the server's own documentation, where this tree is laid over it.
exclude_patterns = ["_build", "source"]
nitpicky = True

myst_heading_anchors = 3

html_theme = "furo"
html_show_copyright = False
html_title = f"{project}, {version}"
