"""The pins of this tree's series agree with each other."""

import re
from pathlib import Path

from trove.tests.common import release


def _pins(file: Path) -> dict[str, str]:
    return dict(re.findall(r"^([\w.-]+)==([^ ;]+)", file.read_text(), re.MULTILINE))


def test_guests_get_the_trove_of_the_series_and_the_libraries_that_the_cloud_has():
    all_pins, guests = _pins(release.CONSTRAINTS), _pins(release.GUEST_CONSTRAINTS)

    assert guests["trove"] == release.load().trove
    # Only for newer interpreters, or other systems.
    more = guests.keys() - all_pins.keys()
    assert more <= {"colorama", "legacy-cgi", "pywin32"}
    assert guests.items() - all_pins.items() == {(name, guests[name]) for name in more}
