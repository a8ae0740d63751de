"""Skips have a reason that is counted."""

import re
from pathlib import Path

import pytest

from trove.tests.common import matrix, release
from trove.tests.fixtures.applicability import Reason

LACKING = """
import re
from pathlib import Path

import pytest
from trove.tests.fixtures.applicability import Reason, skip

@pytest.mark.backup
def test_backup(target):
    pass

def test_other(target):
    pass

def test_service(target):
    skip(Reason.NEEDS_SERVICE, "there is no key manager")
"""


def test_every_reason_of_the_matrix_is_one():
    for target in matrix.load().targets():
        assert {lack.type for lack in target.version.lacks.values()} <= set(Reason)


def test_what_a_version_lacks_is_skipped_and_counted(project):
    project.pytester.makepyfile(LACKING)

    result = project.run("-m", "mysql", "--datastore", "mysql:9.7", "-rs")

    result.assert_outcomes(passed=1, skipped=2)
    result.stdout.fnmatch_lines(
        [
            "skipped, by reason: 1 needs_registry_image, 1 needs_service",
            "*needs_registry_image: mysql-9.7-debian-trixie: *xtrabackup*",
        ]
    )


def test_what_a_version_has_is_run(project):
    project.pytester.makepyfile(LACKING)

    project.run("-m", "mariadb and backup").assert_outcomes(passed=1)


def test_a_skip_without_a_type_is_counted_as_one(project):
    project.pytester.makepyfile("import pytest\ndef test_it(target):\n    pytest.skip('no idea')")

    result = project.run("-m", "mysql")

    result.stdout.fnmatch_lines(["skipped, by reason: 1 without a type"])


# What ends a run before its time is not missing.
ENDINGS = {Reason.CLOUD_IS_BROKEN, Reason.OUT_OF_TIME}


@pytest.mark.parametrize("reason", sorted(set(Reason) - ENDINGS))
def test_a_type_says_what_is_missing(reason):
    assert reason.value.startswith(("needs_", "not_supported_"))


BUGGY = """
import re
from pathlib import Path

import pytest

@pytest.mark.server_bug("reserved_names_are_those_of_mysql")
def test_it(datastore):
    assert datastore.name != "postgresql"
"""


def test_a_bug_of_the_server_is_expected_where_it_shows(project):
    project.pytester.makepyfile(BUGGY)

    project.run("-m", "postgresql").assert_outcomes(xfailed=1)
    project.run("-m", "mysql").assert_outcomes(passed=1)


def test_a_bug_that_is_gone_is_noticed(project):
    project.pytester.makepyfile(BUGGY.replace("!=", "=="))

    project.run("-m", "postgresql").assert_outcomes(failed=1)


BESIDE_A_BUG = """
import pytest
from trove.tests.harness.condition import SpoiltError
from trove.tests.harness.guest_health import GuestErrors
from trove.tests.harness.waiting import WaitError

@pytest.fixture
def broken():
    raise WaitError("it never came up")

@pytest.fixture
def spoilt():
    yield
    raise SpoiltError("it was left changed")

@pytest.mark.server_bug("reserved_names_are_those_of_mysql")
def test_before(cloud, target, broken):
    assert not "reached"

@pytest.mark.server_bug("reserved_names_are_those_of_mysql")
def test_after(cloud, target, spoilt):
    assert not "what the server can do"

@pytest.mark.server_bug("reserved_names_are_those_of_mysql", strict=False)
@pytest.mark.parametrize("error", [GuestErrors, SpoiltError])
def test_beside(cloud, target, error):
    raise error("they tell of errors")

@pytest.mark.server_bug("reserved_names_are_those_of_mysql", run=False)
def test_that_waits(cloud, target, broken):
    assert not "reached"

@pytest.mark.server_bug("reserved_names_are_those_of_mysql")
def test_in_words(cloud, target):
    pytest.fail("a refusal didn't come")
"""


def test_only_what_a_test_itself_raises_is_taken_for_the_bug(project, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    project.pytester.makepyfile(BESIDE_A_BUG)

    result = project.run("-m", "postgresql", "--rerun-environment=1")

    result.assert_outcomes(failed=2, errors=2, xfailed=3)
    result.stdout.fnmatch_lines(
        [
            "ERROR *::test_before* - PRODUCT: *it never came up",
            "ERROR *::test_after* - TEST: *it was left changed",
            "FAILED *::test_beside*GuestErrors* - PRODUCT: *",
            "FAILED *::test_beside*SpoiltError* - TEST: *",
        ]
    )
    result.stdout.no_fnmatch_line("RERUN *")


def test_a_set_up_that_the_cloud_has_failed_is_tried_again(project):
    project.pytester.makepyfile(
        """
        import pytest
        from trove.tests.harness.culprits import CloudFailure

        @pytest.fixture
        def prepared(request):
            if request.node.execution_count == 1:
                raise RuntimeError("nobody answers") from CloudFailure("it is down")

        @pytest.mark.server_bug("reserved_names_are_those_of_mysql")
        def test_it(cloud, target, prepared):
            assert not "what the server can do"
        """
    )

    result = project.run("-m", "postgresql", "--rerun-environment=1")

    result.stdout.fnmatch_lines(["*1 xfailed*1 rerun*"])


def test_bugs_are_of_known_datastores():
    known = set(matrix.load().datastores)
    for bug in release.server_bugs().values():
        assert set(bug.datastores) <= known


def test_every_bug_has_a_test_that_shows_it():
    scenario = Path(release.__file__).parents[1] / "scenario"
    shown = {
        name
        for file in scenario.glob("test_*.py")
        for name in re.findall(r'server_bug\(\s*"(\w+)"', file.read_text())
    }
    assert shown == set(release.server_bugs())
