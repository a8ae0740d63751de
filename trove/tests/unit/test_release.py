"""The pins of this tree's series agree with each other."""

import re
import runpy
from pathlib import Path

from trove.tests.common import paths, release

PIN_RELEASE = runpy.run_path(str(paths.ROOT / "tools/pin-release"))
SUFFIXES = (".md", ".conf")
# Where a command or a line of local.conf fetches devstack or Trove.
FETCHES = re.compile(
    r"(?:git clone (.*)https://opendev\.org/openstack/devstack"
    r"|enable_plugin trove https://opendev\.org/openstack/trove\b(.*))"
)


def _pins(file: Path) -> dict[str, str]:
    return dict(re.findall(r"^([\w.-]+)==([^ ;]+)", file.read_text(), re.MULTILINE))


def test_guests_get_the_trove_of_the_series_and_the_libraries_that_the_cloud_has():
    all_pins, guests = _pins(release.CONSTRAINTS), _pins(release.GUEST_CONSTRAINTS)

    assert guests["trove"] == release.load().trove
    # Only for newer interpreters, or other systems.
    more = guests.keys() - all_pins.keys()
    assert more <= {"colorama", "legacy-cgi", "pywin32"}
    assert guests.items() - all_pins.items() == {(name, guests[name]) for name in more}


def _branches(files: list[Path]) -> set[str]:
    found = [FETCHES.findall(file.read_text()) for file in files]
    return {"".join(words).removeprefix("-b ").strip() for each in found for words in each}


def test_devstack_and_trove_are_fetched_from_the_branch_of_the_series():
    folders = (paths.ROOT / "doc", paths.ROOT / "devstack")
    files = [file for folder in folders for file in folder.rglob("*") if file.suffix in SUFFIXES]
    fetching = [file for file in [paths.ROOT / "README.md", *files] if _branches([file])]

    assert _branches(fetching) == {f"stable/{release.load().series}"}
    assert {*fetching} <= {*PIN_RELEASE["FETCHING"]}


def test_another_series_is_another_branch_to_fetch_from(tmp_path):
    copies = [tmp_path / f"{number}" for number in range(len(PIN_RELEASE["FETCHING"]))]
    for copy, file in zip(copies, PIN_RELEASE["FETCHING"], strict=True):
        copy.write_text(file.read_text())
    PIN_RELEASE["name_branch"]("2031.1", copies)

    assert _branches(copies) == {"stable/2031.1"}
