"""Whatever ends a run, nothing is left behind, and nobody else's is touched."""

import os
import re
import signal
import time
from contextlib import suppress

import psutil
import pytest

from trove.tests.harness.journal import PREFIX

PATIENCE = 60  # seconds; on a machine that does nothing else a tenth of it is enough
WAITING = """
    import time

    def test_it(shared_instance, fresh_instance, request):
        (request.config.rootpath / "ready").touch()
        time.sleep(600)
"""


@pytest.fixture
def theirs(project):
    """What others have on the cloud, with names like ours."""
    return {
        project.cloud.put("instance", name=name, status="ACTIVE").id
        for name in (f"{PREFIX}prod", f"{PREFIX}2611261141d0fe-shared-3002", "db")
    }


@pytest.fixture
def start(project):
    """Starts pytest in the background; at the end nothing of it runs any more."""
    started = []

    def start(*args):
        started.append(project.start("-m", "mysql", *args))
        return started[-1]

    yield start
    for process in started:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def wait_until(condition, what):
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, f"not within {PATIENCE} s: {what}"
        time.sleep(0.05)


def wait_until_ready(project):
    wait_until((project.pytester.path / "ready").exists, f"tests run: {project.output}")


def instances(project):
    return {each.id for each in project.cloud.all("instance")}


def log_of_reaper(run):
    return (run.folder / "reaper.log").read_text()


def reaper_of(run):
    """Return the process that is to clean up after a run."""
    wait_until(lambda: "waits for the end" in log_of_reaper(run), "its reaper waits")
    return psutil.Process(int(re.search(r"process (\d+) waits", log_of_reaper(run))[1]))


def test_a_run_that_ends_well_leaves_its_reaper_nothing(project, theirs):
    project.pytester.makepyfile("def test_it(shared_instance): pass")

    project.run("-m", "mysql").assert_outcomes(passed=1)

    (run,) = project.runs
    wait_until(lambda: "left 0 in its journal" in log_of_reaper(run), "the reaper ends")
    assert instances(project) == theirs


def test_when_the_run_is_killed_its_reaper_cleans_up(project, theirs, start):
    project.pytester.makepyfile(WAITING)
    controller = start()
    wait_until_ready(project)
    (run,) = project.runs
    reaper = reaper_of(run)
    assert len(instances(project)) == len(theirs) + 2
    assert not {"x", "password"} & set(reaper.cmdline())
    assert {file.path for file in reaper.open_files()} <= {
        str(run.folder / "reaper.log"),
        str(run.folder / "owner.lock"),
    }

    controller.kill()

    wait_until(lambda: "cleaned up" in log_of_reaper(run), "the reaper cleans up")
    assert instances(project) == theirs
    assert run.journal.open_entries() == []
    assert list(run.folder.glob("secret-*.json")) == []
    psutil.wait_procs([reaper], timeout=PATIENCE)
    assert not reaper.is_running() or reaper.status() == psutil.STATUS_ZOMBIE


def test_what_a_worker_makes_after_its_controller_was_killed_goes_too(project, theirs, start):
    project.pytester.makepyfile(
        """
        import time
        import pytest

        @pytest.mark.parametrize("number", range(2))
        def test_it(instance_factory, request, number):
            while True:
                instance_factory.request("fresh")
                (request.config.rootpath / "ready").touch()
                time.sleep(0.3)
        """
    )
    controller = start("-n2")
    wait_until_ready(project)
    controller.kill()
    made = project.cloud.calls().count("create instance")
    (run,) = project.runs

    wait_until(lambda: "cleaned up" in log_of_reaper(run), "the reaper cleans up")

    assert project.cloud.calls().count("create instance") > made
    assert instances(project) == theirs
    assert run.journal.open_entries() == []


def test_what_a_killed_worker_had_made_goes_with_the_run(project, theirs):
    project.pytester.makepyfile(
        """
        import os
        import signal

        def test_dies(fresh_instance, request):
            # Once: pytest-xdist has another worker do what one died of.
            died = request.config.rootpath / "died"
            if not died.exists():
                died.touch()
                os.kill(os.getpid(), signal.SIGKILL)
        """
    )

    result = project.run("-n2", "-m", "mysql")

    result.assert_outcomes(passed=1, failed=1)
    assert project.cloud.calls().count("create instance") == 2
    assert instances(project) == theirs
    (run,) = project.runs
    assert run.journal.open_entries() == []


def test_when_the_only_worker_is_killed_another_does_the_rest(project, start):
    project.pytester.makepyfile(
        """
        import os
        import signal
        from pathlib import Path

        def test_dies(cloud, target):
            if not (died := Path("died")).exists():
                died.touch()
                os.kill(os.getpid(), signal.SIGKILL)

        def test_after_it(cloud, target): pass
        def test_at_the_end(cloud, target): pass
        """
    )

    controller = start("-n1")

    wait_until(lambda: controller.poll() is not None, f"the run ends: {project.output}")
    assert "1 failed, 3 passed" in project.output


def test_when_its_reaper_is_killed_too_the_next_run_cleans_up(project, theirs, start):
    project.pytester.makepyfile(test_waiting=WAITING)
    controller = start()
    wait_until_ready(project)
    (run,) = project.runs
    reaper_of(run).kill()
    controller.kill()
    controller.wait()
    project.pytester.makepyfile(test_next="def test_it(cloud, target): pass")

    result = project.run("-m", "mysql", "test_next.py")

    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines([f"*clean-up after run {run.id} ..."])
    assert instances(project) == theirs


def test_a_run_that_cleaned_up_is_not_swept_after(project):
    project.pytester.makepyfile("def test_it(fresh_instance): pass")
    project.run("-m", "mysql").assert_outcomes(passed=1)

    result = project.run("-m", "mysql")

    result.assert_outcomes(passed=1)
    result.stdout.no_fnmatch_line("*clean-up after run*")


def test_what_trove_brings_back_goes_with_the_next_run(project, theirs):
    project.pytester.makepyfile("def test_it(fresh_instance): pass")
    project.run("-m", "mysql").assert_outcomes(passed=1)
    (run,) = project.runs
    (name,) = {event["name"] for event in run.journal.events() if event.get("kind") == "instance"}
    project.cloud.put("instance", name=name, status="ACTIVE")

    result = project.run("-m", "mysql")

    result.stdout.fnmatch_lines([f"*clean-up after run {run.id} ..."])
    assert theirs <= instances(project)
    assert name not in {each.name for each in project.cloud.all("instance")}


@pytest.mark.parametrize("args", [(), ("-n2",)], ids=["alone", "with-workers"])
def test_ctrl_c_cleans_up(project, theirs, start, args):
    project.pytester.makepyfile(WAITING)
    controller = start(*args)
    wait_until_ready(project)

    os.killpg(controller.pid, signal.SIGINT)

    assert controller.wait(PATIENCE) == pytest.ExitCode.INTERRUPTED
    assert instances(project) == theirs
    (run,) = project.runs
    assert run.journal.open_entries() == []


def test_when_ctrl_c_interrupts_the_clean_up_the_reaper_goes_on(
    project, theirs, start, monkeypatch
):
    monkeypatch.setenv("FAKE_DELETE_SECONDS", "2")
    project.pytester.makepyfile(WAITING.replace(", fresh_instance", ""))
    controller = start()
    wait_until_ready(project)
    os.killpg(controller.pid, signal.SIGINT)
    wait_until(lambda: "clean-up ..." in project.output, "it cleans up")

    os.killpg(controller.pid, signal.SIGINT)

    assert controller.wait(PATIENCE) != 0
    (run,) = project.runs
    wait_until(lambda: "cleaned up" in log_of_reaper(run), "the reaper cleans up")
    assert instances(project) == theirs
    assert run.journal.open_entries() == []


def test_two_runs_on_one_cloud_leave_each_other_alone(project, theirs, start):
    project.pytester.makepyfile(test_waiting=WAITING)
    controller = start("test_waiting.py")
    wait_until_ready(project)
    before = instances(project)
    project.pytester.makepyfile(test_other="def test_it(shared_instance): pass")

    project.run("-m", "mysql", "test_other.py").assert_outcomes(passed=1)

    assert instances(project) == before
    os.killpg(controller.pid, signal.SIGINT)
    assert controller.wait(PATIENCE) == pytest.ExitCode.INTERRUPTED
    assert instances(project) == theirs
