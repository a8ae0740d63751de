"""What is taken from services' logs for one test."""

from datetime import datetime

import pytest

from trove.tests.harness import service_logs

MINE = "req-11111111-2222-3333-4444-555555555555"
BEGAN = datetime(2026, 11, 26, 12, 0, 0)


@pytest.fixture
def logs(tmp_path):
    (tmp_path / "trove.log").write_text(
        f"2026-11-26 11:59:59.999 1 INFO trove [{MINE}] before the test\n"
        f"2026-11-26 12:00:01.000 1 INFO trove [None {MINE} demo] of the test\n"
        "2026-11-26 12:00:02.000 1 INFO trove [req-another] of another\n"
        "2026-11-26 12:00:03.000 1 ERROR trove [-] in its time\n"
        "with a second line\n"
    )
    (tmp_path / "nova.log").write_text("2026-11-26 12:00:01.000 1 INFO nova [-] all is well\n")
    return tmp_path


def test_lines_of_its_requests_and_troubles_of_its_time_are_taken(logs):
    taken = list(service_logs.about(logs, [MINE], BEGAN))

    assert taken[0] == "== trove"
    assert [line.rpartition("] ")[2] for line in taken[1:]] == ["of the test", "in its time"]


def test_of_a_long_log_the_end_is_looked_at(logs, monkeypatch):
    monkeypatch.setattr(service_logs, "LOOKED_AT", 80)

    (_, line) = service_logs.about(logs, [MINE], BEGAN)

    assert line.endswith("in its time")
