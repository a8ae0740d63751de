"""Where packages come from, read from the machine's own tools."""

import subprocess
from collections.abc import Callable, Iterator

import pytest

from trove.tests.common import registries

MIRROR, SECURITY = "http://mirror.example/debian", "http://mirror.example/debian-security"
SOURCES = [
    ("http://vendor.example/apt", "stable"),
    (MIRROR, "bookworm"),
    (MIRROR, "bookworm-updates"),
    (SECURITY, "bookworm-security"),
]


@pytest.fixture(autouse=True)
def _asked_anew() -> Iterator[None]:
    answers = (registries.debian_mirrors, registries._pip_settings)
    for answer in answers:
        answer.cache_clear()
    yield
    for answer in answers:
        answer.cache_clear()


@pytest.fixture
def apt(monkeypatch) -> Callable[..., None]:
    """Has apt be set up for SOURCES on a Debian 12, and know whose some of them are."""

    def run(argv: list[str], **_: object) -> subprocess.CompletedProcess:
        if "--no-release-info" in argv:
            lines = [f"{site}\t{release}" for site, release in SOURCES]
        else:
            lines = [
                f"{site}\t{origin}"
                for site, _ in SOURCES
                for origin in whose.get(site, "").split(", ")
                if origin
            ]
        return subprocess.CompletedProcess(argv, 0, "\n".join(lines))

    whose: dict[str, str] = {}
    facts = {"id": "debian", "version_codename": "bookworm"}
    monkeypatch.setattr(registries, "_os_release", lambda: facts)
    monkeypatch.setattr(registries.subprocess, "run", run)
    return whose.update


@pytest.mark.parametrize(
    "known",
    [
        {},
        {MIRROR: "Debian"},
        {SECURITY: "Debian"},
        {MIRROR: "Debian", SECURITY: "Debian", "http://vendor.example/apt": "Vendor"},
    ],
    ids=["nothing", "one", "the_other", "all"],
)
def test_mirrors_are_known_whatever_lists_apt_has_downloaded(apt, known):
    apt(known)

    assert registries.debian_mirrors() == {"main": MIRROR, "security": SECURITY}


def test_a_source_that_apt_knows_for_another_s_is_none_of_debian_s(apt):
    apt({SECURITY: "Vendor"})

    assert registries.debian_mirrors() == {"main": MIRROR}


def test_backports_are_no_reason_to_take_a_mirror_for_another_s(apt):
    apt({MIRROR: "Debian, Debian Backports"})

    assert registries.debian_mirrors()["main"] == MIRROR


@pytest.fixture
def listed(monkeypatch, tmp_path) -> Callable[[str], None]:
    """Has apt's only source be a file with mirrors; takes what is in there."""
    file = tmp_path / "debian.list"
    monkeypatch.setattr(f"{__name__}.SOURCES", [(f"mirror+file:{file}", "bookworm")])
    return file.write_text


def test_of_a_file_with_mirrors_the_first_is_taken(apt, listed):
    listed(f"# Ours, near by.\n\n{MIRROR}\tpriority:1 type:index\nhttp://other.example/debian\n")

    assert registries.debian_mirrors() == {"main": MIRROR}


def test_a_file_without_mirrors_is_none(apt, listed):
    listed("# None yet.\n")

    assert registries.debian_mirrors() == {}


def test_a_file_with_mirrors_that_is_missing_is_none(apt, listed):
    assert registries.debian_mirrors() == {}


def test_another_distribution_has_none(apt, monkeypatch):
    monkeypatch.setattr(registries, "_os_release", lambda: {"id": "fedora"})

    assert registries.debian_mirrors() == {}


@pytest.fixture(autouse=True)
def _nothing_is_said_to_uv(monkeypatch) -> None:
    for name in ("UV_DEFAULT_INDEX", "UV_INDEX", "UV_INDEX_STRATEGY", "UV_FIND_LINKS"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def pip(monkeypatch) -> Callable[[str], None]:
    """Has pip print that as its configuration."""

    def prints(listed: str) -> None:
        done = subprocess.CompletedProcess([], 0, listed)
        monkeypatch.setattr(registries.subprocess, "run", lambda *_, **__: done)

    return prints


@pytest.mark.parametrize("first", [":env:", "global"])
def test_pip_s_environment_goes_before_its_files_however_they_are_listed(pip, first):
    lines = [":env:.index-url='https://mine/'", "global.index-url='https://all/'"]
    pip("\n".join(sorted(lines, key=lambda line: not line.startswith(first))))

    assert registries.uv_environment() == {"UV_DEFAULT_INDEX": "https://mine/"}


def test_what_is_said_to_uv_itself_stays(pip, monkeypatch):
    pip(
        "global.index-url='https://one/'\n"
        "global.extra-index-url='https://two/'\n"
        "global.find-links='/wheels'"
    )
    for name in ("UV_DEFAULT_INDEX", "UV_INDEX", "UV_FIND_LINKS"):
        monkeypatch.setenv(name, "mine")

    assert registries.uv_environment() == {}


def test_uv_has_the_indexes_that_pip_has_one_a_line_or_not(monkeypatch):
    monkeypatch.setenv("PIP_INDEX_URL", "https://one.example/simple?o'clock")
    monkeypatch.setenv("PIP_EXTRA_INDEX_URL", "\nhttps://two.example/\nhttps://three.example/")
    monkeypatch.setenv("PIP_FIND_LINKS", "/wheels /more")

    environment = registries.uv_environment()

    assert environment["UV_DEFAULT_INDEX"] == "https://one.example/simple?o'clock"
    assert environment["UV_INDEX"] == "https://two.example/ https://three.example/"
    assert environment["UV_FIND_LINKS"] == "/wheels /more"


@pytest.mark.parametrize("printed", ["", " of no form that Python has "])
def test_what_pip_prints_in_another_way_is_taken_as_it_is(printed):
    assert registries._as_set(printed) == printed.strip()
