"""JUnit XML says what was tested."""

from xml.etree import ElementTree

import pytest

from trove.tests.common import release


@pytest.mark.parametrize("workers", [(), ("-n2",)], ids=["alone", "xdist"])
def test_the_suite_has_the_provenance_of_its_run(project, workers):
    project.pytester.makepyfile(
        """
        def test_one(shared_instance): pass
        def test_two(spare_instance, run): run.journal.header(seed=42)
        """
    )

    project.run("-m", "mysql", "--junitxml=junit.xml", *workers).assert_outcomes(passed=2)

    (run,) = project.runs
    assert _properties(project) == {
        "run": run.id,
        "series": release.load().series,
        "cloud": "fake",
        "admin": "fake-admin",
        "identity": "http://fake project",
        "datastore_versions": "mysql 9.7",
        "image_keys": "mysql-9.7-debian-trixie=0123456789abcdef",
        "seed": "42",
    }


def test_a_run_without_a_cloud_has_what_is_known(project):
    project.pytester.makepyfile("def test_it(): pass")
    project.run("--junitxml=junit.xml", ".").assert_outcomes(passed=1)
    assert _properties(project).keys() == {"run", "series"}


def test_who_passes_at_the_second_attempt_has_no_culprit(project):
    project.pytester.makepyfile(
        """
        def test_it(cloud, target, ail_once):
            ail_once()
        """
    )
    project.run("-m", "mysql", "--rerun-environment=1", "--junitxml=junit.xml")
    # JUnit's file has both attempts.
    assert _culprits(project) == [["ENVIRONMENT"], []]


def test_a_failure_and_one_after_it_have_a_culprit_each(project):
    project.pytester.makepyfile(
        """
        import pytest

        @pytest.fixture
        def spoilt(target):
            yield
            target.nonsense

        def test_it(cloud, spoilt):
            pytest.fail("what Trove can do")
        """
    )
    project.run("-m", "mysql", "--junitxml=junit.xml")
    assert _culprits(project) == [["PRODUCT"], ["TEST"]]


def _culprits(project) -> list[list[str]]:
    """Return the culprits of each test in JUnit's file."""
    (suite,) = ElementTree.parse(project.pytester.path / "junit.xml").getroot()
    return [
        [each.get("value") for each in case.iterfind(".//property[@name='culprit']")]
        for case in suite.iterfind("testcase")
    ]


def _properties(project) -> dict[str, str]:
    (suite,) = ElementTree.parse(project.pytester.path / "junit.xml").getroot()
    return {each.get("name"): each.get("value") for each in suite.find("properties")}
