import multiprocessing
import os
import signal

import pytest

from trove.tests.harness.journal import Entry, Journal


@pytest.fixture
def journal(tmp_path):
    return Journal(tmp_path / "run" / "journal.jsonl")


def test_no_file_means_nothing_open(journal):
    assert journal.open_entries() == []
    assert journal.facts() == {}


def test_a_resource_is_open_from_before_its_creation(journal):
    journal.creating("instance", "db", flavor="small")
    assert journal.open_entries() == [Entry("instance", "db", None, {"flavor": "small"})]


def test_its_id_is_added(journal):
    entry = journal.created(journal.creating("instance", "db"), "42")
    assert entry == Entry("instance", "db", "42")
    assert journal.open_entries() == [entry]


def test_a_deleted_or_kept_one_is_closed(journal):
    journal.closed(journal.creating("instance", "gone"))
    journal.closed(journal.creating("image", "cached"), "kept")
    left = journal.creating("instance", "left")
    assert journal.open_entries() == [left]


def test_the_order_is_that_of_creation(journal):
    for name in "cab":
        journal.creating("instance", name)
    assert [entry.name for entry in journal.open_entries()] == ["c", "a", "b"]


def test_facts_of_the_run(journal):
    journal.header(user="demo", identity="here")
    journal.header(identity="there")
    assert journal.facts()["user"] == "demo"
    assert journal.facts()["identity"] == "there"


def test_a_torn_last_line_costs_only_itself(journal):
    journal.creating("instance", "whole")
    journal.creating("instance", "torn")
    raw = journal.path.read_bytes()
    journal.path.write_bytes(raw[:-10])
    assert [entry.name for entry in journal.open_entries()] == ["whole"]

    journal.creating("instance", "next")
    assert [entry.name for entry in journal.open_entries()] == ["whole", "next"]


def test_it_knows_what_was_deleted(journal):
    for name in ("gone", "open"):
        journal.closed(journal.creating("instance", name))
    journal.closed(journal.creating("instance", "kept"), "kept")
    journal.closed(journal.creating("image", "another"))
    journal.creating("instance", "open")

    assert journal.deleted("instance") == {"gone"}


class Answer(Exception):
    """What a client of a service raises."""

    def __init__(self, http_status):
        self.http_status = http_status


@pytest.mark.parametrize(
    ("error", "looked_for"),
    [
        (Answer(403), []),
        (Answer(404), []),
        (Answer(500), ["network"]),
        (ConnectionError("nobody knows"), ["network"]),
    ],
    ids=["forbidden", "not found", "failed", "no answer"],
)
def test_what_a_server_refuses_is_not_looked_for_later(journal, error, looked_for):
    entry = journal.creating("network", "private")

    with pytest.raises(type(error)), journal.refusable(entry):
        raise error

    assert [entry.kind for entry in journal.open_entries()] == looked_for


def _write_and_die(journal):
    journal.creating("instance", "db")
    os.kill(os.getpid(), signal.SIGKILL)


def test_it_survives_the_sudden_death_of_its_writer(journal):
    writer = multiprocessing.get_context("fork").Process(target=_write_and_die, args=(journal,))
    writer.start()
    writer.join()
    assert writer.exitcode == -signal.SIGKILL
    assert [entry.name for entry in journal.open_entries()] == ["db"]


def _write_many(journal, prefix):
    for number in range(50):
        journal.created(journal.creating("instance", f"{prefix}{number}"), "id")


def test_several_processes_write_whole_lines(journal):
    context = multiprocessing.get_context("fork")
    writers = [context.Process(target=_write_many, args=(journal, prefix)) for prefix in "abc"]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    entries = journal.open_entries()
    assert len(entries) == 150
    assert all(entry.id == "id" for entry in entries)


def test_nobody_else_may_read_it(journal):
    journal.creating("instance", "db")
    assert journal.path.stat().st_mode & 0o077 == 0
