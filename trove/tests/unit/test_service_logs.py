"""What is taken from services' logs for one test."""

import time
from collections.abc import Iterator
from datetime import datetime

import pytest

from trove.tests.harness import service_logs

MINE = "req-11111111-2222-3333-4444-555555555555"
BEGAN = datetime(2026, 11, 26, 12, 0, 0)
# A second before that, and then, in Japan.
LOCAL = ("11:59:59", "12:00:00")
UTC = ("02:59:59", "03:00:00")


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


@pytest.fixture
def _in_japan(monkeypatch) -> Iterator[None]:
    """Have this machine nine hours ahead of UTC."""
    with monkeypatch.context() as patch:
        patch.setenv("TZ", "JST-9")
        time.tzset()
        yield
    time.tzset()


@pytest.mark.usefixtures("_in_japan")
@pytest.mark.parametrize(
    ("form", "before", "at"),
    [
        ("2026-11-26 {},873 WARN exited: mariadb (exit status 1; not expected)", *LOCAL),
        ("2026-11-26 {},873 CRIT uncaptured python exception", *LOCAL),
        ("2026-11-26 {},873 INFO gave up: mariadb entered FATAL state", *LOCAL),
        ("2026-11-26 {} 0 [ERROR] mariadbd: Disk is full writing './ib_logfile0'", *LOCAL),
        ("2026-11-26 {} 31 [Warning] Aborted connection 31 to db", " 9:59:59", "12:00:00"),
        ("2026-11-26 {}.185123+09:00 [error] <0.230.0> Disk is low", *LOCAL),
        ("2026-11-26 {}.185123+00:00 [warning] <0.230.0> alarm is set", *UTC),
        ("2026-11-26T{}Z|00012|bridge|WARN|could not open network device", *UTC),
        ("2026-11-26T{}.873Z|00013|ovsdb_idl|ERR|syntax error", *UTC),
        ("2026-11-26 {}.185+0000: 554: error : virNetSocketRead:1791 : End of file", *UTC),
        ("[2026-11-26 {} +0900] [75] [CRITICAL] WORKER TIMEOUT (pid:78)", *LOCAL),
    ],
)
def test_troubles_are_taken_as_each_service_writes_them(form, before, at, tmp_path):
    (tmp_path / "some.log").write_text(f"{form.format(before)}\n{form.format(at)}\n")

    assert list(service_logs.about(tmp_path, [], BEGAN)) == ["== some", form.format(at)]


@pytest.mark.usefixtures("_in_japan")
@pytest.mark.parametrize(
    "line",
    [
        "2026-11-26 12:00:01,873 INFO success: mariadb entered RUNNING state",
        "2026-11-26 12:00:01 0 [Note] mariadbd: ready for connections.",
        "2026-11-26 12:00:01.185123+00:00 [info] <0.230.0> closing connection",
        "2026-11-26T12:00:01Z|00003|reconnect|INFO|unix:/run/ovsdb.sock: connected",
    ],
)
def test_what_is_no_trouble_is_left_out(line, tmp_path):
    (tmp_path / "service.log").write_text(f"{line}\n")

    assert not list(service_logs.about(tmp_path, [], BEGAN))
