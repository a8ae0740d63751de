"""Regular expressions that a tuned guest's agent finds compiled."""

import subprocess
import sys

import pytest

from trove.tests.common import paths

MODULE = paths.ELEMENTS / "trove-guest-tuning/trove-guest-tuning-files/expressions.py"
LOADER = """
import re
WORDS = re.compile(r"(?P<first>\\w+) (?P<second>\\w+)", re.IGNORECASE)
BYTES = re.compile(rb"(a)|b+")
if __name__ == "__main__":
    print("at work")
"""


@pytest.fixture
def python(tmp_path):
    """Run Python where the module is; what it says is returned."""
    (tmp_path / "expressions.py").write_text(MODULE.read_text())
    (tmp_path / "loader").write_text(LOADER)

    def python(*arguments):
        command = [sys.executable, *arguments]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=30)
        return done.stdout + done.stderr

    return python


@pytest.fixture
def recorded(python, tmp_path):
    """Have the loader's expressions written down; the file that has them is returned."""
    assert python("expressions.py", "loader") == ""
    return tmp_path / "expressions"


def test_what_was_written_down_is_not_compiled_again_and_finds_the_same(recorded, python):
    told = python(
        "-c",
        "import re, expressions; expressions.take(); re._parser.parse = None\n"
        + LOADER
        + "print(WORDS.fullmatch('Some word').groupdict(), WORDS.flags, WORDS.pattern)\n"
        "print(BYTES.search(b'cbb').span(), BYTES.groups)",
    )

    assert told.splitlines() == [
        "at work",
        r"{'first': 'Some', 'second': 'word'} 34 (?P<first>\w+) (?P<second>\w+)",
        "(1, 3) 1",
    ]


@pytest.mark.parametrize("other", ["re.compile('x+')", r"re.compile(rb'(a)|b+', re.I)"])
def test_others_are_compiled_as_ever(recorded, python, other):
    program = f"import re, expressions; expressions.take(); print({other}.search)"

    assert python("-c", program).startswith("<built-in method search of re.Pattern")


def test_another_python_compiles_them_itself(recorded, python):
    program = (
        "import _sre; _sre.MAGIC += 1; import re, expressions; compile = re._compiler.compile\n"
        "expressions.take(); print(re._compiler.compile is compile)"
    )

    assert python("-c", program) == "True\n"


def test_without_any_all_is_as_ever(python):
    program = "import expressions; expressions.take(); import re; print(re.compile('a').pattern)"

    assert python("-c", program) == "a\n"
