"""Directives whose text is taken from the tree, so that it can't say anything else."""

import configparser
import os
import subprocess
import sys
from collections.abc import Iterable

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from trove.tests.common import matrix, paths
from trove.tests.fixtures.options import OPTIONS, Option
from trove.tests.harness.evidence import MEANINGS

_COMMANDS = {
    "trove-cloud": [sys.executable, "-m", "trove.tests.embedded.cli"],
    "trove-sweep": [sys.executable, "-m", "trove.tests.harness.sweep_command"],
    "tools/lay-over": [sys.executable, "tools/lay-over"],
}

# What may stand in a cell of the matrix: how it was verified.
_HOW = ("image", "embedded", "devstack")


class Options(SphinxDirective):
    """The options of the harness, with the other ways to give each."""

    def run(self) -> list[nodes.Node]:
        """Return the table."""
        rows = (
            (f"`{option.flag}` `{option.variable}` `{option.dest}`", _meaning(option))
            for option in OPTIONS
        )
        return _table(self, ("on the command line, in the environment, in the ini file", ""), rows)


class Marks(SphinxDirective):
    """The marks that tests are selected by."""

    def run(self) -> list[nodes.Node]:
        """Return the table."""
        settings = configparser.ConfigParser(interpolation=None)
        settings.read(paths.ROOT / "pytest.ini")
        lines = settings["pytest"]["markers"].split("\n")
        marks = (line.partition(": ") for line in lines if line)
        rows = ((f"`{name}`", text) for name, _, text in marks)
        return _table(self, ("mark", "tests"), rows)


class Cells(SphinxDirective):
    """The cells of the matrix, with what was verified of each."""

    def run(self) -> list[nodes.Node]:
        """Return the table."""
        rows = (
            (f"{store.name} {version.name}", *(_distros(version, how) for how in (*_HOW, None)))
            for store in matrix.load().datastores.values()
            for version in store.versions.values()
        )
        return _table(self, ("", *_HOW, "declared"), rows)


class Bundle(SphinxDirective):
    """The files that are kept of a failure."""

    def run(self) -> list[nodes.Node]:
        """Return the table."""
        rows = ((f"`{name}`", meaning) for name, meaning in MEANINGS.items())
        return _table(self, ("file", "what it is"), rows)


class Help(SphinxDirective):
    """What a command says when it is called with these words and ``--help``."""

    required_arguments = 1
    final_argument_whitespace = True

    def run(self) -> list[nodes.Node]:
        """Return a block with the command line and its answer."""
        command, *words = self.arguments[0].split()
        argv = _COMMANDS.get(command, [paths.ROOT / "integration/bin" / command])
        environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("TROVE_")},
            "COLUMNS": "88",
            "PYTHON": sys.executable,
        }
        done = subprocess.run(
            [*map(str, argv), *words, "--help"],
            cwd=paths.ROOT,
            env=environment,
            capture_output=True,
            text=True,
        )
        if done.returncode:
            raise self.error(f"{self.arguments[0]} --help ended with {done.returncode}")
        shown = f"$ {self.arguments[0]} --help\n{done.stdout}"
        return [nodes.literal_block(shown, shown, language="console")]


def setup(app: Sphinx) -> dict[str, bool]:
    """Make the directives known to Sphinx."""
    app.add_directive("trove-options", Options)
    app.add_directive("trove-marks", Marks)
    app.add_directive("trove-cells", Cells)
    app.add_directive("trove-bundle", Bundle)
    app.add_directive("trove-help", Help)
    return {"parallel_read_safe": True}


def _meaning(option: Option) -> str:
    choices = f": {' or '.join(option.choices)}" if option.choices else ""
    default = f" (default: `{option.default}`)" if option.default else ""
    return option.help + choices + default


def _distros(version: matrix.Version, how: str | None) -> str:
    """Return the distributions on which a version was verified in one way, or in none."""
    return ", ".join(
        distro
        for distro, verified in version.distros.items()
        if (how in verified if how else not verified)
    )


def _table(
    directive: SphinxDirective, head: Iterable[str], rows: Iterable[Iterable[str]]
) -> list[nodes.Node]:
    """Return what Markdown makes of a table's cells."""
    head = list(head)
    lines = [head, ["---"] * len(head), *rows]
    text = "\n".join(f"| {' | '.join(_escaped(cell) for cell in line)} |" for line in lines)
    return directive.parse_text_to_nodes(text)


def _escaped(cell: str) -> str:
    return cell.replace("|", r"\|").replace("<", r"\<")
