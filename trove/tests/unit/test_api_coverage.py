import ast
import threading
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
import requests
import yaml

from trove.tests.common import paths
from trove.tests.common.errors import ScenarioError
from trove.tests.harness import api_coverage, api_operations
from trove.tests.harness.api_coverage import Calls
from trove.tests.harness.api_operations import Exchange

SCENARIO = paths.ROOT / "trove/tests/scenario"
INSTANCES = "/4242/instances"
INSTANCE = f"{INSTANCES}/i1"
REMEDY = (
    "operations.yaml must list every route of api-routes.txt, which tools/list-api-routes writes"
    " anew for another server; its head tells how"
)


@pytest.fixture
def listed():
    return api_operations.load()


# The list as it is


def test_every_route_of_the_server_is_listed(listed):
    used = {one.route for one in listed.listed}
    assert used | set(listed.other_routes) == listed.routes, REMEDY
    assert not used & set(listed.other_routes)


def test_the_rows_are_complete(listed):
    assert [row.number for row in listed.rows] == list(range(1, 132))


def test_every_test_that_is_named_exists(listed):
    there = {
        f"{file.name}::{node.name}"
        for file in SCENARIO.glob("test_*.py")
        for node in ast.parse(file.read_text()).body
        if isinstance(node, ast.FunctionDef)
    }
    assert {test for one in listed.listed for test in one.tests} <= there


def test_every_operation_has_either_tests_or_a_reason(listed):
    assert all(bool(one.tests) != bool(one.reason) for one in listed.listed)
    assert all(one.reason in api_operations.REASONS for one in listed.listed if one.reason)


def test_schema_and_code_know_the_same_reasons():
    schema = yaml.safe_load(api_operations.SCHEMA.read_text())
    kinds = schema["$defs"]["operation"]["properties"]["reason"]["properties"]["type"]["enum"]
    assert tuple(kinds) == api_operations.REASONS


def test_no_two_operations_are_the_same_request(listed):
    told = [one for one in listed.listed if not one.by_test]
    same = Counter((one.route, one.conditions, one.status) for one in told)
    assert set(same.values()) == {1}


# A list with a mistake


ENTRY = {
    "row": 1,
    "name": "list instances",
    "route": "GET /{tenant_id}/instances",
    "tests": ["test_instances.py::test_it"],
}
REASON = {"type": "client_side", "text": "so it is"}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"bodyy": ["x"]}, r"'list instances': .*'bodyy' was unexpected"),
        ({"route": "FETCH /x"}, r"'list instances': route: 'FETCH /x' does not match"),
        ({"route": "GET /x"}, r"'list instances': the server has no route GET /x\."),
        ({"status": 200}, r"'list instances': status: 200 is not one of"),
        ({"reason": REASON}, r"'list instances': it must have either tests or a reason\."),
        ({"row": 3}, r"'list instances': row 3 comes after row 0\."),
        (
            {"reason": {"type": "too_hard", "text": "x"}},
            r"'list instances': reason: type: 'too_hard' is not one of",
        ),
    ],
)
def test_a_wrong_entry_is_named(tmp_path, change, message):
    with pytest.raises(ScenarioError, match=message):
        _load(tmp_path, [ENTRY | change])


def test_a_name_that_is_there_twice_is_wrong(tmp_path):
    with pytest.raises(ScenarioError, match="'list instances': there is another one of this name"):
        _load(tmp_path, [ENTRY, ENTRY])


def _load(folder, entries):
    file = folder / "operations.yaml"
    file.write_text(yaml.safe_dump({"operations": entries, "other_routes": []}))
    return api_operations.load(file)


# What a request was


def names(listed, method, path, *, query=None, body=None, status=202, test=""):
    exchange = Exchange(method, path, query or {}, body, status, test)
    return {one.name for one in listed.match(exchange).operations}


def test_an_action_is_told_by_its_key(listed):
    path = f"{INSTANCE}/action"
    assert names(listed, "POST", path, body={"restart": {}}) == {"restart an instance"}
    assert names(listed, "POST", path, body={"resize": {"flavorRef": "2"}}) == {
        "give an instance another flavor"
    }
    assert names(listed, "POST", path, body={"dance": {}}) == set()
    assert names(listed, "POST", path) == set()


def test_a_key_with_an_empty_list_is_there(listed):
    assert names(listed, "POST", "/4242/clusters/c1", body={"grow": []}, status=404) == {
        "refuse to add instances to a cluster"
    }
    assert names(listed, "POST", f"{INSTANCE}/users", body=[]) == set()


def test_the_more_specific_operation_counts_alone(listed):
    assert names(listed, "PUT", INSTANCE, body={"instance": {"configuration": "c"}}) == {
        "attach a configuration group"
    }
    assert names(listed, "PUT", INSTANCE, body={"instance": {"configuration": None}}) == {
        "detach the configuration group"
    }


def test_a_key_that_must_be_absent(listed):
    path = f"{INSTANCE}/root"
    generated, given = (
        "enable root with a password that Trove chooses",
        "enable root with a given password",
    )
    assert names(listed, "POST", path, status=200) == {generated}
    assert names(listed, "POST", path, body={"password": "x"}, status=200) == {given}


def test_a_request_may_be_several_operations(listed):
    instance = {
        "flavorRef": "2",
        "volume": {"size": 1},
        "nics": [{"net-id": "n"}],
        "databases": [{"name": "d"}],
        "users": [{"name": "u"}],
        "configuration": "c",
    }
    assert names(listed, "POST", INSTANCES, body={"instance": instance}, status=200) == {
        "create an instance with databases and users",
        "create an instance with a configuration group",
        "create an instance in a network",
    }


def test_values_count_as_they_are_meant(listed):
    path = f"{INSTANCE}/log"
    assert names(listed, "POST", path, body={"name": "general", "enable": 1}) == {"enable a log"}
    assert names(listed, "POST", path, body={"name": "general", "enable": True}) == {"enable a log"}
    assert names(listed, "POST", path, body={"name": "general", "enable": 0}) == {"show a log"}


def test_a_query_tells(listed):
    query = {"include_clustered": ["True"]}
    assert names(listed, "GET", INSTANCES, status=200) == {"list instances"}
    assert names(listed, "GET", INSTANCES, query=query, status=200) == {
        "list instances of clusters, too"
    }


def test_a_word_goes_before_a_name_in_braces(listed):
    assert names(listed, "GET", f"{INSTANCES}/detail", status=200) == {
        "list instances with details"
    }
    assert names(listed, "GET", "/4242/datastores/versions/v1", status=200) == {
        "show a datastore version by its id alone"
    }


def test_only_the_answer_that_is_wanted_counts(listed):
    path, body = f"{INSTANCE}/databases", {"databases": [{"name": "---"}]}
    assert names(listed, "POST", path, body=body) == {"create a database"}
    assert names(listed, "POST", path, body=body, status=400) == {"refuse to create a database"}
    assert names(listed, "POST", path, body=body, status=404) == set()
    assert names(listed, "POST", path, body=body, status=500) == set()
    assert names(listed, "GET", f"{path}/library", status=501) == {
        "refuse to show a single database"
    }


def test_where_no_request_tells_only_the_tests_named_count(listed):
    body = {"instance": {"flavorRef": "no-such"}}
    test = "test_refusals.py::test_what_is_not_there"
    assert names(listed, "POST", INSTANCES, body=body, status=400) == set()
    assert names(listed, "POST", INSTANCES, body=body, status=400, test=test) == {
        "refuse an unknown flavor"
    }


def test_what_the_server_has_no_route_for_is_nothing(listed):
    assert listed.match(Exchange("GET", "/4242/birds", {}, None, 404)) is None
    assert listed.match(Exchange("PATCH", "/4242/limits", {}, None, 404)) is None


# What a session asked


class Anything(BaseHTTPRequestHandler):
    """Answers every request, with the status that its header asks for."""

    def _answer(self):
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.send_response(int(self.headers.get("Answer", 200)))
        self.send_header("Content-Length", "0")
        self.end_headers()

    do_GET = do_POST = do_PUT = do_DELETE = _answer

    def log_message(self, *_):
        """Say nothing."""


@pytest.fixture
def server():
    """The address of something that answers."""
    http = ThreadingHTTPServer(("127.0.0.1", 0), Anything)
    threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.05}).start()
    yield f"http://127.0.0.1:{http.server_port}"
    http.shutdown()
    http.server_close()


@pytest.mark.parametrize("prefix", ["", "/database"])
def test_requests_to_trove_are_counted_and_no_others(server, tmp_path, prefix):
    session = requests.Session()
    api_coverage.watch(session, f"{server}{prefix}/v1.0/4242")
    with api_coverage.recording(tmp_path / api_coverage.RECORD):
        session.get(f"{server}{prefix}")
        session.get(f"{server}{prefix}/v1.0/")
        session.get(f"{server}{prefix}/v1.0{INSTANCES}")
        session.post(f"{server}{prefix}/v1.0{INSTANCE}/action", json={"restart": {}})
        session.get(f"{server}/other/v1.0{INSTANCES}")
        session.get(f"{server}{prefix}/v2.1/4242/flavors")
        session.get(f"http://localhost:{server.rpartition(':')[2]}{prefix}/v1.0{INSTANCES}")
    session.get(f"{server}{prefix}/v1.0/4242/limits")
    assert api_coverage.read([tmp_path]).counted == {
        "list the versions of the API": 1,
        "show the version of the API": 1,
        "list instances": 1,
        "restart an instance": 1,
    }


@pytest.mark.parametrize(
    ("endpoint", "asked"),
    [
        ("https://trove.example/v1.0/4242", "https://trove.example:443/v1.0/4242/limits"),
        ("https://Trove.example:443/v1.0/4242", "https://trove.example/v1.0/4242/limits/"),
        ("http://trove.example/v1.0", "http://trove.example:80/v1.0/4242/limits"),
    ],
)
def test_an_address_can_be_written_in_several_ways(endpoint, asked):
    assert api_coverage.Address(endpoint).path(asked) == "/4242/limits"


def test_another_port_is_another_service():
    address = api_coverage.Address("https://cloud:8779/v1.0/4242")
    assert address.path("https://cloud:8774/v1.0/4242/limits") is None
    assert address.path("http://cloud:8779/v1.0/4242/limits") is None


def test_what_is_not_listed_is_counted_by_route_and_status(server, tmp_path):
    session = requests.Session()
    api_coverage.watch(session, f"{server}/v1.0/4242")
    with api_coverage.recording(tmp_path / api_coverage.RECORD):
        session.get(f"{server}/v1.0{INSTANCE}", headers={"Answer": "404"})
        session.post(f"{server}/v1.0{INSTANCE}/action", json={"password": "secret"})
    assert api_coverage.read([tmp_path]).counted == {
        "GET /{tenant_id}/instances/{id} 404": 1,
        "POST /{tenant_id}/instances/{id}/action 200": 1,
    }
    assert "secret" not in (tmp_path / api_coverage.RECORD).read_text()


def test_the_test_at_work_is_known(monkeypatch):
    monkeypatch.setenv(
        "PYTEST_CURRENT_TEST", "trove/tests/scenario/test_it.py::test_one[mysql-9.7/x] (call)"
    )
    assert api_coverage._current_test() == ("test_it.py::test_one", "call")
    monkeypatch.setenv("PYTEST_CURRENT_TEST", "test_it.py::test_one (teardown)")
    assert api_coverage._current_test() == ("test_it.py::test_one", "teardown")
    monkeypatch.delenv("PYTEST_CURRENT_TEST")
    assert api_coverage._current_test() == ("", "")


# The report


def test_an_operation_was_called_when_all_its_parts_were(listed):
    calls = Calls(Counter(["list flavors"]))
    assert api_coverage.count(calls) == "0 of 131 operations called and answered"
    calls.counted["show a flavor"] += 1
    assert api_coverage.count(calls) == "1 of 131 operations called and answered"


def test_an_operation_has_a_test_when_all_its_parts_have(listed):
    rows = {row.number: row.reason for row in listed.rows}
    assert rows[33] is None
    assert rows[20] == "not_supported_by_server"  # of one part
    assert rows[52] == "not_supported_by_server"  # of all


def test_runs_are_summed_up(tmp_path, capsys):
    folders = [tmp_path / name for name in ("one", "two")]
    for folder in folders:
        folder.mkdir()
        (folder / api_coverage.RECORD).write_text(
            "list flavors\ttest_a.py::test_one\tcall\nGET /{tenant_id}/instances/{id} 404\t\t\n"
        )
    (folders[1] / api_coverage.RECORD).open("a").write("show a flavor\ttest_a.py::test_two\tcall\n")
    names = [str(folder) for folder in folders]
    api_coverage.main(names)
    text = capsys.readouterr().out
    assert "106  list flavors  " in text
    assert "    2  GET /{tenant_id}/instances/{id} 404" in text
    assert "1 of 131 operations called and answered in these 2 runs;" in text.splitlines()[-1]

    api_coverage.main(["--by-test", *names])
    text = capsys.readouterr().out.splitlines()
    assert "106  list flavors: test_a.py::test_one" in text
    assert "107  show limits and rates: -" in text


@pytest.fixture
def restart(listed):
    """An operation that names tests."""
    return next(one for one in listed.listed if one.name == "restart an instance")


def calls(*noted):
    """Return calls, each told as name, test and phase."""
    noted_calls = Calls()
    for each in noted:
        noted_calls.note(*each)
    return noted_calls


def test_who_is_named_and_did_not_call_is_told(restart):
    named, other = restart.tests[0], "test_a.py::test_one"
    asked = calls(("restart an instance", named, "call"))
    assert asked.not_called_by(restart) == []
    passed_by = calls(("list flavors", named, "call"), ("list flavors", other, "call"))
    assert passed_by.not_called_by(restart) == [named]
    assert f"  restart an instance: {named}" in api_coverage.report(passed_by)
    not_run = calls(("list flavors", other, "call"))
    assert not_run.not_called_by(restart) == []


def test_what_was_called_in_any_set_up_is_called_for_all_that_are_named(restart):
    named, other = restart.tests[0], "test_a.py::test_one"
    ahead = calls(("restart an instance", other, "setup"), ("list flavors", named, "call"))
    assert ahead.not_called_by(restart) == []


def test_a_test_that_was_only_set_up_has_not_run(restart):
    set_up = calls(("list flavors", restart.tests[0], "setup"))
    assert set_up.not_called_by(restart) == []


def test_a_folder_without_a_record_is_an_error(tmp_path, capsys):
    with pytest.raises(SystemExit):
        api_coverage.main([str(tmp_path)])
    assert "is no folder of a run that asked Trove anything" in capsys.readouterr().err


TESTS = """
    import os

    import pytest
    import requests

    from trove.tests.harness import api_coverage

    @pytest.mark.parametrize("path", ["flavors", "flavors/2", "limits"])
    def test_asking(cloud, path):
        session = requests.Session()
        api_coverage.watch(session, os.environ["TROVE_HERE"] + "/v1.0/4242")
        session.get(os.environ["TROVE_HERE"] + "/v1.0/4242/" + path)
"""


@pytest.fixture
def asking(project, server, monkeypatch):
    """A project whose tests ask something, on a cloud of files."""
    monkeypatch.setenv("TROVE_HERE", server)
    project.pytester.makepyfile(TESTS)
    return project


@pytest.mark.parametrize("processes", [[], ["-n", "2"]])
def test_the_table_is_printed_and_kept(asking, processes):
    result = asking.run("--api-coverage", *processes, ".")
    result.assert_outcomes(passed=3)
    result.stdout.fnmatch_lines(
        [
            "*= operations of Trove's API =*",
            "row  operation *  calls  tests, or the reason for none",
            " 33  restart an instance *  0  test_restarts.py::*",
            "106  list flavors *  1  test_catalogue.py::test_the_flavor_is_listed_*",
            "107  show limits and rates *  1  test_catalogue.py::test_the_limits_*",
            "2 of 131 operations called and answered in this run; * listed with a test, *",
        ]
    )
    (run,) = asking.runs
    assert (run.folder / api_coverage.REPORT).read_text().splitlines()[-1] in result.outlines


def test_the_phase_of_each_call_is_recorded(asking):
    asking.run(".")
    (run,) = asking.runs
    asked = (run.folder / api_coverage.RECORD).read_text().splitlines()
    assert {line.rpartition("\t")[2] for line in asked} == {"call"}


def test_unasked_it_is_one_line(asking):
    result = asking.run(".")
    result.stdout.fnmatch_lines(["Trove's API: 2 of 131 operations called and answered*"])
    result.stdout.no_fnmatch_line("*restart an instance*")


def test_a_run_without_a_cloud_says_nothing(asking):
    asking.pytester.makepyfile("def test_it(): pass")
    result = asking.run(".")
    result.stdout.no_fnmatch_line("*Trove's API*")
    assert asking.runs == []
