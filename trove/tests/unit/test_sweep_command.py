"""``trove-sweep``: from what is on a cloud to what is deleted, and what is not."""

import json
import logging
import operator
import re
import secrets
import time
from types import SimpleNamespace

import pytest
from openstack import exceptions as sdk_errors
from troveclient import exceptions as trove_errors

from trove.tests.common import paths
from trove.tests.harness import sweep_command, sweeper
from trove.tests.harness.journal import PREFIX
from trove.tests.harness.loading import KEY_PROPERTY
from trove.tests.harness.run import Run
from trove.tests.harness.timeouts import Timeouts
from trove.tests.unit.fakes import DELETION_ORDER, FakeCloud

INSTANCE = "11111111-2222-3333-4444-555555555555"
HOUR = 3600


def run_id(age=24 * HOUR):
    return time.strftime("%y%m%d%H%M", time.gmtime(time.time() - age)) + secrets.token_hex(2)


@pytest.fixture
def old():
    """Id of a run of yesterday, of another machine."""
    return run_id()


@pytest.fixture
def cloud(tmp_path, monkeypatch):
    cloud = FakeCloud(tmp_path / "cloud")
    names = SimpleNamespace(user="fake", admin="fake")
    monkeypatch.setattr(sweep_command.clients, "pair", lambda _name, _admin: names)
    monkeypatch.setattr(sweep_command.clients, "connect", lambda _name: cloud)
    return cloud


@pytest.fixture
def sweep(cloud, capsys):
    """Calls the command; returns its exit code and what it printed."""

    def call(*words):
        code = sweep_command.main(["--os-cloud", "fake", *words])
        return code, capsys.readouterr().out

    return call


def put(cloud, kind, run, what="db", **attributes):
    name = f"{PREFIX}{run}-{what}-0a1b"
    return cloud.store.put(kind, name=name, status="ACTIVE", **attributes)


def contents(cloud):
    return sorted(file.name for file in cloud.store.folder.glob("*-*"))


def test_without_yes_nothing_is_deleted(cloud, sweep, old):
    made = put(cloud, "instance", old)
    before = contents(cloud)

    code, out = sweep()

    assert code == 0
    assert re.search(rf"instance +{made.name} +{made.id} +{old} +24h", out)
    assert out.endswith("1 to delete: call it with --yes\n")
    assert contents(cloud) == before


def test_on_an_empty_cloud_there_is_nothing_to_delete(sweep):
    assert sweep() == (0, "nothing to delete\n")
    assert sweep("--yes") == (0, "0 of 0 deleted\n")


def test_everything_goes_in_an_order_in_which_nothing_is_in_use(cloud, sweep, old):
    for kind in reversed(DELETION_ORDER):
        if kind == "container":
            cloud.object_store.kept[f"{PREFIX}{old}-container-0a1b"] = {"object": b""}
        else:
            put(cloud, kind, old, image="42")

    code, out = sweep("--yes")

    assert (code, out) == (0, f"{len(DELETION_ORDER)} of {len(DELETION_ORDER)} deleted\n")
    assert [call.split()[1] for call in cloud.store.calls()] == list(DELETION_ORDER)


def test_replicas_go_before_their_source_and_that_after_its_backups(cloud, sweep, old):
    source = put(cloud, "instance", old, "source")
    put(cloud, "instance", old, "replica", replica_of={"id": source.id})
    put(cloud, "backup", old, "backup", instance_id=source.id)

    assert sweep("--yes")[0] == 0

    assert [call.split("-")[3] for call in cloud.store.calls()] == ["replica", "backup", "source"]


def test_look_alikes_are_not_touched(cloud, sweep, old):
    name = f"{PREFIX}{old}-db-0a1b"
    for kind in ("instance", "server", "volume", "image", "flavor", "user", "project"):
        for other in (f"{PREFIX}prod", f"{PREFIX}{old}", f"my-{name}", name.upper(), f"{name}\n"):
            cloud.store.put(kind, name=other, project_id="project")
    for kind in ("server", "volume", "port", "security_group", "snapshot", "image"):
        cloud.store.put(kind, name=name, project_id="another")
    cloud.store.put("image", name=name, owner_id="another")
    cloud.store.put(
        "server", name=name, project_id="project", metadata={"trove_project_id": "another"}
    )
    before = contents(cloud)

    code, out = sweep("--yes", "--older-than", "0m")

    assert (code, contents(cloud)) == (0, before)
    assert cloud.store.calls() == []
    assert f"instance {PREFIX}prod (" in out
    assert re.search(rf"image {name} \(.*\): in another project", out)
    assert out.endswith("0 of 0 deleted\n")


def test_a_datastore_version_with_a_plain_name_is_told_and_left(cloud, sweep):
    cloud.store.put(
        "image", id="guest", name=f"{PREFIX}mysql-0123", properties={KEY_PROPERTY: "0123"}
    )
    for image in ("guest", "theirs"):
        cloud.store.put("datastore_version", name=f"9.7-{image}", image=image)

    code, out = sweep("--yes")

    assert code == 0
    assert "datastore_version 9.7-guest (" in out
    assert "9.7-theirs" not in out
    assert len(cloud.store.all("datastore_version")) == 2


def below(cloud, instance=INSTANCE):
    """Put what Trove makes of an instance."""
    cloud.store.put("port", name=f"trove-{instance}", project_id="project")
    cloud.store.put("volume", name=f"trove-{instance}", project_id="service")
    cloud.store.put("security_group", name=f"trove_sg-{instance}", project_id="service")


def server(cloud, run, instance=INSTANCE):
    metadata = {"trove_project_id": "project", "trove_instance_id": instance}
    return put(cloud, "server", run, project_id="service", metadata=metadata)


def test_what_trove_forgot_of_an_instance_goes_with_its_server(cloud, sweep, old):
    server(cloud, old)
    below(cloud)
    below(cloud, INSTANCE.replace("1", "9"))  # of which no run is known

    code, out = sweep("--yes")

    assert (code, out) == (0, "4 of 4 deleted\n")
    assert {name.partition("-")[0] for name in contents(cloud)} == {
        "port",
        "volume",
        "security_group",
    }
    assert len(contents(cloud)) == 3


def test_what_trove_knows_is_left_to_trove(cloud, sweep, old):
    put(cloud, "instance", old, id=INSTANCE)
    server(cloud, old)
    below(cloud)

    _, out = sweep("--json")

    assert [each["kind"] for each in json.loads(out)["leftovers"]] == ["instance"]


def test_what_is_left_of_a_deleted_instance_is_deleted_then(cloud, sweep, old):
    put(cloud, "instance", old, id=INSTANCE)
    below(cloud)

    assert sweep("--yes") == (0, "4 of 4 deleted\n")
    assert contents(cloud) == []


def test_while_trove_lists_no_instances_nobody_takes_theirs_for_orphans(cloud, sweep, old):
    server(cloud, old)

    def fail(*_args):
        raise trove_errors.InternalServerError("the database is gone")

    cloud.trove.instances.list = fail

    code, out = sweep("--yes")

    assert code == 1
    assert "could not be looked at:\n  instance: the database is gone" in out
    assert len(cloud.store.all("server")) == 1


def test_young_runs_are_left_alone(cloud, sweep, old):
    young = run_id(age=HOUR)
    for run in (old, young):
        put(cloud, "instance", run)

    def swept(*words):
        return {each["run"] for each in json.loads(sweep("--json", *words)[1])["leftovers"]}

    assert swept() == {old}
    assert swept("--older-than", "30m") == {old, young}
    assert swept("--older-than", "2h") == {old}
    assert swept("--older-than", "2d") == set()
    assert swept("--run", young) == {young}
    assert swept("--run", young, "--older-than", "2h") == set()
    assert f"run {young}: begun 60m ago; --older-than 12h" in sweep()[1]


def test_a_run_that_is_alive_is_left_alone_and_named(cloud, sweep):
    run = Run.new()
    alive = run.own()
    put(cloud, "instance", run.id)

    code, out = sweep("--run", run.id, "--yes")

    assert code == 0
    assert f"run {run.id}: alive on this machine" in out
    assert len(cloud.store.all("instance")) == 1

    alive.release()
    assert sweep("--run", run.id, "--yes") == (0, "1 of 1 deleted\n")


def test_a_run_of_another_machine_leaves_nothing_on_this_one(cloud, sweep, old):
    put(cloud, "instance", old)
    sweep("--yes")
    assert not (paths.runs() / old).exists()


def test_what_cannot_be_deleted_is_told(cloud, sweep, old, monkeypatch):
    made = put(cloud, "instance", old)
    monkeypatch.setenv("FAKE_DELETE_FAILS", "1")

    code, out = sweep("--yes")

    assert code == 1
    assert f"could not be deleted:\n  instance {made.name} ({made.id}): it is locked" in out
    assert out.endswith("0 of 1 deleted\n")


def test_what_cannot_be_deleted_is_told_without_a_traceback(
    cloud, old, monkeypatch, caplog, capsys
):
    put(cloud, "instance", old)
    monkeypatch.setenv("FAKE_DELETE_FAILS", "1")
    command = ["--os-cloud", "fake", "--yes"]

    with monkeypatch.context() as a_program:
        a_program.setattr(logging.root, "handlers", [])
        sweep_command.main(command)
    printed = capsys.readouterr()
    assert "it is locked" in printed.out
    assert "Traceback" not in printed.err
    assert caplog.text == ""

    sweep_command.main(command)
    assert "Traceback" in caplog.text


@pytest.mark.parametrize(
    ("service", "listing", "kind", "error"),
    [
        ("accounts", "users", "user", sdk_errors.ForbiddenException("no administrator")),
        ("key_manager", "secrets", "secret", sdk_errors.ServiceDisabledException("no endpoint")),
        (
            "trove.mgmt_ds_versions",
            "list",
            "datastore_version",
            trove_errors.Unauthorized("User does not have admin privileges."),
        ),
    ],
    ids=["refused", "not_in_the_catalogue", "of_trove_s_management"],
)
def test_what_is_not_there_or_not_for_these_users_is_no_failure(
    cloud, sweep, old, service, listing, kind, error
):
    put(cloud, "instance", old)

    def refuse(**_):
        raise error

    setattr(operator.attrgetter(service)(cloud), listing, refuse)

    code, out = sweep("--yes")

    assert code == 0
    assert f"not there, or not for these users to see:\n  {kind}: {error}" in out
    assert out.endswith("1 of 1 deleted\n")


def test_two_hundred_go_within_a_minute_where_an_answer_takes_a_third_of_a_second(
    cloud, sweep, old, monkeypatch
):
    kinds = ("instance", "configuration", "volume", "port")
    for kind in kinds:
        for number in range(50):
            put(cloud, kind, old, f"number{number}")
    # A tenth of both.
    monkeypatch.setenv("FAKE_DELETE_SECONDS", "0.03")
    begun = time.monotonic()

    assert sweep("--yes") == (0, "200 of 200 deleted\n")
    assert time.monotonic() - begun < 6


def test_whatever_a_stranger_calls_a_thing_is_told_on_one_line(cloud, sweep):
    name = f'{PREFIX}it\'s "theirs"\n\x1b[2J \N{SNOWMAN}'.ljust(255, "x")
    theirs = cloud.store.put("instance", name=name, project_id="project")

    code, out = sweep("--yes", "--older-than", "0m")

    assert (code, cloud.store.all("instance")) == (0, [theirs])
    (line,) = (line for line in out.splitlines() if PREFIX in line)
    assert f'{PREFIX}it\'s "theirs"\\n\\x1b[2J \N{SNOWMAN}xxx' in line
    assert theirs.id in line


def test_limits_are_those_of_the_run_that_had_the_most_patience(cloud, sweep, monkeypatch):
    ids = [run_id() for _ in range(3)]
    for id, hypervisor, scale in zip(ids[1:], ("qemu", "lxc"), (None, 0.1), strict=True):
        Run(id, paths.runs() / id).journal.header(hypervisor=hypervisor, timeout_scale=scale)
    kept = []
    delete = sweeper.delete

    def note(entries, known, timeouts, gone):
        kept.append(timeouts)
        return delete(entries, known, timeouts, gone)

    monkeypatch.setattr(sweeper, "delete", note)
    for id in ids:
        put(cloud, "instance", id)
        put(cloud, "backup", id)

    for id in ids:
        assert sweep("--yes", "--run", id) == (0, "2 of 2 deleted\n")
        put(cloud, "instance", id)
    assert sweep("--yes", "--older-than", "0m") == (0, "3 of 3 deleted\n")

    assert kept == [Timeouts(), Timeouts().scaled(2), Timeouts(), Timeouts().scaled(2)]


@pytest.mark.parametrize(
    "words", [["--older-than", "yesterday"], ["--run", "2613261141d0fe"], ["--run", "mine"]]
)
def test_what_is_no_time_and_no_run_is_refused(words):
    with pytest.raises(SystemExit, match="2"):
        sweep_command.main(words)


def test_without_a_cloud_it_asks_for_one(capsys):
    assert sweep_command.main([]) == 1
    assert capsys.readouterr().err == (
        "trove-sweep: Which cloud? Name one with --os-cloud or OS_CLOUD.\n"
    )
