import json
import re
import socket
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace

import pytest
import yaml
from keystoneauth1 import exceptions as keystone_errors

from trove.tests.common.errors import ScenarioError
from trove.tests.harness import api_coverage, clients, culprits, soundness
from trove.tests.harness.clients import CloudNames
from trove.tests.harness.waiting import WaitTimeoutError, wait_for

PATIENCE = 0.5  # seconds for which an answer is waited for, where one is late


@pytest.fixture
def write_clouds(tmp_path):
    """Write a clouds.yaml with entries of these names, all at one address."""

    def write(*names, url="http://127.0.0.1:1/v3", region="RegionOne"):
        auth = {
            "auth_url": url,
            "username": "demo",
            "password": "wrong",
            "project_name": "demo",
            "user_domain_id": "default",
            "project_domain_id": "default",
        }
        entries = {name: {"auth": auth, "region_name": region} for name in names}
        (tmp_path / "clouds.yaml").write_text(yaml.safe_dump({"clouds": entries}))

    return write


class Keystone(BaseHTTPRequestHandler):
    """A keystone with one answer to who asks for a token, and a Trove with another."""

    token_status = 201
    catalogue: tuple[str, ...] = ()
    trove_status, trove_body = 200, {"datastores": []}
    # What Trove does before that, once each.
    faults: list[Callable[["Keystone"], None]]
    region = "RegionOne"
    # The last token is the one that is taken.
    issued = 0

    def do_GET(self):
        if "datastores" in self.path:
            if self.faults:
                self.faults.pop()(self)
            elif self.headers["X-Auth-Token"] != f"token {self.issued}":
                self.answer(401, {})
            else:
                self.answer(self.trove_status, self.trove_body)
        else:
            here = [{"rel": "self", "href": f"{self.server.url}/v3"}]
            self.answer(200, {"version": {"id": "v3.14", "status": "stable", "links": here}})

    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        type(self).issued += 1
        self.answer(self.token_status, self._token() if self.token_status == 201 else {})

    def _token(self):
        domain = {"id": "default", "name": "Default"}
        demo = {"id": "4242", "name": "demo", "domain": domain}
        catalogue = [
            {
                "id": service,
                "type": service,
                "name": service,
                "endpoints": [
                    {
                        "id": service,
                        "interface": "public",
                        "region": self.region,
                        "region_id": self.region,
                        "url": f"{self.server.url}/{service}/v1.0/4242",
                    }
                ],
            }
            for service in self.catalogue
        ]
        return {
            "token": {
                "methods": ["password"],
                "issued_at": "2026-01-01T00:00:00.000000Z",
                "expires_at": "2999-01-01T00:00:00.000000Z",
                "user": demo,
                "project": demo,
                "roles": [],
                "catalog": catalogue,
            }
        }

    def answer(self, status, body):
        self.send(status, json.dumps(body).encode())

    def send(self, status, data, length=None):
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("X-Subject-Token", f"token {self.issued}")
        self.send_header("X-Openstack-Request-Id", "req-42")
        self.send_header("Content-Length", str(length or len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_):
        """Say nothing."""


@pytest.fixture
def keystone(write_clouds):
    """Start a keystone that behaves as told, and a clouds.yaml entry "here" for it.

    Returns the class that answers for it.
    """
    servers = []

    def start(**behaviour):
        handler = type("Handler", (Keystone,), {"faults": []} | behaviour)
        server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        server.url = f"http://127.0.0.1:{server.server_address[1]}"
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}).start()
        servers.append(server)
        write_clouds("here", url=f"{server.url}/v3", region=handler.region)
        return handler

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def test_the_cloud_may_be_named_by_option_or_environment(monkeypatch):
    assert clients.named_cloud() is None
    monkeypatch.setenv("OS_CLOUD", "theirs")
    assert clients.named_cloud() == "theirs"
    assert clients.named_cloud("mine") == "mine"


@pytest.mark.parametrize(
    "login",
    [
        {"OS_USERNAME": "demo", "OS_PASSWORD": "x"},
        {"OS_USER_ID": "4242", "OS_PASSWORD": "x"},
        {"OS_AUTH_TYPE": "v3token", "OS_TOKEN": "x"},
        {
            "OS_AUTH_TYPE": "v3applicationcredential",
            "OS_APPLICATION_CREDENTIAL_ID": "4242",
            "OS_APPLICATION_CREDENTIAL_SECRET": "x",
        },
        {
            "OS_AUTH_TYPE": "v3applicationcredential",
            "OS_APPLICATION_CREDENTIAL_NAME": "tests",
            "OS_APPLICATION_CREDENTIAL_SECRET": "x",
        },
    ],
    ids=lambda login: next(name for name in login if name != "OS_AUTH_TYPE"),
)
def test_the_cloud_may_be_described_by_the_environment(monkeypatch, login):
    monkeypatch.setenv("OS_AUTH_URL", "http://keystone")
    assert clients.named_cloud() is None
    for name, value in login.items():
        monkeypatch.setenv(name, value)
    assert clients.named_cloud() == "envvars"
    assert clients.pair("envvars") == CloudNames("envvars", "envvars")


def test_a_cloud_on_this_machine_is_asked_without_a_proxy(keystone, monkeypatch):
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.setenv(name, "")
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")  # where nobody is
    keystone(catalogue=("database",))
    assert clients.connect("here").name == "here"


def test_an_unknown_cloud_is_refused_with_those_that_are_known(write_clouds, tmp_path):
    write_clouds("devstack", "devstack-admin")
    file = re.escape(str(tmp_path / "clouds.yaml"))
    expected = rf"^There is no cloud 'x' in {file}; known are: devstack, devstack-admin\.$"
    with pytest.raises(ScenarioError, match=expected):
        clients.pair("x")
    with pytest.raises(ScenarioError, match=expected):
        clients.pair("devstack", "x")
    with pytest.raises(ScenarioError, match=expected):
        clients.connect("x")


def test_no_cloud_at_all(write_clouds):
    write_clouds()
    with pytest.raises(ScenarioError, match="known are: none at all"):
        clients.pair("x")


def test_no_file_at_all(monkeypatch):
    monkeypatch.setattr("openstack.config.loader.CONFIG_FILES", [])
    with pytest.raises(ScenarioError, match=r"'x' in any clouds\.yaml; known are: none at all"):
        clients.pair("x")


def test_the_administrator_is_found_by_name(write_clouds):
    write_clouds("devstack", "devstack-admin", "boss")
    assert clients.pair("devstack") == CloudNames("devstack", "devstack-admin")
    assert clients.pair("devstack", "boss") == CloudNames("devstack", "boss")


def test_without_an_administrator_the_user_is_one(write_clouds):
    write_clouds("solo")
    assert clients.pair("solo") == CloudNames("solo", "solo")


def test_an_unreachable_keystone(write_clouds):
    write_clouds("here")
    expected = r"^Keystone of cloud 'here' at http://127.0.0.1:1/v3 can't be reached: .*\.$"
    with pytest.raises(ScenarioError, match=expected) as failure:
        clients.connect("here")
    assert "\n" not in str(failure.value)


def test_a_certificate_that_is_not_there(write_clouds, tmp_path):
    write_clouds("stack", url="https://127.0.0.1:1/v3")
    file = tmp_path / "clouds.yaml"
    clouds_yaml = yaml.safe_load(file.read_text())
    clouds_yaml["clouds"]["stack"]["cacert"] = str(tmp_path / "gone.pem")
    file.write_text(yaml.safe_dump(clouds_yaml))
    with pytest.raises(ScenarioError, match=r"can't be reached: .*gone\.pem"):
        clients.connect("stack")


@pytest.mark.parametrize("text", ["clouds:\n", "clouds: [stack]\n", "stack\n"])
def test_a_file_of_another_form(tmp_path, text):
    (tmp_path / "clouds.yaml").write_text(text)
    with pytest.raises(ScenarioError, match="clouds.yaml"):
        clients.pair("stack")


def test_a_wrong_password(keystone):
    keystone(token_status=401)
    with pytest.raises(ScenarioError, match="refuses demo: wrong user, password or project"):
        clients.connect("here")


def test_a_cloud_without_trove(keystone):
    keystone(catalogue=("compute", "image"))
    with pytest.raises(ScenarioError, match="^Cloud 'here' has no Trove: its catalogue has no"):
        clients.connect("here")


def test_a_trove_that_fails(keystone):
    keystone(
        catalogue=("database",),
        trove_status=500,
        trove_body={"instanceFault": {"message": "it broke"}},
    )
    with pytest.raises(ScenarioError, match=r"^Trove of cloud 'here' fails: it broke \(HTTP 500"):
        clients.connect("here")


def test_a_cloud_that_works(keystone, tmp_path):
    keystone(catalogue=("database",))
    cloud = clients.connect("here")
    assert cloud.trove.datastores.list() == []
    assert cloud.project_id == "4242"
    assert "4242" in cloud.identity


def test_regions_of_one_keystone_are_different_clouds(keystone):
    keystone(catalogue=("database",), region="Elsewhere")
    assert "Elsewhere" in clients.connect("here").identity


def test_a_service_is_there_if_keystone_says_so(keystone):
    keystone(catalogue=("database", "key-manager"))
    cloud = clients.connect("here")
    assert cloud.has("key-manager")
    assert not cloud.has("object-store")


def test_a_keystone_that_fails_has_not_said_that_a_service_is_not_there(keystone):
    server = keystone(catalogue=("database", "key-manager"))
    cloud = clients.connect("here")
    server.token_status = 503
    cloud.connection.session.invalidate()

    with pytest.raises(keystone_errors.ServiceUnavailable):
        cloud.has("key-manager")
    (ailment,) = soundness.ailments(cloud, cloud)
    assert ailment.startswith("Keystone: ")


def test_requests_are_remembered_by_their_ids_alone(keystone):
    keystone(catalogue=("database",))
    cloud = clients.connect("here")
    assert any("GET" in each and "req-42" in each for each in cloud.requests)
    assert not any("wrong" in each for each in cloud.requests)


def broken(status):
    return lambda server: server.answer(status, {"instanceFault": {"message": "it broke"}})


def mute(_):
    """Say nothing for longer than anybody waits."""
    time.sleep(2 * PATIENCE)


def no_json(server):
    """Send what a proxy's page of errors is like."""
    server.send(200, b"<html>Welcome</html>")


def half(server):
    """Die in the middle of an answer."""
    server.send(200, b'{"datastores": [', length=1000)
    server.close_connection = True


def hang_up(server):
    """Die before the answer."""
    server.close_connection = True
    server.connection.shutdown(socket.SHUT_RDWR)


@pytest.fixture
def trove(keystone, monkeypatch):
    """The datastores of a Trove, as a function, and the faults that it is to have one by one."""
    monkeypatch.setattr(clients, "REQUEST_TIMEOUT", PATIENCE)
    server = keystone(catalogue=("database",))
    cloud = clients.connect("here")
    return SimpleNamespace(
        answers=lambda: cloud.trove.datastores.list() == [], faults=server.faults
    )


FAULTS = {
    "500": (broken(500), "PRODUCT"),
    "503": (broken(503), "ENVIRONMENT"),
    "mute": (mute, "ENVIRONMENT"),
    "no JSON": (no_json, "ENVIRONMENT"),
    "half": (half, "ENVIRONMENT"),
    "hangs up": (hang_up, "ENVIRONMENT"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_of_trove_that_passes_is_borne(trove, fault):
    trove.faults += [FAULTS[fault][0]] * 2

    assert wait_for(trove.answers, "Trove answers", 30, interval=0.01)

    assert trove.faults == []


@pytest.mark.parametrize(("fault", "culprit"), FAULTS.values(), ids=FAULTS)
def test_a_fault_that_stays_ends_the_wait_and_says_who_is_to_blame(trove, fault, culprit):
    trove.faults += [fault] * 1000
    begun = time.monotonic()

    with pytest.raises(WaitTimeoutError, match=r"^Trove answers: not within \d") as failure:
        wait_for(trove.answers, "Trove answers", 1, interval=0.1)

    assert time.monotonic() - begun < 1 + 2 * PATIENCE
    assert "last error: " in str(failure.value)
    assert culprits.likely(failure.value) == culprit


def test_a_token_that_ends_in_the_middle_of_a_wait_is_replaced(keystone):
    server = keystone(catalogue=("database",))
    cloud = clients.connect("here")
    first = cloud.connection.auth_token

    def answered_for_another_token():
        server.issued = max(server.issued, 2)  # whatever came before is worth nothing now
        return cloud.trove.datastores.list() == [] and cloud.connection.auth_token != first

    assert wait_for(answered_for_another_token, "Trove answers", 10, interval=0.01)


def test_what_trove_is_asked_counts_as_coverage_of_its_api(keystone, tmp_path):
    keystone(catalogue=("database", "compute"))
    with api_coverage.recording(tmp_path / api_coverage.RECORD):
        clients.connect("here")
    assert api_coverage.read([tmp_path]).counted == {"list datastores": 1}


def test_where_trove_is_without_version_and_project(keystone):
    keystone(catalogue=("database",))
    cloud = clients.connect("here")
    assert f"{cloud.trove_url}/v3" == cloud.auth_url.replace("/v3", "/database/v3")
