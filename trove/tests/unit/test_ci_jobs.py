"""Jobs of CI: what stands in them is what their systems take, and what the tree has.

Server files of these folders, where this tree is laid over the server's, are not looked at.
"""

import functools
import itertools
import json
import re
from pathlib import Path
from typing import Any

import jinja2
import jsonschema
import pytest
from ruamel.yaml import YAML

from trove.tests.common import matrix, paths, release

SCHEMAS = Path(__file__).parent / "schemas"
ZUUL = sorted((paths.ROOT / "zuul.d").glob("scenario_*.yaml"))
PLAYBOOKS = sorted((paths.ROOT / "playbooks/scenario").glob("*.yaml"))
WORKFLOW = paths.ROOT / ".github/workflows/scenario.yaml"
# Defined where devstack is.
FROM_DEVSTACK = {"devstack", "devstack-single-node-debian-bookworm"}
IMAGE_JOB = "trove-guest-image-"


@functools.cache
def read(file: Path) -> Any:
    # YAML 1.2, in which "on" is no truth value: what both systems mean.
    return YAML(typ="safe", pure=True).load(file)


def defined(kind: str) -> dict[str, dict[str, Any]]:
    """What zuul.d defines of a kind, by name."""
    entries = [entry[kind] for file in ZUUL for entry in read(file) if kind in entry]
    assert len({entry["name"] for entry in entries}) == len(entries)
    return {entry["name"]: entry for entry in entries}


JOBS = defined("job")


def ancestry(name: str) -> list[dict[str, Any]]:
    """A job and those that it inherits from, nearest first."""
    job = JOBS.get(name)
    return [job, *ancestry(job.get("parent", ""))] if job else []


def variables(name: str) -> dict[str, Any]:
    """A job's variables, with those of it and its parents in place of their names."""
    merged: dict[str, Any] = {}
    for job in reversed(ancestry(name)):
        merged |= job.get("vars", {})
    return {
        key: jinja2.Template(value, undefined=jinja2.DebugUndefined).render(merged)
        if isinstance(value, str)
        else value
        for key, value in merged.items()
    }


def tox_environments() -> set[str]:
    """The names of tox's environments, with every factor in place."""
    names = re.findall(r"^\[testenv:(.+)\]", (paths.ROOT / "tox.ini").read_text(), re.MULTILINE)
    return set(itertools.chain.from_iterable(map(_expanded, names)))


def _expanded(name: str) -> list[str]:
    before, _, rest = name.partition("{")
    factors, _, after = rest.partition("}")
    return [f"{before}{factor}{after}" for factor in factors.split(",")]


def concrete() -> list[str]:
    return [name for name, job in JOBS.items() if not job.get("abstract")]


@pytest.mark.parametrize(
    ("file", "schema"),
    [
        *((file, "zuul") for file in ZUUL),
        *((file, "playbook") for file in PLAYBOOKS),
        (WORKFLOW, "workflow"),
    ],
    ids=lambda value: value.name if isinstance(value, Path) else value,
)
def test_a_file_is_what_its_system_takes(file, schema):
    rules = json.loads((SCHEMAS / f"{schema}.schema.json").read_text())
    checker = jsonschema.Draft202012Validator(rules, format_checker=jsonschema.FormatChecker())
    wrong = [f"{error.json_path}: {error.message}" for error in checker.iter_errors(read(file))]
    assert wrong == []


def test_the_schemas_refuse_what_is_none():
    wrong = {
        "zuul": [{"job": {"name": "x", "tmeout": 60}}],
        "playbook": [{"hosts": "all", "tasks": [{"name": "x", "command": "a", "shell": "b"}]}],
        "workflow": {"name": "x", "on": {"push": None}, "permissions": {}, "jobs": {"x": {}}},
    }
    for schema, document in wrong.items():
        rules = json.loads((SCHEMAS / f"{schema}.schema.json").read_text())
        jsonschema.Draft202012Validator.check_schema(rules)
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(document, rules)


def played(name: str) -> list[Path]:
    """The playbooks that a job runs: all before and after, and those of the nearest to run."""
    jobs = ancestry(name)
    around = [job[phase] for job in jobs for phase in ("pre-run", "post-run") if phase in job]
    run = next(job["run"] for job in jobs if "run" in job)
    return [
        paths.ROOT / playbook for playbook in [*around, *([run] if isinstance(run, str) else run)]
    ]


@pytest.mark.parametrize("name", JOBS)
def test_what_a_job_refers_to_is_there(name):
    job = JOBS[name]
    if "parent" in job:
        assert job["parent"] in JOBS.keys() | FROM_DEVSTACK
    if "nodeset" in job:
        assert job["nodeset"] in defined("nodeset").keys() | FROM_DEVSTACK
    for phase in ("pre-run", "run", "post-run"):
        playbooks = job.get(phase, [])
        for playbook in [playbooks] if isinstance(playbooks, str) else playbooks:
            assert paths.ROOT / playbook in PLAYBOOKS


@pytest.mark.parametrize("name", concrete())
def test_a_job_runs_something(name):
    known = variables(name)
    if any(job.get("parent") == "devstack" for job in ancestry(name)):
        assert known["datastore"] in matrix.load().datastores
        assert known["devstack_plugins"].keys() >= {"trove", "trove-scenario"}
    else:
        assert known["tox_environment"] in tox_environments()


@pytest.mark.parametrize("name", concrete())
def test_a_job_leaves_no_variable_open(name):
    jobs = ancestry(name)
    texts = [json.dumps([job.get("vars", {}) for job in jobs]), *map(Path.read_text, played(name))]
    used = set(re.findall(r"\{\{ (\w+)", "\n".join(texts)))
    # Ansible's, Zuul's, and what devstack's jobs have none of, which the playbook asks about.
    others = {"ansible_user_dir", "zuul", "item", "tox_environment"}
    assert used <= variables(name).keys() | others


@pytest.mark.parametrize("playbook", PLAYBOOKS, ids=lambda playbook: playbook.stem)
def test_no_task_works_in_a_folder_that_need_not_be_there(playbook):
    tasks = [task for play in read(playbook) for task in play.get("tasks", [])]
    for arguments in [task.get("args", {}) for task in tasks]:
        if {"chdir", "removes"} <= arguments.keys():
            # Ansible enters the one before it looks for the other.
            assert not Path(arguments["chdir"]).is_relative_to(arguments["removes"])


def test_every_datastore_has_its_jobs():
    for datastore in matrix.load().datastores:
        assert {f"trove-scenario-{datastore}", f"trove-scenario-{datastore}-devstack"} <= set(JOBS)


def test_every_image_that_is_verified_has_a_job_and_no_other_has():
    cells = {
        (target.datastore.name, target.version.name, target.distro.name)
        for target in matrix.load().targets()
        if "image" in target.version.distros[target.distro.name]
    }
    jobs = {name for name in JOBS if name.startswith(IMAGE_JOB)}
    assert jobs == {IMAGE_JOB + "-".join(cell) for cell in cells}
    for name in jobs:
        image = variables(name)["guest_image"]
        assert name == f"{IMAGE_JOB}{image['datastore']}-{image['version']}-{image['distro']}"


def test_the_project_runs_every_job():
    (project,) = [entry["project"] for file in ZUUL for entry in read(file) if "project" in entry]
    run = {
        job if isinstance(job, str) else next(iter(job))
        for pipeline in project.values()
        for job in pipeline["jobs"]
    }
    assert run == set(concrete())


def test_no_job_names_a_series():
    """The branch says which: else a tree that moves on had two places to say so."""
    for file in (*ZUUL, *PLAYBOOKS, WORKFLOW):
        assert release.load().series not in file.read_text()
        assert "override-checkout" not in file.read_text()


def test_the_workflow_runs_environments_that_there_are():
    for job in read(WORKFLOW)["jobs"].values():
        ((factor, values),) = job["strategy"]["matrix"].items()
        commands = "\n".join(step.get("run", "") for step in job["steps"])
        for value in values:
            filled = commands.replace(f"${{{{ matrix.{factor} }}}}", value)
            assert set(re.findall(r"tox run -e (\S+)", filled)) <= tox_environments()
