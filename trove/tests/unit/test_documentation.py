"""What the documentation says is what the tree has."""

import ast
import configparser
import functools
import re
import subprocess
import sys
from collections.abc import Iterator
from fnmatch import fnmatchcase

import pytest

from trove.tests.common import paths, release
from trove.tests.embedded import services
from trove.tests.embedded.cloud import Cloud, Settings
from trove.tests.fixtures.options import OPTIONS

DOC = paths.ROOT / "doc"
PAGES = sorted(DOC.glob("*.md"))
# Of redstack and trovestack together, and the script beside them.
REDSTACK = """
    install test-init build-image initialize kick-start upload-image start-deps stop-deps start stop
    restart unit-tests int-tests int-tests-wb simple-tests dsvm-gate-tests gate-tests wipe-logs
    rd-sql fake-sql run-ci vagrant-ssh debug clear clean run run-fake start-fake update-projects
    reset-task wipe-queues example-tests repl install-docker help create_vm
"""
CODE = [
    file
    for room in ("common", "embedded", "fixtures", "harness")
    for file in sorted((paths.ROOT / "trove/tests" / room).rglob("*.py"))
]
READ = re.compile(r"environ(?:\.get\(|\[)\s*\"([A-Z_]+)\"")
# What a shell, Python and pytest have of their own.
OF_THE_SYSTEM = {"PATH", "PYTHONPATH", "PYTEST_CURRENT_TEST"}

each_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)


def section(page: str, title: str) -> str:
    """The text below a heading, up to the next one of its kind."""
    _, _, rest = (DOC / page).read_text().partition(f"\n## {title}\n")
    return rest.partition("\n## ")[0]


def first_cells(table: str) -> list[str]:
    """The first column of a table, without the head."""
    rows = [line for line in table.splitlines() if line.startswith("|")]
    return [row.split("|")[1].strip() for row in rows[2:]]


def test_every_sub_command_of_redstack_has_a_line():
    names = REDSTACK.split()
    assert len(names) == 36
    cells = first_cells(section("migration.md", "Every sub-command"))
    assert [re.findall(r"`([^`]+)`", cell) for cell in cells] == [[name] for name in names]


def test_every_line_of_the_migration_page_says_what_is_now():
    rows = [line for line in (DOC / "migration.md").read_text().splitlines() if line[:1] == "|"]
    for row in rows:
        assert row.strip("|").rpartition("|")[2].strip(), row


def test_what_does_it_now_has_the_marks_that_it_names():
    marks = re.findall(r"^    (\w+)(?:\(.*\))?: ", (paths.ROOT / "pytest.ini").read_text(), re.M)
    named = re.findall(r"`-m \"?([\w ]+)\"?`", section("migration.md", "Groups of tests"))
    used = {word for expression in named for word in expression.split()} - {"and", "or", "not"}
    assert used
    assert used <= {*marks}


@each_page
def test_a_page_names_verbs_and_options_that_there_are(page):
    for verb, words in re.findall(r"trove-cloud ([a-z]+)\b([^`\n#,.]*)", page.read_text()):
        for option in re.findall(r"(?<!\S)--[a-z-]+", words.partition(" -- ")[0]):
            assert option in help_of(verb)
        assert help_of(verb).startswith("usage")


def test_a_page_names_logs_that_there_are(tmp_path, monkeypatch):
    monkeypatch.setenv("TROVE_SCENARIO_HOME", str(tmp_path))
    cloud = Cloud()
    cloud.make_folders()
    settings = Settings(series="", tree="", venv="", hypervisor="qemu")
    there = {unit.name for unit in services.units(cloud, settings)}
    texts = [page.read_text() for page in (*PAGES, paths.ROOT / "README.md")]
    named = re.findall(r"trove-cloud logs (?:--follow )?([a-z-]+)", "\n".join(texts))
    assert named
    assert {*named} <= there


@functools.cache
def help_of(verb: str) -> str:
    """What a verb of trove-cloud says of itself; nothing of one that isn't there."""
    argv = [sys.executable, "-m", "trove.tests.embedded.cli", verb, "--help"]
    return subprocess.run(argv, cwd=paths.ROOT, capture_output=True, text=True).stdout


def test_what_remains_of_a_cloud_is_told_wherever_it_is_said_how_to_end_one():
    help_text = " ".join(help_of("--help").split())
    assert "a route that makes its addresses unreachable" in help_text
    for page in (DOC / "embedded-cloud.md", paths.ROOT / "README.md"):
        assert "a route that makes 198.18.0.0/15" in page.read_text()


@each_page
def test_a_page_names_files_that_there_are(page):
    named = re.findall(
        r"`((?:integration|trove|tools|devstack|zuul\.d|playbooks|\.github)/[\w./-]+)`",
        page.read_text(),
    )
    old = {name for name in named if name.startswith("integration/scripts")}
    assert [name for name in {*named} - old if not (paths.ROOT / name).exists()] == []


def test_tox_passes_on_the_variables_that_are_explained():
    text = section("reference.md", "Environment variables")
    rows = first_cells(text)
    # Of a verb that no environment of tox calls.
    variables = {name for row in rows for name in re.findall(r"`(\w+)`", row)} - {"SHELL"}
    tox = configparser.ConfigParser(interpolation=None)
    tox.read(paths.ROOT / "tox.ini")
    passed = tox["testenv"]["pass_env"].split()
    assert "SOURCE_DATE_EPOCH" in variables
    assert [name for name in variables if not any(fnmatchcase(name, each) for each in passed)] == []
    (said,) = re.findall(r"tox passes ([^.]+) on\.", text)
    assert {*re.findall(r"`(\S+)`", said)} <= {*passed}


def test_every_variable_that_the_code_reads_is_explained():
    explained = {
        *re.findall(r"`([A-Z][A-Z_]+)`", section("reference.md", "Environment variables")),
        *(option.variable for option in OPTIONS),
    }
    code = [file.read_text() for file in CODE]
    assert {name for text in code for name in READ.findall(text)} - OF_THE_SYSTEM <= explained
    by_rule = {option.variable for option in OPTIONS if not option.env}
    read = {name for text in code for name in re.findall(r'"([A-Z_]+)"', text)}
    assert explained - by_rule <= read


def test_every_folder_that_takes_room_is_in_the_table():
    rows = first_cells(section("embedded-cloud.md", "Room on disk"))
    told = {name for row in rows for name in re.findall(r"`(\w+)/", row)}
    made = {name for file in CODE for name in re.findall(r'home\(\) / "(\w+)"', file.read_text())}
    assert {"downloads", "images"} <= made
    assert made == told


MESSAGES = re.findall(r"^### `(.+)`$", (DOC / "troubleshooting.md").read_text(), re.MULTILINE)


@pytest.mark.parametrize("message", MESSAGES)
def test_a_symptom_is_what_the_code_says(message):
    pieces = [re.escape(piece) for piece in message.split("…")]
    wanted = re.compile(".*".join(pieces), re.DOTALL)
    assert any(wanted.search(text) for text in said())


@functools.cache
def said() -> list[str]:
    """The texts in the code, with nothing where something is filled in."""
    return [text for file in CODE for text in _texts(ast.parse(file.read_text()))]


def _texts(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            yield "".join(part.value for part in node.values if isinstance(part, ast.Constant))
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value


def test_the_page_of_images_names_the_versions_with_templates_of_their_own():
    text = section("guest-images.md", "Load")
    names = {"mysql": "MySQL", "mariadb": "MariaDB", "postgresql": "PostgreSQL"}
    for folder in release.TEMPLATES.iterdir():
        (said,) = re.findall(rf"^- {names[folder.name]} \(?([\d., to]+)\)? ", text, re.MULTILINE)
        versions = sorted((version.name for version in folder.iterdir()), key=float)
        assert re.findall(r"[\d.]+", said) in (versions, [versions[0], versions[-1]])


def test_every_page_is_in_the_table_of_contents():
    listed = re.findall(r"^[a-z][a-z-]+$", (DOC / "index.md").read_text(), re.MULTILINE)
    assert sorted(listed) == sorted(page.stem for page in PAGES if page.stem != "index")


def test_release_notes_have_names_of_their_own():
    notes = sorted((paths.ROOT / "releasenotes/notes").glob("*.yaml"))
    assert notes
    assert all(re.fullmatch(r"[a-z-]+-[0-9a-f]{16}", note.stem) for note in notes)
