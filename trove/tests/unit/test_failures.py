"""What a run says and leaves behind when something goes wrong."""

import json
import os
import pty
import subprocess
import sys

import pytest

from trove.tests.common import paths
from trove.tests.harness.journal import PREFIX
from trove.tests.harness.run import LATEST, Run

FAILING = """
    from trove.tests.harness.redaction import new_password, remember

    def test_it(shared_instance):
        remember("told-by-trove")
        print("the password is told-by-trove")
        assert "told-by-trove" == shared_instance.login.user
"""


LOGGING = """
    import logging
    from trove.tests.harness.redaction import remember

    def test_it():
        remember("told-by-trove")
        logging.info("before: %s", "told-by-trove")
        logging.info("it does not fit: %d", "told-by-trove")
        try:
            raise RuntimeError("told-by-trove")
        except RuntimeError:
            logging.exception("afterwards")
"""


def test_a_failure_leaves_its_evidence(project, monkeypatch):
    monkeypatch.setenv("FAKE_SERVERS", "1")
    project.pytester.makepyfile(test_db=FAILING)

    result = project.run("-m", "mysql", "--keep=on-failure")

    result.assert_outcomes(failed=1)
    (run,) = project.runs
    assert (paths.runs() / LATEST).resolve() == run.folder
    (folder,) = (run.folder / "failed").iterdir()
    result.stdout.fnmatch_lines([f"{PREFIX}{run.id}-shared-*: HEALTHY", str(folder)])
    assert folder.name == "test_db-test_it-mysql-9.7-debian-trixie-call"
    assert "req-42" in (folder / "requests.log").read_text()
    (instance,) = (each for each in folder.iterdir() if each.is_dir())
    assert json.loads((instance / "instance.json").read_text())["status"] == "ACTIVE"
    assert "ACTIVE/HEALTHY" in (instance / "states.log").read_text()
    assert (instance / "console.log").read_text() == "console of server-of-it\n"
    assert json.loads((instance / "ports.json").read_text()) == [
        {"id": "port", "device_id": "server-of-it"}
    ]
    assert "user_data" not in (instance / "server.json").read_text()
    assert json.loads((folder / "failure.json").read_text())["culprit"] == "PRODUCT"
    written = {file.name for file in folder.rglob("*") if file.is_file()}
    readme = (folder / "README.md").read_text()
    assert {name for name in written if f"`{name}`" in readme} == written - {"README.md"}


def test_no_secret_is_in_the_log_that_pytest_shows_live(project):
    project.pytester.makepyfile(LOGGING)

    result = project.run("--log-cli-level=INFO")

    result.assert_outcomes(passed=1)
    shown = ["*before: ?hidden?", "*it does not fit: %d (*", "*afterwards", "*Error: ?hidden?"]
    result.stdout.fnmatch_lines(shown)
    result.stdout.no_fnmatch_line("*told-by-trove*")


def test_a_summary_begins_with_who_is_to_blame(project, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    project.pytester.makepyfile(
        """
        def test_trove(shared_instance): assert shared_instance.name == "another"
        def test_itself(shared_instance): shared_instance.nonsense
        """
    )
    result = project.run("-m", "mysql", "--junitxml=report.xml")

    result.stdout.fnmatch_lines(
        ["FAILED *::test_trove* - PRODUCT: Assert*", "FAILED *::test_itself* - TEST: Attribute*"]
    )
    report = (project.pytester.path / "report.xml").read_text()
    assert '<property name="culprit" value="TEST"' in report


BREAKING = """
    import os

    def test_first(cloud, target{more}):
        os.environ["FAKE_WORKER"] = "down"
        assert not "what the cloud can do"

    def test_second(cloud, target): pass
    def test_third(cloud, target): pass
"""


def test_a_broken_cloud_is_one_failure_and_the_rest_is_skipped(project, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    project.pytester.makepyfile(test_db=BREAKING.format(more=""))

    result = project.run("-m", "mysql")

    result.assert_outcomes(failed=1, skipped=2)
    result.stdout.fnmatch_lines(
        [
            "Probably to blame: ENVIRONMENT, for Nova: nothing has been heard of nova-compute",
            "skipped, by reason: 2 cloud_is_broken",
            "SKIPPED * cloud_is_broken: Nova: nothing has been heard of nova-compute",
            "FAILED *::test_first* - ENVIRONMENT (Nova: nothing has been heard of nova-compute):"
            " Assert*",
        ]
    )


def test_a_broken_cloud_is_not_taken_for_a_bug_of_the_server(project, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    project.pytester.makepyfile(
        """
        import os
        import pytest
        from keystoneauth1.exceptions import ConnectFailure

        @pytest.mark.xfail(strict=True)
        def test_of_a_bug(cloud, target):
            os.environ["FAKE_WORKER"] = "down"
            raise ConnectFailure("nobody answers")

        def test_after_it(cloud, target): pass
        """
    )

    result = project.run("-m", "mysql")

    result.assert_outcomes(skipped=2)
    result.stdout.fnmatch_lines(["skipped, by reason: 2 cloud_is_broken"])


def test_when_the_cloud_is_sound_again_tests_go_on(project):
    # Undone at the end of the first test.
    project.pytester.makepyfile(
        test_db=BREAKING.format(more=", monkeypatch").replace(
            'os.environ["FAKE_WORKER"] = "down"', 'monkeypatch.setenv("FAKE_WORKER", "down")'
        )
    )

    project.run("-m", "mysql").assert_outcomes(failed=1, passed=2)


@pytest.mark.parametrize("workers", [(), ("-n1",)])
def test_passwords_are_in_neither_report_nor_evidence(project, monkeypatch, workers):
    monkeypatch.setenv("COLUMNS", "200")
    project.pytester.makepyfile(test_db=FAILING)

    result = project.run("-m", "mysql", "--junitxml=report.xml", *workers)

    shown = [result.stdout.str(), (project.pytester.path / "report.xml").read_text()]
    (run,) = project.runs
    shown += [file.read_text() for file in run.folder.rglob("*") if file.is_file()]
    assert not any(
        "told-by-trove" in text.replace('remember("told-by-trove")', "") for text in shown
    )
    result.stdout.fnmatch_lines(["FAILED *test_it* - PRODUCT: *[[]hidden[]]*"])


@pytest.mark.parametrize("workers", [(), ("-n1",)])
def test_a_password_in_the_reason_of_a_skip_is_hidden(project, workers):
    skipping = 'import pytest; pytest.skip("for told-by-trove")'
    project.pytester.makepyfile(
        test_db=FAILING.replace('print("the password is told-by-trove")', skipping)
    )
    result = project.run("-m", "mysql", "-ra", *workers)

    result.assert_outcomes(skipped=1)
    result.stdout.fnmatch_lines(["SKIPPED * for [[]hidden[]]"])


def test_a_failure_that_tests_share_is_collected_once(project, monkeypatch):
    monkeypatch.setenv("FAKE_STATUS", "ERROR")
    project.pytester.makepyfile(
        """
        def test_one(shared_instance): pass
        def test_two(shared_instance): pass
        """
    )
    result = project.run("-m", "mysql")

    result.assert_outcomes(errors=2)
    result.stdout.fnmatch_lines(["E *Error: instance * is healthy: it is ERROR after 0 s"])
    result.stdout.no_fnmatch_line("*conftest.py*")
    (run,) = project.runs
    assert len(list((run.folder / "failed").iterdir())) == 1
    assert project.cloud.all("instance") == []


@pytest.mark.parametrize(
    ("ends", "outcome"), [("pass", {"passed": 1, "errors": 1}), ("assert False", {"failed": 1})]
)
def test_only_a_test_that_passes_fails_by_what_it_has_spoilt(project, ends, outcome):
    project.pytester.makepyfile(
        f"""
        from types import SimpleNamespace
        from trove.tests.harness import changes

        def test_it(shared_instance):
            left = [SimpleNamespace(name="left")]
            shared_instance.cloud.trove.databases.list = lambda _instance, **_page: left
            changes.note(f"/v1.0/project/instances/{{shared_instance.id}}/databases")
            {ends}
        """
    )
    result = project.run("-m", "mysql")

    result.assert_outcomes(**outcome)
    result.stdout.fnmatch_lines(["*The test left instance * changed: *left*"])


def test_an_explained_error_in_a_test_shows_the_line_of_the_test(project):
    project.pytester.makepyfile(
        """
        from trove.tests.common.errors import ScenarioError

        def deep():
            raise ScenarioError("it took too long")

        def test_it(cloud, target):
            deep()
        """
    )
    result = project.run("-m", "mysql")
    result.stdout.fnmatch_lines(["*.py:7: in test_it", "E *ScenarioError: it took too long"])
    result.stdout.no_fnmatch_line("*in deep*")


def test_without_a_cloud_the_run_ends_at_once(project, monkeypatch):
    monkeypatch.setenv("FAKE_CLOUD_IS_DOWN", "1")
    project.pytester.makepyfile(
        """
        def test_one(shared_instance): pass
        def test_two(shared_instance): pass
        """
    )
    result = project.run("-m", "mysql")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(["*Exit: Keystone of cloud 'fake' can't be reached.*"])
    assert project.runs == []


def test_an_unknown_cloud_ends_the_run_with_those_that_are_known(project):
    project.pytester.makepyfile("def test_one(shared_instance): pass")
    result = project.run("-m", "mysql", "--os-cloud=nowhere")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(["*There is no cloud 'nowhere' * known are: fake, fake-admin.*"])


def test_a_test_that_the_cloud_has_failed_is_tried_again_on_demand(project, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    project.pytester.makepyfile(
        test_db="""
        def test_on_a_cloud_that_ails(cloud, target, ail_once):
            ail_once()

        def test_that_fails_by_itself(cloud, target):
            assert not "what Trove can do"
        """
    )
    result = project.run("-m", "mysql", "--rerun-environment=1")

    result.stdout.fnmatch_lines(["*1 failed, 1 passed*1 rerun*"])
    result.stdout.fnmatch_lines(["FAILED *by_itself* - PRODUCT: *"])


def test_what_tests_share_is_tried_again_with_them(project, monkeypatch):
    monkeypatch.setenv("FAKE_BUILD_FAILS", "1")
    with (project.pytester.path / "conftest.py").open("a") as conftest:
        conftest.write(
            "\n\nimport os\n\n"
            "def pytest_runtest_logreport(report):\n"
            "    os.environ.pop('FAKE_BUILD_FAILS', None)\n"
        )
    project.pytester.makepyfile("def test_it(shared_instance): pass")

    result = project.run("-m", "mysql", "--rerun-environment=1")

    result.stdout.fnmatch_lines(["*1 passed*1 rerun*"])


def test_who_passes_at_the_second_attempt_fails_by_what_that_has_spoilt(project):
    project.pytester.makepyfile(
        """
        from types import SimpleNamespace
        from trove.tests.harness import changes

        def test_it(shared_instance, ail_once):
            ail_once()
            left = [SimpleNamespace(name="left")]
            shared_instance.cloud.trove.databases.list = lambda _instance, **_page: left
            changes.note(f"/v1.0/project/instances/{shared_instance.id}/databases")
        """
    )
    result = project.run("-m", "mysql", "--rerun-environment=1")

    result.stdout.fnmatch_lines(["*1 passed*1 error*1 rerun*"])


def test_who_sits_at_a_failure_goes_on_with_enter(project):
    project.pytester.makepyfile(test_db=FAILING)
    keyboard, terminal = pty.openpty()
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-m", "mysql", "--sit"]
    process = project.pytester.popen(
        command, stdin=terminal, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )

    shown = []
    for line in process.stdout:
        shown.append(line.decode().rstrip())
        if shown[-1] == "Press Enter to go on.":
            break
    (instance,) = project.cloud.all("instance")
    os.write(keyboard, b"\n")
    rest, _ = process.communicate(timeout=60)

    (run,) = project.runs
    assert shown[-2].startswith(f"{instance.name} at 192.0.2.1:3306: {run.logins}")
    assert "told-by-trove" not in "".join(shown)
    assert any("log in to cloud fake" in line for line in shown)
    assert b"1 failed" in rest
    assert project.cloud.all("instance") == []
    assert not run.logins.exists()


def test_whoever_sits_at_a_failure_has_a_terminal(project):
    result = project.run("-m", "mysql", "--sit")

    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["ERROR: --sit needs a terminal and a single process: *"])


def test_a_fresh_instance_goes_with_its_test(project):
    project.pytester.makepyfile(
        """
        def test_one(fresh_instance): pass
        def test_two(cloud, target): assert cloud.trove.instances.list() == []
        """
    )
    project.run("-m", "mysql").assert_outcomes(passed=2)


def test_what_is_not_refused_goes_with_its_test_whoever_asks(project):
    project.pytester.makepyfile(
        """
        import pytest
        from troveclient.exceptions import NotFound

        def test_taken(refusal, admin_cloud):
            with pytest.raises(pytest.fail.Exception, match="Trove takes the request"):
                refusal(by=admin_cloud)
            assert admin_cloud.trove.instances.list() == []

        def test_refused(refusal, admin_cloud):
            def refuse(**_): raise NotFound("no")
            admin_cloud.trove.instances.create = refuse
            assert isinstance(refusal(by=admin_cloud), NotFound)
        """
    )
    project.run("-m", "mysql").assert_outcomes(passed=2)


def test_what_a_dead_run_left_on_this_cloud_is_deleted_first(project):
    left = project.cloud.put("instance", name=f"{PREFIX}dead-db", status="ACTIVE")
    elsewhere = project.cloud.put("instance", name=f"{PREFIX}elsewhere-db", status="ACTIVE")
    for name, identity, resource in (
        ("dead", "http://fake project", left),
        ("elsewhere", "http://other project", elsewhere),
    ):
        run = Run(name, paths.runs() / name)
        run.own().release()
        run.journal.header(user="fake", admin="fake", identity=identity)
        run.journal.created(run.journal.creating("instance", resource.name), resource.id)
    project.pytester.makepyfile(
        "def test_it(cloud, target): assert len(cloud.trove.instances.list()) == 1"
    )

    result = project.run("-m", "mysql")

    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["*clean-up after run dead ..."])
    assert project.cloud.all("instance") == [elsewhere]


def test_what_could_not_be_deleted_is_told(project, monkeypatch):
    monkeypatch.setenv("FAKE_DELETE_FAILS", "1")
    project.pytester.makepyfile("def test_it(shared_instance): pass")

    result = project.run("-m", "mysql")

    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["*not cleaned up*", "instance trove-scenario-*: it is locked*"])
    (run,) = project.runs
    assert len(run.journal.open_entries()) == 1


def test_a_test_with_an_endless_name_leaves_its_evidence(project):
    project.pytester.makepyfile(
        """
        import pytest

        @pytest.mark.parametrize("name", ["x" * 300, "y\\n'\\"" * 100])
        def test_it(shared_instance, name):
            assert not name
        """
    )

    project.run("-m", "mysql").assert_outcomes(failed=2)

    (run,) = project.runs
    assert len(list((run.folder / "failed").iterdir())) == 2
