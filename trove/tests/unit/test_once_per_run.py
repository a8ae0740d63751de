"""Shared things are made once by the run, not once by each of its workers."""

import collections

import pytest

from trove.tests.common import matrix
from trove.tests.harness import images

MADE_ONCE = ["build image", "upload", "register", "activate", "create flavor", "create instance"]


@pytest.fixture
def tests_on_the_instance(project):
    project.pytester.makepyfile(
        """
        import time
        import pytest

        # Not shared_instance: that would keep them all on one worker.
        @pytest.mark.parametrize("number", range(8))
        def test_it(lasting_instance, number, worker_id, request):
            time.sleep(0.1)
            assert lasting_instance.instance().status == "HEALTHY"
            with open(request.config.rootpath / "workers", "a") as workers:
                workers.write(worker_id + "\\n")
        """
    )
    return project


def counted(project):
    return collections.Counter(project.cloud.calls())


def test_four_workers_make_one_of_each_and_delete_it_at_the_end(tests_on_the_instance):
    project = tests_on_the_instance

    result = project.run("-n4", "-m", "mysql")

    result.assert_outcomes(passed=8)
    workers = set((project.pytester.path / "workers").read_text().split())
    assert len(workers) > 1
    calls = counted(project)
    assert {call: calls[call] for call in MADE_ONCE} == dict.fromkeys(MADE_ONCE, 1)
    (deleted,) = [call for call in calls if call.startswith("delete")]
    assert deleted.startswith("delete instance trove-scenario-")
    assert project.cloud.all("instance") == []
    result.stdout.fnmatch_lines(["*log in to cloud fake: * s", "*instance trove-scenario-*: * s"])


def test_one_process_does_the_same_and_a_second_run_finds_the_image(tests_on_the_instance):
    project = tests_on_the_instance

    result = project.run("-m", "mysql")

    result.assert_outcomes(passed=8)
    first = counted(project)
    assert {call: first[call] for call in MADE_ONCE} == dict.fromkeys(MADE_ONCE, 1)
    assert project.cloud.all("instance") == []
    result.stdout.fnmatch_lines(["* s  shared-*: create *, BUILD *"])

    project.run("-m", "mysql").assert_outcomes(passed=8)

    again = counted(project) - first
    assert not {"build image", "upload", "create flavor"} & set(again)
    assert again["create instance"] == 1


def test_a_self_booting_image_that_somebody_has_loaded_is_used(tests_on_the_instance):
    project = tests_on_the_instance
    key = images.bootable_key(matrix.load().select("mysql"))
    project.cloud.put("image", name="loaded with --bootable", key=key)

    project.run("-m", "mysql").assert_outcomes(passed=8)

    assert not {"build image", "upload"} & set(counted(project))


def test_what_a_worker_had_in_hand_when_it_died_is_no_other_workers(project):
    project.pytester.makepyfile(
        """
        import os
        from pathlib import Path

        def test_it(shared_instance):
            if not (died := Path("died")).exists():
                died.touch()
                os._exit(9)
        """
    )
    # Whoever comes after it begins with the same test.
    project.run("-n1", "-m", "mysql").assert_outcomes(passed=1, failed=1)

    assert counted(project)["create instance"] == 2
    assert project.cloud.all("instance") == []


def test_an_instance_that_is_refused_fails_who_wants_it_alone(project):
    with (project.pytester.path / "conftest.py").open("a") as conftest:
        conftest.write(
            """

from troveclient import exceptions
from trove.tests.unit.fakes import Instances

create = Instances.create

def within_quota(self, name, **request):
    if "-shared-" not in name:
        raise exceptions.RequestEntityTooLarge("Quota exceeded")
    return create(self, name, **request)

Instances.create = within_quota
"""
        )
    project.pytester.makepyfile(
        """
        def test_the_first(shared_instance): pass
        def test_the_second(spare_instance): pass
        """
    )
    result = project.run("-m", "mysql")

    result.assert_outcomes(passed=1, errors=1)
    result.stdout.fnmatch_lines(["*to create instance *-spare-*: Quota exceeded (HTTP 413)"])


def test_a_build_that_fails_fails_once(tests_on_the_instance, monkeypatch):
    monkeypatch.setenv("FAKE_BUILD_FAILS", "1")
    project = tests_on_the_instance

    result = project.run("-n2", "-m", "mysql")

    result.assert_outcomes(errors=8)
    assert counted(project)["build image"] == 1
    result.stdout.fnmatch_lines(["*There is no space left to build an image.*"])


def test_tests_of_a_shared_instance_stay_on_one_worker(project):
    project.pytester.makepyfile(
        """
        import pytest

        @pytest.mark.parametrize("number", range(6))
        def test_it(shared_instance, number, worker_id, request):
            with open(request.config.rootpath / "workers", "a") as workers:
                workers.write(worker_id + "\\n")
        """
    )
    project.run("-n2", "-m", "mysql").assert_outcomes(passed=6)
    workers = (project.pytester.path / "workers").read_text().split()
    assert len(set(workers)) == 1
