"""Services die while a run needs them: it ends in time, says one reason, and leaves nothing.

Each test is a run of pytest on a cloud of its own, in which a service, or the agent in a
guest, is killed while Trove is at work. What Trove makes of that is Trove's affair; what
the run makes of it is looked at here.
"""

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from trove.tests.common import paths, progress
from trove.tests.embedded import api, lifecycle
from trove.tests.embedded.cloud import NAME_VARIABLE, Cloud
from trove.tests.embedded.hypervisor import KINDS
from trove.tests.fixtures.diagnostics import AFTERMATH
from trove.tests.functional import striking, struck
from trove.tests.functional.observing import wait_until
from trove.tests.harness import clients, quotas, soundness
from trove.tests.harness.kinds import find_instance, kinds
from trove.tests.harness.run import Run, run_of
from trove.tests.harness.timeouts import Timeouts
from trove.tests.harness.waiting import wait_for

pytestmark = pytest.mark.faults

MOMENTS = ("create", "backup", "promote")
# Each service once, and each moment, where that takes two minutes; the others take half an
# hour, for what a service has lost for good is waited for in vain.
USUAL = {
    ("trove-taskmanager", "backup"),
    ("trove-conductor", "promote"),
    (striking.AGENT, "backup"),
    ("rabbitmq", "backup"),
    ("nova-compute", "create"),
}
BUDGET = 6  # minutes of a run
SCALE = 0.25  # of its limits: what is lost for good is to be given up soon
# The clean-up has limits of its own, and tries twice.
PATIENCE = BUDGET * 60 + 2 * Timeouts().scaled(SCALE).gone
RECOVERY = 90  # seconds until a cloud is sound after a service was killed
SETTLING = 60  # seconds that services may go on to delete what Trove knows no more
# Trove keeps a project's backups there, and so may keep it.
TROVES_CONTAINER = "database_backups"
# A token of keystone, and a password as guest agents tell theirs; enough of each to be sure.
TOLD = re.compile(rb"gAAAAA[\w-]{40}|password[^\w$]{1,4}[A-Za-z0-9_-]{16}", re.IGNORECASE)

CASES = [
    pytest.param(
        service,
        moment,
        id=f"{service}-{moment}",
        marks=[] if (service, moment) in USUAL else pytest.mark.slow,
    )
    for service in struck.SERVICES
    for moment in MOMENTS
]


@dataclass(frozen=True)
class Done:
    """A run that is over.

    Attributes:
        run: its journal and folder.
        output: what it printed.
        reports: folder of its reports.
        secrets: what it knew and may not tell.
        seconds: how long it took.
    """

    run: Run
    output: str
    reports: Path
    secrets: list[str]
    seconds: float

    @property
    def reasons(self) -> list[tuple[str | None, str]]:
        """Who is to blame for each failure, and what for."""
        tests = ElementTree.parse(self.reports / "junit.xml").iter("testcase")
        return [
            (_culprit(test), failure.get("message", ""))
            for test in tests
            for failure in [*test.iter("failure"), *test.iter("error")]
        ]

    def telling(self, secret: re.Pattern[bytes]) -> list[Path]:
        """Return the files of the run that have something in them."""
        files = [each for top in (self.run.folder, self.reports) for each in top.rglob("*")]
        return [each for each in files if each.is_file() and secret.search(each.read_bytes())]


def _culprit(test: ElementTree.Element) -> str | None:
    found = test.find("properties/property[@name='culprit']")
    return None if found is None else found.get("value")


@pytest.fixture(scope="module")
def cloud(tmp_path_factory) -> Iterator[Cloud]:
    """A cloud whose guests are containers, where their agents can be killed."""
    if fault := KINDS["lxc"].fault():
        pytest.skip(f"needs_lxc: {fault}")
    cloud = Cloud("faults")
    folder = tmp_path_factory.mktemp("config") / "openstack"
    with pytest.MonkeyPatch.context() as patch:
        for name in [each for each in os.environ if each.startswith("OS_")]:
            patch.delenv(name)
        patch.setenv("OS_CLIENT_CONFIG_FILE", str(folder / "clouds.yaml"))
        patch.setenv(NAME_VARIABLE, cloud.name)
        lifecycle.up(cloud, lifecycle.Wanted(hypervisor="lxc"))
        yield cloud
        lifecycle.down(cloud)


@pytest.fixture(scope="module")
def both(cloud) -> tuple[clients.Cloud, clients.Cloud]:
    """The cloud as its user and as its administrator see it."""
    return clients.connect(cloud.user_cloud), clients.connect(cloud.admin_cloud)


@pytest.fixture(scope="module")
def start(cloud, tmp_path_factory) -> Callable[..., Done]:
    """Runs one of the tests beside this file, in a run of pytest of its own, to its end."""

    def start(test: str, *options: str, runs: Path | None = None) -> Done:
        reports = tmp_path_factory.mktemp("reports")
        secrets = tmp_path_factory.mktemp("secrets") / "secrets.json"
        command = [
            *_with_folder_of_runs(runs),
            *(sys.executable, "-m", "pytest", struck.__file__, "-m", "mariadb", "-k", test),
            *(f"--timeout-scale={SCALE}", f"--budget={BUDGET}", "-p", "no:cacheprovider"),
            f"--junitxml={reports / 'junit.xml'}",
            f"--html-report={reports / 'report.html'}",
            *options,
        ]
        begun = time.monotonic()
        with (reports / "output").open("w+") as output:
            subprocess.run(
                command,
                cwd=paths.ROOT,
                stdout=output,
                stderr=subprocess.STDOUT,
                env={**os.environ, struck.SECRETS: str(secrets), "COLUMNS": "400"},
                timeout=PATIENCE,
                check=False,
            )
            output.seek(0)
            printed = output.read()
        seconds = time.monotonic() - begun
        assert (reports / "junit.xml").exists(), printed[-5000:]
        told = ElementTree.parse(reports / "junit.xml").find(".//property[@name='run']")
        folder = (runs or paths.runs()) / told.get("value")
        known = [*json.loads(secrets.read_text()), *cloud.secrets.values()]
        return Done(Run(folder.name, folder), printed, reports, known, seconds)

    return start


def _with_folder_of_runs(runs: Path | None) -> list[str]:
    """Return what has a command find its runs, and leave them, in another folder than all do."""
    if runs is None:
        return []
    bind = 'mount --bind "$0" "$1" && shift && exec "$@"'
    alone = ("unshare", "--mount", "--propagation", "private")
    return [*alone, "sh", "-c", bind, str(runs), str(paths.runs())]


@pytest.fixture(scope="module")
def theirs(start) -> str:
    """Id of an instance that another run has kept on the cloud, and that works."""
    other = start("undisturbed", "--keep=always")
    (instance,) = (
        event["id"]
        for event in other.run.journal.events()
        if event["event"] == "created" and event["kind"] == "instance"
    )
    return instance


def everything(user: clients.Cloud, admin: clients.Cloud) -> dict[tuple[str, str], str]:
    """Return the names of all that is there on a cloud, by kind and id."""
    listed = {kind: handling.list() for kind, handling in kinds(user, admin).items()}
    listed["object"] = [
        each
        for container in user.object_store.containers()
        for each in user.object_store.objects(container.name)
    ]
    return {
        (kind, each.id or each.name): each.name or ""
        for kind, resources in listed.items()
        for each in resources
        if (kind, each.name) != ("container", TROVES_CONTAINER)
    }


def changes(
    before: dict[tuple[str, str], str], both: tuple[clients.Cloud, clients.Cloud], run: Run
) -> set[tuple[str, str]]:
    """Return kind and id of what a run has left, and of what isn't there any more."""
    after = everything(*both)
    # Instances of an earlier run may be there again: a promotion that goes on in Trove
    # while they are deleted writes them down anew, minutes later.
    left = {each for each in after.keys() - before if run_of(after[each]) in (None, run.id)}
    return left | (before.keys() - after)


def changes_in_the_end(*facts: Any) -> set[tuple[str, str]]:
    """Return the same once services have had the time to delete."""
    with suppress(AssertionError):
        wait_until(lambda: not changes(*facts), SETTLING)
    return changes(*facts)


def is_sound(both: tuple[clients.Cloud, clients.Cloud], *, seconds: float = 0) -> bool:
    """Tell whether all of the cloud runs, for so long already, and answers."""
    return not api.ailments(time.time() - seconds) and not soundness.ailments(*both)


@pytest.mark.timeout(2 * PATIENCE)
@pytest.mark.parametrize(("service", "moment"), CASES)
def test_a_run_survives(service, moment, cloud, both, theirs, start):
    # Nobody is blamed for what the test before this one has struck.
    wait_until(lambda: is_sound(both, seconds=AFTERMATH), RECOVERY + AFTERMATH)
    before = everything(*both)

    done = start(f"{moment} and {service}")

    ended = "; ".join(why.splitlines()[0] for _, why in done.reasons) or "passed"
    progress.say(f"{service} killed during {moment}: {ended}; {done.seconds:.0f} s")
    # It passes, or it fails with one reason: whose fault it is, in the summary, too.
    assert "1 passed" in done.output or "1 failed" in done.output, done.output[-5000:]
    for culprit, why in done.reasons:
        assert culprit == ("PRODUCT" if service == striking.AGENT else "ENVIRONMENT"), why
        summary = why.splitlines()[0]
        assert summary.startswith(culprit)
        assert f"- {summary}" in done.output
        # An agent in a guest is no service of the cloud: nobody sees that it was started again.
        assert service == striking.AGENT or f"{service} was started again" in summary
    assert len(done.reasons) <= 1
    # Nothing of it is left, if need be once the next run has begun.
    wait_until(lambda: is_sound(both), RECOVERY)
    if done.run.journal.open_entries():
        start("next")
    assert done.run.journal.open_entries() == []
    assert changes_in_the_end(before, both, done.run) == set()
    # Who else is there is well.
    user, _ = both
    wait_until(lambda: find_instance(user, theirs).operating_status == "HEALTHY", RECOVERY)
    # And no secret has been told.
    known = re.compile(b"|".join(re.escape(each.encode()) for each in done.secrets if each))
    assert len(done.secrets) > len(cloud.secrets)
    assert done.telling(known) == []
    assert done.telling(TOLD) == []


@pytest.fixture
def small_disk(tmp_path) -> Iterator[Path]:
    """A disk of half a megabyte."""
    folder = tmp_path / "small"
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=512k", "tmpfs", folder], check=True)
    yield folder
    subprocess.run(["umount", folder], check=True)


@pytest.mark.timeout(2 * PATIENCE)
def test_a_run_on_a_full_disk_says_so_and_leaves_nothing(both, theirs, start, small_disk):
    before = everything(*both)

    done = start("full_disk", runs=small_disk)

    assert [culprit for culprit, _ in done.reasons] == ["ENVIRONMENT"]
    assert "No space left on device" in done.reasons[0][1]
    assert changes_in_the_end(before, both, done.run) == set()
    # Once there is room again the journal is put right, too.
    next(small_disk.rglob("ballast")).unlink()
    start("next", runs=small_disk)
    assert done.run.journal.open_entries() == []
    assert changes(before, both, done.run) == set()


@pytest.mark.timeout(PATIENCE)
def test_a_quota_that_another_has_used_up_is_no_fault_of_trove(both, theirs, start):
    user, admin = both
    before = everything(*both)
    used = quotas.in_use(user, user.project_id)["instances"]

    with quotas.limited(admin, user.project_id, instances=used):
        done = start("undisturbed")

    ((culprit, why),) = done.reasons
    assert culprit == "ENVIRONMENT"
    assert "Quota exceeded for resources: ['instances']" in why
    assert done.run.journal.open_entries() == []
    assert changes(before, both, done.run) == set()


def test_a_token_that_is_revoked_in_the_middle_of_a_wait_is_replaced(both, cloud):
    _, admin = both
    mine = clients.connect(cloud.user_cloud)
    revoked = mine.connection.auth_token

    def look() -> bool:
        admin.accounts.delete("/auth/tokens", headers={"X-Subject-Token": revoked})
        mine.accounts.get("/auth/projects").raise_for_status()
        return mine.connection.auth_token != revoked and bool(mine.trove.datastores.list())

    assert wait_for(look, "keystone and Trove answer again", 30)
