"""Regular expressions that were compiled when the image was built.

usage: python expressions.py LOADER, by the Python that LOADER has, writes down those of it
"""

import _sre
import marshal
import runpy
import sys
import types
from contextlib import suppress
from pathlib import Path
from re import _compiler

COMPILED = Path(__file__).with_name("expressions")

compile_anew = _compiler.compile


def take():
    """Have those that are there compiled no more."""
    with suppress(FileNotFoundError):
        magic, compiled = marshal.loads(COMPILED.read_bytes())
        if magic != _sre.MAGIC:
            return

        def compile(pattern, flags=0):
            found = compiled.get((pattern, flags))
            return _sre.compile(pattern, *found) if found else compile_anew(pattern, flags)

        _compiler.compile = compile


def record(loader):
    """Write down the expressions that a program compiles until it would begin its work."""
    compiled, asked = {}, None

    def compile(pattern, flags=0):
        nonlocal asked
        asked = pattern, int(flags)
        return compile_anew(pattern, flags)

    def note(pattern, flags, code, groups, names, numbers):
        found = int(flags), [int(word) for word in code], groups, dict(names), tuple(numbers)
        compiled[asked] = found
        return _sre.compile(pattern, *found)

    _compiler.compile = compile
    _compiler._sre = types.SimpleNamespace(**vars(_sre) | {"compile": note})
    runpy.run_path(loader)
    COMPILED.write_bytes(marshal.dumps((_sre.MAGIC, compiled)))


if __name__ == "__main__":
    record(sys.argv[1])
