"""Clients of a cloud: one keystone session for each entry of clouds.yaml.

Nova, Neutron, Glance and Barbican are spoken to through openstacksdk; Trove through
python-troveclient on the same session, because the SDK's own database proxy can
neither create nor restart an instance.
"""

import os
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from typing import Any

import openstack
import requests
from keystoneauth1 import exceptions as keystone_errors
from openstack import exceptions as sdk_errors
from openstack.config import OpenStackConfig
from openstack.config.cloud_region import CloudRegion
from openstack.exceptions import ConfigException
from troveclient import exceptions as trove_errors
from troveclient.v1.client import Client

from trove.tests.common import paths, proxies
from trove.tests.common.errors import ScenarioError
from trove.tests.harness import api_coverage, changes, redaction

REQUEST_TIMEOUT = 120  # seconds; a server that is silent for longer is down
REQUESTS_REMEMBERED = 300
# What an entry of clouds.yaml may log in with.
_SECRETS = ("password", "application_credential_secret", "client_secret", "passcode", "token")
# How the clients of a cloud's services tell that one of them fails, or wants another user.
_FAILURES = (
    sdk_errors.SDKException,
    trove_errors.ClientException,
    keystone_errors.ClientException,
)
_REFUSALS = (
    sdk_errors.ForbiddenException,
    *(trove_errors.Unauthorized, trove_errors.Forbidden),
    *(keystone_errors.Unauthorized, keystone_errors.Forbidden),
)
ENVVARS = "envvars"  # what openstacksdk calls the cloud that OS_* variables describe
# Variables, one of which is there whatever such a cloud is logged in to with.
_LOGINS = (
    *("OS_USERNAME", "OS_USER_ID", "OS_TOKEN"),
    *("OS_APPLICATION_CREDENTIAL_ID", "OS_APPLICATION_CREDENTIAL_NAME"),
)


@dataclass(frozen=True)
class CloudNames:
    """Which entries of clouds.yaml to use.

    Attributes:
        user: entry that the tests run as.
        admin: entry for provisioning: images, flavors, datastore versions.
        network: name or id of the user's network, where that is settled.
        logs: folder of the services' logs, where the cloud is on this machine.
        hypervisor: what runs its guests, such as ``lxc``, where that is known.
        enter: the command that opens a shell in a guest, where there is one; in it stand
            ``{name}`` for the instance's name or ``{address}`` for the guest's address.
    """

    user: str
    admin: str
    network: str | None = None
    logs: str | None = None
    hypervisor: str | None = None
    enter: str | None = None


@dataclass(frozen=True)
class Cloud:
    """A cloud as one user sees it.

    Attributes:
        name: its entry in clouds.yaml.
        auth_url: where its keystone is.
        connection: openstacksdk on the session.
        trove: python-troveclient on the session.
        requests: the last requests made, without bodies or headers.
    """

    name: str
    auth_url: str
    connection: openstack.connection.Connection = field(repr=False)
    trove: Client = field(repr=False)
    requests: deque[str] = field(repr=False, default_factory=deque)

    @property
    def compute(self) -> Any:
        """Nova."""
        return self.connection.compute

    @property
    def network(self) -> Any:
        """Neutron."""
        return self.connection.network

    @property
    def image(self) -> Any:
        """Glance."""
        return self.connection.image

    @property
    def object_store(self) -> Any:
        """Swift."""
        return self.connection.object_store

    @property
    def block_storage(self) -> Any:
        """Cinder."""
        return self.connection.block_storage

    @property
    def accounts(self) -> Any:
        """Keystone's users, projects and roles."""
        return self.connection.identity

    @property
    def trove_url(self) -> str:
        """Where Trove's API is, without a version or a project."""
        return self.connection.database.get_endpoint().partition("/v1.0")[0]

    @property
    def key_manager(self) -> Any:
        """Barbican."""
        return self.connection.key_manager

    def has(self, service_type: str) -> bool:
        """Tell whether a service of a type, such as ``key-manager``, is in the catalogue.

        Raises:
            ClientException: keystone doesn't tell.
        """
        # Not by the connection's own has_service: to that a keystone that fails has none.
        region = self.connection.config
        return region.has_service(service_type) and bool(region.get_session_endpoint(service_type))

    @property
    def project_id(self) -> str:
        """Id of the project that this user works in."""
        return self.connection.current_project_id

    @property
    def identity(self) -> str:
        """What tells this cloud, its region and this project from any other."""
        region = self.connection.config.get_region_name() or "-"
        return f"{self.auth_url} {region} {self.project_id}"


@dataclass(frozen=True)
class Account:
    """A user in a project, where clouds.yaml has none for them; the password is in no ``repr``."""

    user_id: str
    password: str = field(repr=False)
    project_id: str

    def login(self) -> dict[str, Any]:
        """Return what takes the place of an entry's own login."""
        return {"auth_type": "password", "auth": asdict(self)}


def named_cloud(option: str | None = None) -> str | None:
    """Return the cloud that the user asked for, or None.

    It is ``option``, else ``OS_CLOUD``, else the one that ``OS_AUTH_URL`` and
    its fellow variables describe.
    """
    if chosen := option or os.environ.get("OS_CLOUD"):
        return chosen
    described = os.environ.get("OS_AUTH_URL") and any(map(os.environ.get, _LOGINS))
    return ENVVARS if described else None


def pair(user: str, admin: str | None = None) -> CloudNames:
    """Return the names of the user's and the administrator's entry.

    Without ``admin`` it is ``OS_ADMIN_CLOUD``, else ``<user>-admin`` if clouds.yaml
    has one, else the user's own.

    Raises:
        ScenarioError: clouds.yaml has no such entry; the text lists those it has.
    """
    known = _known()
    _check_known(user, known)
    admin = admin or os.environ.get("OS_ADMIN_CLOUD")
    if admin:
        _check_known(admin, known)
        return CloudNames(user, admin)
    return CloudNames(user, administrator(user))


def administrator(name: str) -> str:
    """Return the administrator's entry that belongs to one, ``<name>-admin`` or itself.

    Raises:
        ScenarioError: clouds.yaml has no entry of that name; the text lists those it has.
    """
    known = _known()
    _check_known(name, known)
    return f"{name}-admin" if f"{name}-admin" in known else name


def connect(name: str, account: Account | None = None) -> Cloud:
    """Log in to a cloud and make sure that its Trove answers.

    Args:
        name: the cloud's entry in clouds.yaml.
        account: who logs in, if not the entry's own user.

    Raises:
        ScenarioError: there is no such entry, keystone can't be reached or
            refuses the login, or the cloud has no Trove that answers.
    """
    proxies.bypass()
    region = _region(name, account)
    session = region.get_session()
    _log_in(name, region, session)
    endpoint = _trove_endpoint(region, session)
    if endpoint is None:
        raise ScenarioError(
            f"Cloud {name!r} has no Trove: its catalogue has no service of type 'database' "
            f"in region {region.get_region_name() or '(any)'}."
        )
    api_coverage.watch(session.session, endpoint)
    changes.watch(session.session, endpoint)
    _check_answers(session.session, endpoint)
    cloud = Cloud(
        name=name,
        auth_url=region.config["auth"]["auth_url"],
        connection=openstack.connection.Connection(config=region),
        trove=_trove_client(region, session),
        requests=_record(session.session),
    )
    _ask_trove(cloud)
    return cloud


@contextmanager
def explained(name: str) -> Iterator[None]:
    """Have what a cloud's services refuse, or fail with, said in one sentence.

    Args:
        name: the cloud's entry in clouds.yaml.

    Raises:
        ScenarioError: one of them refused something, or failed.
    """
    try:
        yield
    except _FAILURES as error:
        refused = isinstance(error, _REFUSALS)
        way_out = ": name an administrator's entry" if refused else ""
        raise ScenarioError(
            f"Cloud {name!r} {'refuses' if refused else 'fails'}: {_one_line(error)}{way_out}."
        ) from error


def _configuration() -> OpenStackConfig:
    try:
        return OpenStackConfig()
    # The SDK takes what it has read for what it expects.
    except (ConfigException, AttributeError, TypeError) as error:
        raise ScenarioError(f"The clouds.yaml in use can't be read: {error}") from None


def _known() -> list[str]:
    # Where it finds no file, the SDK makes up a cloud of this name.
    return [name for name in _configuration().get_cloud_names() if name != "defaults"]


def _check_known(name: str, known: list[str]) -> None:
    if name not in known:
        listed = ", ".join(sorted(known)) or "none at all"
        # Of all files the SDK reads the first alone, which may be another than the user means.
        file = _configuration().config_filename or "any clouds.yaml"
        raise ScenarioError(f"There is no cloud {name!r} in {file}; known are: {listed}.")


def _region(name: str, account: Account | None) -> CloudRegion:
    _check_known(name, _known())
    try:
        login = account.login() if account else {}
        region = _configuration().get_one(cloud=name, **login)
    except (ConfigException, keystone_errors.ClientException) as error:
        raise ScenarioError(
            f"The entry of cloud {name!r} in clouds.yaml is wrong: {error}"
        ) from None
    region.config.setdefault("api_timeout", None)
    region.config["api_timeout"] = region.config["api_timeout"] or REQUEST_TIMEOUT
    return region


def _log_in(name: str, region: CloudRegion, session: Any) -> None:
    auth = region.config.get("auth", {})
    for secret in _SECRETS:
        redaction.remember(auth.get(secret) or "")
    url = auth.get("auth_url", "(no auth_url)")
    try:
        session.get_token()
    except keystone_errors.Unauthorized:
        user = auth.get("username") or auth.get("user_id") or "its user"
        raise ScenarioError(
            f"Keystone of cloud {name!r} at {url} refuses {user}: "
            f"wrong user, password or project in clouds.yaml."
        ) from None
    except (
        keystone_errors.ConnectionError,
        keystone_errors.DiscoveryFailure,
        keystone_errors.EndpointNotFound,
        OSError,  # the entry's cacert isn't there: requests says so, and nobody translates it
    ) as error:
        raise ScenarioError(
            f"Keystone of cloud {name!r} at {url} can't be reached: {_one_line(error)}."
        ) from None
    except keystone_errors.ClientException as error:
        raise ScenarioError(
            f"Keystone of cloud {name!r} at {url} can't log in: {_one_line(error)}."
        ) from None


def _trove_endpoint(region: CloudRegion, session: Any) -> str | None:
    try:
        return session.get_endpoint(
            service_type="database",
            region_name=region.get_region_name() or None,
            interface=region.get_interface("database"),
        )
    except keystone_errors.EndpointNotFound:
        return None


def _trove_client(region: CloudRegion, session: Any) -> Client:
    # The client keeps a cache of names for shell completion, by default in the
    # user's home; a test run leaves nothing there.
    os.environ.setdefault("TROVECLIENT_UUID_CACHE_DIR", str(paths.home() / "troveclient"))
    return Client(
        session=session,
        region_name=region.get_region_name() or None,
        endpoint_type=region.get_interface("database") or "public",
    )


def _ask_trove(cloud: Cloud) -> None:
    try:
        cloud.trove.datastores.list()
    except (keystone_errors.ConnectionError, trove_errors.ClientException) as error:
        raise ScenarioError(f"Trove of cloud {cloud.name!r} fails: {_one_line(error)}.") from None


def _check_answers(session: requests.Session, endpoint: str) -> None:
    """Have answers of Trove that are no JSON fail as what they are.

    Of those python-troveclient says only that there was none, by an exception of no type.
    """
    trove = api_coverage.Address(endpoint)

    def check(response: requests.Response, *_args: Any, **_kwargs: Any) -> None:
        if response.ok and response.content and trove.path(response.url) is not None:
            response.json()

    session.hooks["response"].append(check)


def _record(session: requests.Session) -> deque[str]:
    """Have every request remembered: method, address, status, seconds, request id."""
    remembered: deque[str] = deque(maxlen=REQUESTS_REMEMBERED)

    def remember(response: requests.Response, *_args: Any, **_kwargs: Any) -> None:
        headers = response.headers
        request_id = headers.get("X-Openstack-Request-Id") or headers.get("X-Compute-Request-Id")
        remembered.append(
            f"{headers.get('Date', '')} {response.request.method} {response.request.url} "
            f"{response.status_code} {response.elapsed.total_seconds():.2f} s {request_id or '-'}"
        )

    session.hooks["response"].append(remember)
    return remembered


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split()).rstrip(".") or type(error).__name__
