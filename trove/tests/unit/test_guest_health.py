"""Errors on a guest's console: found, counted once, and passed over where they are expected."""

from types import SimpleNamespace

import pytest
from openstack import exceptions as sdk_errors

from trove.tests.fixtures.guest_health import EXPECTED
from trove.tests.harness import guest_health
from trove.tests.harness.guest_health import RECENT, Consoles, ExpectedError
from trove.tests.harness.run import Run

AGENT = (
    "[   24.1] trove-guest-agent[46]: 2026-11-26 04:59:26,917.917 46 ERROR oslo.rpc [-] no method"
)
MYSQL = "Nov 26 05:02:26 database[812]: 2026-11-26T05:02:26 0 [ERROR] [MY-010119] Aborting"
POSTGRESQL = "Nov 26 05:02:26 database[812]: 2026-11-26 05:02:26 UTC [1] FATAL:  no space left"
HARMLESS = "[   24.2] trove-guest-agent[46]: 2026-11-26 04:59:26,917.917 46 INFO trove [-] ERROR 0"


@pytest.fixture
def written_later(console, monkeypatch):
    """What the guest adds to its console, a list at a time, whenever one waits for more."""
    written_later = []

    def sleep(_):
        console.extend(written_later.pop(0) if written_later else [])

    monkeypatch.setattr(guest_health.time, "sleep", sleep)
    return written_later


@pytest.fixture
def console():
    """The lines of a guest's console; a list that tests add to."""
    return []


@pytest.fixture
def consoles(console, written_later, tmp_path):
    """Return a function that reads that console, with errors that are expected."""

    def make(*allowed):
        compute = SimpleNamespace(
            get_server_console_output=lambda _, length: {
                "output": "".join(f"{line}\n" for line in console[-(length or 0) :])
            }
        )
        return Consoles(SimpleNamespace(compute=compute), allowed, Run("id", tmp_path))

    return make


@pytest.fixture
def instance():
    return SimpleNamespace(
        id="1", name="db", spec=SimpleNamespace(datastore="mysql"), server_id=lambda _: "server"
    )


@pytest.mark.parametrize("line", [AGENT, MYSQL, POSTGRESQL])
def test_an_error_is_told(consoles, console, instance, line):
    console += [HARMLESS, line, HARMLESS]
    assert consoles().errors(instance) == [line]


def test_an_error_is_told_once(consoles, console, instance):
    looked_at = consoles()
    console += [AGENT, HARMLESS]
    looked_at.errors(instance)
    assert looked_at.errors(instance) == []
    console += [MYSQL]
    assert looked_at.errors(instance) == [MYSQL]


def test_a_line_that_is_being_written_is_read_next_time(consoles, console, instance):
    looked_at = consoles()
    console += [AGENT]
    begun = {"output": f"{AGENT}\n{MYSQL[:60]}"}
    with pytest.MonkeyPatch.context() as patch:
        compute = looked_at._admin.compute
        patch.setattr(compute, "get_server_console_output", lambda _, length: begun)
        assert looked_at.errors(instance) == [AGENT]
    console += [MYSQL]
    assert looked_at.errors(instance) == [MYSQL]


def test_nothing_is_missed_of_a_guest_that_has_told_much(consoles, console, instance):
    looked_at = consoles()
    console += [HARMLESS]
    looked_at.errors(instance)
    console += [MYSQL, *(f"{HARMLESS} {number}" for number in range(2 * RECENT))]
    assert looked_at.errors(instance) == [MYSQL]


def test_what_the_console_has_lost_is_no_reason_to_miss_the_rest(consoles, console, instance):
    looked_at = consoles()
    console += [HARMLESS]
    looked_at.errors(instance)
    console[:] = [MYSQL]
    assert looked_at.errors(instance) == [MYSQL]


def test_a_traceback_is_one_error(consoles, console, instance):
    begin = "[   24.1] trove-guest-agent[46]: 2026-11-26 04:59:26,917.917 46 ERROR oslo.rpc"
    console += [
        f"{begin} [-] Exception during message handling: NoSuchMethod",
        f"{begin} Traceback (most recent call last):",
        f"{begin}     raise NoSuchMethod(method)",
        f"{begin} oslo.NoSuchMethod: no method",
        f"{begin} ",
    ]
    assert consoles().errors(instance) == [f"{console[0]} … oslo.NoSuchMethod: no method"]


def test_a_traceback_that_is_being_written_is_one_error(consoles, console, written_later, instance):
    looked_at = consoles()
    begin = "[   24.1] trove-guest-agent[46]: 2026-11-26 04:59:26,917.917 46 ERROR oslo.rpc"
    console += [f"{begin} [-] Exception", f"{begin} Traceback (most recent call last):"]
    written_later += [[f"{begin}     raise it"], [f"{begin} oslo.NoSuchMethod", f"{begin} "]]
    assert looked_at.errors(instance) == [f"{console[0]} … oslo.NoSuchMethod"]
    assert looked_at.errors(instance) == []


def test_a_guest_that_goes_on_telling_of_errors_is_not_waited_for(
    consoles, console, written_later, instance
):
    console += [AGENT]
    written_later += [[AGENT.replace(":26,", f":{27 + number},")] for number in range(20)]
    assert len(consoles().errors(instance)) == 1 + guest_health.TRACEBACK_LOOKS
    assert written_later


@pytest.mark.parametrize("begin", ["\x1b", ""])
def test_colours_are_taken_out(consoles, console, instance, begin):
    console += [POSTGRESQL.replace("FATAL", f"{begin}[0;1;31mFATAL{begin}[0m")]
    assert consoles().errors(instance) == [POSTGRESQL]


def test_an_expected_error_is_passed_over(consoles, console, instance):
    console += [AGENT, MYSQL]
    assert consoles(ExpectedError("MY-010119", "it ends")).errors(instance) == [AGENT]
    elsewhere = ExpectedError("MY-010119", "it ends", ("postgresql",))
    assert consoles(elsewhere).errors(instance) == [AGENT, MYSQL]


@pytest.mark.parametrize("error", [sdk_errors.NotFoundException, sdk_errors.ConflictException])
def test_a_guest_without_console_tells_of_nothing(consoles, instance, error):
    looked_at = consoles()

    def refuse(_, length):
        raise error("no console")

    looked_at._admin.compute.get_server_console_output = refuse
    assert looked_at.errors(instance) == []


def test_a_guest_whose_server_is_still_to_come_has_told_nothing(consoles, instance):
    looked_at = consoles()
    instance.server_id = lambda _: None
    assert looked_at.errors(instance) == []


def test_a_database_that_starts_may_say_that_it_takes_no_connection_yet(
    consoles, console, instance
):
    instance.spec.datastore = "postgresql"
    said = ("is starting up", "is not yet accepting connections")
    console += [POSTGRESQL.replace("no space left", f"the database system {it}") for it in said]
    assert consoles(*guest_health.expected(EXPECTED)).errors(instance) == []


def test_what_is_expected_has_a_reason():
    for each in guest_health.expected(EXPECTED):
        assert each.why


HEALTHY_TEST = """
def test_it(shared_instance):
    pass

def test_failing(shared_instance):
    assert shared_instance is None
"""


def test_a_passing_test_fails_when_its_guest_tells_of_errors(project, monkeypatch):
    project.pytester.makepyfile(HEALTHY_TEST)
    monkeypatch.setenv("FAKE_CONSOLE", AGENT)

    result = project.run("-m", "mysql")

    result.assert_outcomes(failed=2)
    result.stdout.fnmatch_lines(
        ["*shared-* tells of errors on its console:", "*46 ERROR oslo.rpc*"]
    )


def test_a_failure_of_the_tests_own_is_left_alone(project):
    project.pytester.makepyfile(HEALTHY_TEST)

    project.run("-m", "mysql").assert_outcomes(passed=1, failed=1)


def test_what_guests_told_of_in_a_failed_set_up_is_not_held_against_the_next_test(
    project, monkeypatch
):
    project.pytester.makepyfile(
        """
        import os
        import pytest

        @pytest.fixture(scope="module")
        def made(lasting_instance):
            os.environ["FAKE_CONSOLE"] = os.environ["ERROR_LINE"]
            raise RuntimeError("it is not to be")

        def test_before(shared_instance): pass
        def test_made(shared_instance, made): pass
        def test_next(shared_instance): pass
        """
    )
    monkeypatch.setenv("ERROR_LINE", AGENT)

    project.run("-m", "mysql").assert_outcomes(passed=2, errors=1)


@pytest.mark.parametrize(
    "failing", ["pytest.fail('no')", "pytest.raises(OSError).__exit__(*[None] * 3)"]
)
def test_what_guests_told_of_in_a_failed_test_is_not_held_against_the_next_one(
    project, monkeypatch, failing
):
    project.pytester.makepyfile(
        f"""
        import os
        import pytest

        def test_before(shared_instance): pass
        def test_failing(spare_instance):
            os.environ["FAKE_CONSOLE"] = os.environ["ERROR_LINE"]
            {failing}
        def test_next(spare_instance): pass
        """
    )
    monkeypatch.setenv("ERROR_LINE", AGENT)

    project.run("-m", "mysql").assert_outcomes(passed=2, failed=1)


def test_a_look_at_the_guests_that_fails_hides_no_failure(project, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    project.pytester.makepyfile(
        """
        from openstack.exceptions import HttpException

        def test_failing(shared_instance, admin_cloud):
            def fail(_server, **_how):
                raise HttpException("Nova is down")
            admin_cloud.compute.get_server_console_output = fail
            assert not "what Trove can do"
        """
    )
    result = project.run("-m", "mysql")

    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["FAILED *test_failing* - PRODUCT: *what Trove can do*"])


def test_what_guests_tell_of_while_a_test_is_undone_is_that_tests(project, monkeypatch):
    project.pytester.makepyfile(
        """
        import os
        import pytest

        @pytest.fixture
        def undone(shared_instance):
            yield
            os.environ["FAKE_CONSOLE"] = os.environ["ERROR_LINE"]

        def test_undone(undone): pass
        def test_next(shared_instance): pass
        """
    )
    monkeypatch.setenv("ERROR_LINE", AGENT)

    result = project.run("-m", "mysql")

    result.assert_outcomes(passed=2, errors=1)
    result.stdout.fnmatch_lines(["ERROR *test_undone*"])
