"""This tree can be folded into the server's, which keeps all of its own files."""

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from trove.tests.common import paths
from trove.tests.harness.server_source import ensure_server_source

TOOL = paths.ROOT / "tools/lay-over"
# Quick ones, of what lies in the tree and of what is in the packages.
TESTS = [f"trove/tests/unit/test_{name}.py" for name in ("matrix", "machine", "readme", "waiting")]
WHERE = """
import trove, trove.tests, trove.tests.common.paths as paths
print(trove.__file__, trove.tests.__file__, paths.ROOT, sep="\\n")
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The pinned release's source; of a module's scope, and so from the user's own cache."""
    checkout = tmp_path_factory.mktemp("server") / "trove"
    shutil.copytree(ensure_server_source(), checkout)
    # A release lacks what a checkout has.
    (checkout / ".gitignore").write_text("*.egg-info\n")
    return checkout


@pytest.fixture(scope="module")
def folded(server: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The server's tree with this one laid over it."""
    folder = tmp_path_factory.mktemp("folded") / "trove"
    shutil.copytree(server, folder)
    done = lay_over(folder)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


def lay_over(folder: Path) -> subprocess.CompletedProcess:
    return run(sys.executable, TOOL, folder)


def run(*argv: object, cwd: Path | None = None) -> subprocess.CompletedProcess:
    """Run a program without the module path of the tree that it is called from."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    return subprocess.run(
        [str(word) for word in argv], cwd=cwd, env=environment, capture_output=True, text=True
    )


def digests(folder: Path) -> dict[str, str]:
    return {
        str(file.relative_to(folder)): hashlib.sha256(file.read_bytes()).hexdigest()
        for file in folder.rglob("*")
        if file.is_file() and "__pycache__" not in file.parts
    }


def test_no_file_of_the_server_is_changed(server, folded):
    before, after = digests(server), digests(folded)
    assert {name: after.get(name) for name in before} == before
    assert "conftest.py" in after.keys() - before.keys()


def test_links_are_laid_over_as_links_also_those_to_folders(folded):
    links = [file for file in paths.INTEGRATION.rglob("*") if file.is_symlink()]
    assert any(link.is_dir() for link in links)
    for link in links:
        assert (folded / link.relative_to(paths.ROOT)).readlink() == link.readlink()


def test_twice_is_the_same_as_once(folded):
    before = digests(folded)
    done = lay_over(folded)
    assert done.returncode == 0, done.stdout
    assert digests(folded) == before


def test_what_is_left_to_reconcile_is_in_the_server(server):
    told, _, _ = run(sys.executable, TOOL, "--help").stdout.partition("positional arguments")
    told, _, adapted = told.partition("to be adapted")
    reconciled = [line.split()[0] for line in told.splitlines() if line.startswith("  ")]
    assert "tox.ini" in reconciled
    here = [line.split()[0] for line in adapted.splitlines() if line.startswith("  ")]
    assert [name for name in here if not (paths.ROOT / name).exists()] == []
    assert [name for name in reconciled if not (server / name).is_file()] == []


def test_a_file_that_nobody_expected_stops_it(tmp_path):
    folder = tmp_path / "trove"
    (folder / "trove").mkdir(parents=True)
    (folder / "trove/__init__.py").touch()
    (folder / "pytest.ini").write_text("[pytest]\n")
    done = lay_over(folder)
    assert done.returncode == 1
    assert "pytest.ini" in done.stdout
    assert sorted(file.name for file in folder.rglob("*")) == ["__init__.py", "pytest.ini", "trove"]


def test_a_folder_that_is_no_server_is_refused(tmp_path):
    done = lay_over(tmp_path)
    assert done.returncode == 1
    assert "has no trove/__init__.py" in done.stdout
    assert list(tmp_path.iterdir()) == []


def test_both_are_one_package(folded):
    found = run(sys.executable, "-c", WHERE, cwd=folded)
    tests = folded / "trove/tests/__init__.py"
    assert found.stdout.split() == [str(folded / "trove/__init__.py"), str(tests), str(folded)]


def test_all_tests_are_collected_there(folded):
    # Scenario tests are left out unless tests are selected.
    everything = ["-m", "smoke or not smoke"]
    found = run(sys.executable, "-m", "pytest", "--collect-only", "-q", *everything, cwd=folded)
    assert found.returncode == 0, found.stdout[-2000:]
    files = {line.partition("::")[0] for line in found.stdout.splitlines() if "::" in line}
    here = {
        str(file.relative_to(paths.ROOT))
        for kind in ("scenario", "unit")
        for file in (paths.ROOT / "trove/tests" / kind).glob("test_*.py")
    }
    assert files == here - {str(Path(__file__).relative_to(paths.ROOT))}


def test_unit_tests_pass_there(folded):
    found = run(sys.executable, "-m", "pytest", "-q", *TESTS, cwd=folded)
    assert found.returncode == 0, found.stdout[-2000:]
