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


def _properties(project) -> dict[str, str]:
    (suite,) = ElementTree.parse(project.pytester.path / "junit.xml").getroot()
    return {each.get("name"): each.get("value") for each in suite.find("properties")}
