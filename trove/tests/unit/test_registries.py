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
    registries.debian_mirrors.cache_clear()
    yield
    registries.debian_mirrors.cache_clear()


@pytest.fixture
def apt(monkeypatch) -> Callable[..., None]:
    """Has apt be set up for SOURCES on a Debian 12, and know whose some of them are."""

    def run(argv: list[str], **_: object) -> subprocess.CompletedProcess:
        if "--no-release-info" in argv:
            lines = [f"{site}\t{release}" for site, release in SOURCES]
        else:
            lines = [f"{site}\t{whose[site]}" for site, _ in SOURCES if site in whose]
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


def test_another_distribution_has_none(apt, monkeypatch):
    monkeypatch.setattr(registries, "_os_release", lambda: {"id": "fedora"})

    assert registries.debian_mirrors() == {}
