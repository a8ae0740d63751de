"""What a run leaves behind on purpose, and what a later run does with it."""

import json
import re
import stat
import threading
import time

import pytest

from trove.tests.common import paths
from trove.tests.harness.journal import PREFIX
from trove.tests.harness.run import Run

TWO = """
    def test_one(shared_instance): pass
    def test_two(shared_instance): {two}
"""


def test_what_is_kept_can_be_reached_and_deleted_later(project):
    project.pytester.makepyfile("def test_it(shared_instance, fresh_instance): pass")

    result = project.run("-m", "mysql", "--keep=always")

    result.assert_outcomes(passed=1)
    assert len(project.cloud.all("instance")) == 2
    (run,) = project.runs
    assert run.journal.open_entries() == []
    client = next(run.logins.glob("*-shared-*"))
    assert stat.S_IMODE(client.stat().st_mode) == 0o700
    assert "-h 192.0.2.1 -P 3306 -u scenario scenario" in client.read_text()
    result.stdout.fnmatch_lines(
        [
            f"*reach it: {client}",
            f"*delete all of it: trove-sweep --os-cloud fake --run {run.id} --yes",
        ]
    )


@pytest.mark.parametrize(("two", "kept"), [("pass", 0), ("assert False", 1)])
def test_a_run_may_be_kept_only_if_a_test_has_failed(project, two, kept):
    project.pytester.makepyfile(test_db=TWO.format(two=two))

    project.run("-m", "mysql", "--keep=on-failure")

    assert len(project.cloud.all("instance")) == kept
    (run,) = project.runs
    assert run.logins.exists() == bool(kept)


def test_a_kept_instance_is_taken_again(project):
    project.pytester.makepyfile(test_db=TWO.format(two="pass"))
    project.run("-m", "mysql", "--keep=always").assert_outcomes(passed=2)
    (kept,) = project.cloud.all("instance")

    result = project.run("-m", "mysql", "--reuse")

    result.assert_outcomes(passed=2)
    result.stdout.fnmatch_lines([f"*instance {kept.name} of run * is taken again"])
    assert [each.id for each in project.cloud.all("instance")] == [kept.id]


def test_evidence_of_a_failure_has_an_instance_of_an_earlier_run_as_well(project):
    project.pytester.makepyfile(test_db=TWO.format(two="pass"))
    project.run("-m", "mysql", "--keep=always")
    (kept,) = project.cloud.all("instance")
    project.pytester.makepyfile(test_db=TWO.format(two="assert False"))

    result = project.run("-m", "mysql", "--reuse")

    result.stdout.fnmatch_lines([f"{kept.name}: HEALTHY"])
    run = max(project.runs, key=lambda each: each.folder.stat().st_mtime)
    assert list(run.folder.glob(f"failed/*/{kept.name}/instance.json"))


@pytest.mark.parametrize(
    ("left", "again"), [("[]", True), ('[SimpleNamespace(name="left")]', False)]
)
def test_a_kept_instance_is_taken_twice_unless_the_first_run_has_spoilt_it(project, left, again):
    project.pytester.makepyfile(test_db=TWO.format(two="pass"))
    project.run("-m", "mysql", "--keep=always")
    (kept,) = project.cloud.all("instance")
    project.pytester.makepyfile(
        test_db=f"""
        from types import SimpleNamespace
        from trove.tests.harness import changes

        def test_it(shared_instance):
            shared_instance.cloud.trove.databases.list = lambda _instance, **_page: {left}
            changes.note(f"/v1.0/project/instances/{{shared_instance.id}}/databases")
        """
    )
    project.run("-m", "mysql", "--reuse")
    project.pytester.makepyfile(test_db=TWO.format(two="pass"))

    result = project.run("-m", "mysql", "--reuse")

    result.assert_outcomes(passed=2)
    assert (f"instance {kept.name} of run " in result.stdout.str()) == again


@pytest.mark.parametrize(
    ("changed", "why_not"),
    [
        ({"operating_status": "ERROR"}, "its status is ERROR, not HEALTHY"),
        ({"flavor": {"id": "tiny"}}, "its flavor is tiny, not *"),
        (None, "it is gone"),
    ],
)
def test_of_a_kept_instance_that_is_not_taken_it_is_told_why(project, changed, why_not):
    project.pytester.makepyfile(test_db=TWO.format(two="pass"))
    project.run("-m", "mysql", "--keep=always")
    (file,) = project.cloud.folder.glob("instance-*")
    if changed:
        file.write_text(json.dumps(json.loads(file.read_text()) | changed))
    else:
        file.unlink()

    result = project.run("-m", "mysql", "--reuse")

    result.assert_outcomes(passed=2)
    result.stdout.fnmatch_lines([f"*instance {PREFIX}* is not taken: {why_not}"])


# With workers the process that counts collects nothing itself.
@pytest.mark.parametrize(("workers", "deselected"), [((), 5), (("-n1",), 0)])
def test_a_run_that_died_is_gone_on_with(project, workers, deselected):
    project.pytester.makepyfile(
        test_db="""
        import os

        def test_one(shared_instance): pass
        def test_two(cloud, target): os.path.exists("alive") or os._exit(9)
        """
    )
    assert project.run("-m", "mysql", "--keep=on-failure").ret == 9
    (run,) = project.runs
    (project.pytester.path / "alive").touch()

    result = project.run("-m", "mysql", f"--resume={run.id}", *workers)

    # What had passed is not done again, and what had booted is still the one.
    result.assert_outcomes(passed=1, deselected=deselected)
    assert project.cloud.calls().count("create instance") == 1
    assert project.cloud.all("instance") == []
    assert project.runs == [run]


def test_what_has_passed_is_known_by_the_same_name_with_and_without_workers(project):
    project.pytester.makepyfile(test_db="def test_one(shared_instance): pass")

    project.run("-m", "mysql", "-n1", "--keep=always").assert_outcomes(passed=1)

    (run,) = project.runs
    (passed,) = (run.folder / "passed.txt").read_text().splitlines()
    assert re.fullmatch(r"test_db\.py::test_one\[[\w.-]+\]", passed)


def test_what_a_test_had_in_hand_when_its_run_died_is_not_gone_on_with(project):
    project.pytester.makepyfile(
        test_db="""
        import os

        def test_it(shared_instance):
            os.path.exists("alive") or os._exit(9)
        """
    )
    project.run("-m", "mysql", "--keep=on-failure")
    (run,) = project.runs
    (project.pytester.path / "alive").touch()

    project.run("-m", "mysql", f"--resume={run.id}").assert_outcomes(passed=1)

    assert project.cloud.calls().count("create instance") == 2
    assert project.cloud.all("instance") == []


@pytest.fixture
def living_run():
    """A run that is alive, with an instance and what its processes share."""
    run = Run("2611260000beef", paths.runs() / "2611260000beef")
    run.journal.header(user="fake", admin="fake", identity="http://fake project")
    run.journal.creating("instance", f"{PREFIX}db")
    run.once("cloud", dict)
    with run.own():
        yield run


@pytest.mark.parametrize("workers", [(), ("-n2",)])
def test_a_living_run_can_not_be_gone_on_with_and_keeps_what_it_shares(
    project, living_run, workers
):
    project.pytester.makepyfile("def test_it(cloud, target): pass")

    result = project.run("-m", "mysql", f"--resume={living_run.id}", *workers)

    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["ERROR: --resume can't be '2611260000beef': this run is alive."])
    assert (living_run.folder / "cloud.json").exists()


def test_who_only_looks_at_what_is_left_to_do_changes_nothing(project, living_run):
    project.pytester.makepyfile("def test_it(cloud, target): pass")

    result = project.run("-m", "mysql", f"--resume={living_run.id}", "--collect-only")

    assert result.ret == pytest.ExitCode.OK
    assert (living_run.folder / "cloud.json").exists()


def test_a_run_is_not_gone_on_with_on_another_cloud(project):
    name = f"{PREFIX}elsewhere"
    project.cloud.put("instance", name=name, status="ACTIVE")
    run = Run("2611260000dead", paths.runs() / "2611260000dead")
    run.journal.header(user="fake", admin="fake", identity="http://other project")
    run.journal.created(run.journal.creating("instance", name), "elsewhere")
    project.pytester.makepyfile("def test_it(shared_instance): pass")

    result = project.run("-m", "mysql", f"--resume={run.id}")

    result.assert_outcomes()
    result.stdout.fnmatch_lines(["*can't be gone on with on cloud 'fake': it was on another one*"])
    assert [entry.name for entry in run.journal.open_entries()] == [name]
    assert run.journal.facts()["identity"] == "http://other project"


@pytest.mark.parametrize("name", ["2611260000dead", "latest", "../runs", "../2611260000beef"])
def test_a_run_that_has_left_nothing_can_not_be_gone_on_with(project, name):
    elsewhere = Run("2611260000beef", paths.home() / "2611260000beef")
    elsewhere.journal.creating("instance", f"{PREFIX}db")

    result = project.run("-m", "mysql", f"--resume={name}")

    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(
        [f"ERROR: --resume can't be '{name}': no run of this * begun with --keep on-failure or *"]
    )


def test_the_latest_run_is_gone_on_with_by_its_own_name(project):
    project.pytester.makepyfile(
        "import os\ndef test_it(shared_instance): os.path.exists('alive') or os._exit(9)"
    )
    project.run("-m", "mysql", "--keep=on-failure")
    (run,) = project.runs
    (project.pytester.path / "alive").touch()

    project.run("-m", "mysql", "--resume=latest").assert_outcomes(passed=1)

    assert project.runs == [run]
    assert (run.folder.parent / "latest").resolve() == run.folder


@pytest.fixture
def dead_run():
    """A run that has died and left something."""
    run = Run("2611260000dead", paths.runs() / "2611260000dead")
    run.journal.header(user="fake", admin="fake", identity="http://fake project")
    run.journal.creating("configuration", f"{PREFIX}left")
    return run


def test_what_the_workers_of_a_run_that_died_told_is_past(project, dead_run):
    live = dead_run.folder / "live"
    live.mkdir()
    (live / "gw0.json").write_text("{}")
    (dead_run.folder / "progress.log").write_text("told long ago\n")
    project.pytester.makepyfile("def test_it(cloud, target): pass")

    result = project.run("-m", "mysql", "-n1", f"--resume={dead_run.id}")

    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["*log in to cloud fake*"])
    result.stdout.no_fnmatch_line("told long ago")
    assert not live.exists()


def test_the_workers_of_a_run_that_died_are_waited_for(project, dead_run):
    project.pytester.makepyfile("def test_it(cloud, target): pass")
    lives = threading.Event()

    def worker() -> None:
        alive = dead_run.join("gw0")
        lives.set()
        time.sleep(3)
        alive.release()

    threading.Thread(target=worker).start()
    lives.wait()

    result = project.run("-m", "mysql", "-n1", f"--resume={dead_run.id}")

    result.assert_outcomes(passed=1)


@pytest.mark.parametrize("workers", [(), ("-n1",)])
def test_where_nothing_can_be_written_one_sentence_says_so(project, monkeypatch, workers):
    monkeypatch.setenv("TROVE_SCENARIO_HOME", str(project.pytester.makefile(".txt", "no folder")))
    project.pytester.makepyfile("def test_it(cloud, target): pass")

    result = project.run("-m", "mysql", *workers)

    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["ERROR: */runs can't be written to (Not a directory): name *"])
