"""A database instance, as its owner handles it.

A method makes one call of Trove's API and waits for what the call promises: much
of what the API accepts is done on the guest only later. What a method made for a
``borrowed`` instance is undone when the borrower returns it.
"""

import json
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager, nullcontext, suppress
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

from troveclient import exceptions as trove_errors

from trove.tests.common import progress
from trove.tests.common.errors import ScenarioError
from trove.tests.harness import timeline
from trove.tests.harness.clients import Cloud
from trove.tests.harness.journal import PREFIX, Entry
from trove.tests.harness.kinds import GONE, delete_instance, find_instance, wait_until_gone
from trove.tests.harness.paging import every
from trove.tests.harness.redaction import new_password, remember
from trove.tests.harness.run import Run, unique
from trove.tests.harness.sql import (
    AccessRefusedError,
    CannotConnectError,
    ClientTls,
    Connection,
    Dialect,
    Login,
    Server,
)
from trove.tests.harness.timeline import HEALTHY
from trove.tests.harness.timeouts import Timeouts
from trove.tests.harness.waiting import State, wait_for

RUNNING = ("ACTIVE", HEALTHY)
FAILING = ("ERROR", "FAILED")
CONNECT_INTERVAL = 1.0  # seconds between two attempts
# Seconds between two looks. An answer takes Trove a third of one, and questions to Nova and
# Neutron, so that an instance is looked at less than once a second.
LOOK_INTERVAL = 0.8
# How an instance is found healthy after a change. At first a look may see a report from
# before; no database is back sooner, and each look costs the cloud as much as half a second.
SETTLING = 3.0  # seconds
HELD = 2  # looks in a row
NO_TASK = "No tasks for the instance."
# No cloud has a volume of this many GiB, and Trove says so before it does anything.
ABSURD_VOLUME_GB = 2**30


@dataclass(frozen=True)
class InstanceSpec:
    """What to ask Trove for.

    Attributes:
        datastore: its name.
        version: name or id of the datastore version.
        flavor: the flavor's id.
        network: id of the user's network.
        volume_gb: size of the data volume in GiB; 0 where Trove has none.
        public: ask for an address that is reachable from outside the network.
        port: TCP port of the database.
        dialect: how to talk to it.
    """

    datastore: str
    version: str
    flavor: str
    network: str
    volume_gb: int
    public: bool
    port: int
    dialect: Dialect = field(repr=False)

    def request(self) -> dict[str, Any]:
        """Return the arguments of python-troveclient's create call."""
        request: dict[str, Any] = {
            "flavor_id": self.flavor,
            "datastore": self.datastore,
            "datastore_version": self.version,
            "nics": [{"net-id": self.network}],
        }
        if self.volume_gb:
            request["volume"] = {"size": self.volume_gb}
        if self.public:
            request["access"] = {"is_public": True}
        return request


def has_volumes(cloud: Cloud, spec: InstanceSpec) -> bool:
    """Tell whether this Trove gives its instances volumes.

    No call tells, so this asks for an instance that can't be had: where there
    are no volumes the answer is 501, elsewhere that it is too large.
    """
    request = spec.request() | {"volume": {"size": ABSURD_VOLUME_GB}}
    try:
        made = cloud.trove.instances.create(f"{PREFIX}probe", **request)
    except trove_errors.HttpNotImplemented:
        return False
    except trove_errors.HTTPClientError:
        return True
    cloud.trove.instances.delete(made.id)
    return True


def delete_all(instances: "Iterable[Instance]", admin: Cloud | None = None) -> None:
    """Delete instances side by side, and wait until Trove doesn't know them any more.

    Args:
        instances: none of them a source of replicas.
        admin: who may reset a status; without it nothing is forced.
    """
    instances = list(instances)
    for instance in instances:
        delete_instance(instance.cloud, instance.id, admin=admin)
    for instance in instances:
        instance.wait_until_gone()


@dataclass(frozen=True)
class InstanceFactory:
    """Makes instances of one kind, and makes them known to the run.

    Attributes:
        cloud: their owner's.
        spec: what to ask for.
        timeouts: limits of waits.
        run: whose journal they are written down in.
        handled: the instances that this process has had to do with, and not deleted.
        has_turn: it is this one's turn to ask for instances already.
    """

    cloud: Cloud
    spec: InstanceSpec
    timeouts: Timeouts
    run: Run
    handled: list["Instance"] = field(default_factory=list, repr=False)
    has_turn: bool = False

    @contextmanager
    def in_turn(self) -> Iterator["InstanceFactory"]:
        """Wait until nobody else in the run asks for an instance; lend one that asks at once."""
        with self.run.alone("create"):
            yield replace(self, has_turn=True)

    def request(self, what: str, **more: Any) -> "Instance":
        """Ask Trove for an instance with a database and a user of it; don't wait.

        Args:
            what: part of the instance's name.
            more: further arguments of python-troveclient's create call; a name is asked for
                in the place of the run's own.

        Raises:
            ScenarioError: Trove refuses.
        """
        login = Login("scenario", new_password())
        database = "scenario"
        user = {
            "name": login.user,
            "password": login.password,
            "databases": [{"name": database}],
        }
        request = self.spec.request() | {"databases": [{"name": database}], "users": [user]} | more
        return self._ask(self.run.name(what), request, login, database)

    def request_with_data_of(self, source: "Instance", what: str, **more: Any) -> "Instance":
        """Ask Trove for an instance that begins with another's data; don't wait.

        Args:
            source: the instance whose databases and users it will have.
            what: part of the instance's name.
            more: what says where the data is: ``restorePoint`` or ``replica_of``.
        """
        request = self.spec.request() | more
        return self._ask(self.run.name(what), request, source.login, source.database)

    def request_replicas(self, source: "Instance", count: int = 1) -> list["Instance"]:
        """Ask Trove for replicas of an instance in one call; don't wait.

        Trove calls several ``<name>-1``, ``<name>-2``, …, and returns one of them.

        Raises:
            ScenarioError: Trove refuses.
        """
        name = self.run.name("replica")
        names = [f"{name}-{number}" for number in range(1, count + 1)] if count > 1 else [name]
        asked = self.spec.request()
        request = {each: asked[each] for each in ("nics", "access") if each in asked}
        request["replica_of"] = source.id
        entries = [self.run.journal.creating("instance", each) for each in names]
        several = {"replica_count": count} if count > 1 else {}
        with _refusal_told(name), self.run.journal.refusable(*entries):
            self.cloud.trove.instances.create(name, **request, **several)
        ids = {each.name: each.id for each in every(self.cloud.trove.instances.list)}
        return [
            Instance(
                self,
                self.run.journal.created(entry, ids[entry.name]),
                source.login,
                source.database,
            )
            for entry in entries
        ]

    def _ask(self, name: str, request: dict[str, Any], login: Login, database: str) -> "Instance":
        entry = self.run.journal.creating("instance", name)
        # One at a time: the first two of a project break the server when they come
        # together, for both write down that it has used nothing yet.
        with (
            nullcontext() if self.has_turn else self.run.alone("create"),
            _refusal_told(name),
            self.run.journal.refusable(entry),
        ):
            made = self.cloud.trove.instances.create(**{"name": name} | request)
        return Instance(self, self.run.journal.created(entry, made.id), login, database)

    def restore(self, dumped: dict[str, Any]) -> "Instance":
        """Return the instance that another process has dumped."""
        login = Login(dumped["user"], remember(dumped["password"]))
        entry = Entry("instance", dumped["name"], dumped["id"])
        return Instance(self, entry, login, dumped["database"])


@contextmanager
def _refusal_told(name: str) -> Iterator[None]:
    try:
        yield
    except trove_errors.ClientException as error:
        raise ScenarioError(f"Trove refuses to create instance {name}: {error}") from error


def _fault_of(shown: dict[str, Any]) -> dict[str, Any]:
    """Return what went wrong last with an instance; nothing if nothing has."""
    return shown.get("fault") or {}


class Instance:
    """One database instance.

    Args:
        factory: what it came from.
        entry: its place in the journal, with its name and id.
        login: the user it was created with.
        database: the database it was created with.
    """

    def __init__(self, factory: InstanceFactory, entry: Entry, login: Login, database: str) -> None:
        self.cloud = factory.cloud
        self.spec = factory.spec
        self.journal = factory.run.journal
        self.timeouts = factory.timeouts
        self.id = str(entry.id)
        self.name = entry.name
        self.login = login
        self.database = database
        self._entry = entry
        self._run = factory.run
        self._last_state = ""
        self._made: dict[tuple[str, str], Callable[[], None]] = {}
        self._handled = factory.handled
        self._handled.append(self)

    def __repr__(self) -> str:
        return f"<Instance {self.name} {self.id}>"

    def dump(self) -> dict[str, Any]:
        """Return what ``restore`` needs in another process; it has the password."""
        return {
            "id": self.id,
            "name": self.name,
            "database": self.database,
            "user": self.login.user,
            "password": self.login.password,
        }

    # Its life

    def show(self) -> dict[str, Any]:
        """Return everything that Trove tells its owner about it."""
        return self.cloud.trove.instances.get(self.id).to_dict()

    @property
    def status(self) -> str:
        """Its status, such as ``ACTIVE``; ``HEALTHY`` where the database is, too."""
        shown = self.show()
        return shown.get("operating_status") or shown["status"]

    @cached_property
    def address(self) -> str:
        """The address that tests connect to: a public one, if it has any.

        Raises:
            ScenarioError: it has no address.
        """
        addresses = [*self.addresses("public"), *self.addresses("private")]
        if not addresses:
            raise ScenarioError(f"Instance {self.name} has no address in the user's network.")
        return addresses[0]

    def addresses(self, type: str) -> list[str]:
        """Return its addresses of a type: ``private`` or ``public``."""
        listed = self.show().get("addresses") or []
        return [each["address"] for each in listed if each["type"] == type]

    def wait_until_built(self) -> None:
        """Wait until the new instance is healthy, and show it.

        Raises:
            FailedStateError: Trove gave it up; the text has the fault.
            WaitTimeoutError: it took too long.
        """
        with progress.step(f"instance {self.name}"):
            self.wait_until_healthy()

    def wait_until_healthy(self, timeout: float | None = None) -> None:
        """Wait until the instance is active and its database healthy.

        Args:
            timeout: seconds; by default what a new instance may take.

        Raises:
            FailedStateError: Trove gave it up; the text has the fault.
            WaitTimeoutError: it took too long.
        """
        self._wait_until_healthy(self._look, timeout or self.timeouts.healthy)

    def wait_until_settled(self, timeout: float) -> None:
        """Wait until the instance is healthy again, of which something has been asked.

        Args:
            timeout: seconds.

        Raises:
            FailedStateError: Trove gave up the instance, or what was asked; the text has the
                fault.
            WaitTimeoutError: it took too long.
        """

        def look() -> State:
            shown = self.show()
            state, fault = self._look(shown), _fault_of(shown)
            # Trove notes a fault, and may leave the instance for ever as it was at that moment.
            given_up = not state and fault and fault["created"] > shown["updated"]
            return State("FAILED", False, state.fault) if given_up else state

        self._wait_until_healthy(look, timeout, hold=HELD, head_start=SETTLING)

    def _wait_until_healthy(self, look: Callable[[], State], timeout: float, **more: Any) -> None:
        label = f"instance {self.name} is healthy"
        wait_for(look, label, timeout, interval=LOOK_INTERVAL, failing=FAILING, **more)

    def wait_until(self, status: str, timeout: float | None = None, *, hold: int = 1) -> State:
        """Wait until its status is a certain one, and be it that of a failure.

        Returns what was seen then, with the fault if there is one.

        Args:
            status: such as ``ERROR``; of an active one its database's, such as ``SHUTDOWN``.
            timeout: seconds; by default what a change on the guest may take.
            hold: how many looks in a row must find it so.

        Raises:
            WaitTimeoutError: it took too long.
        """

        def look() -> State:
            state = self._look(find_instance(self.cloud, self.id).to_dict())
            return State(state.name, state.name.rpartition("/")[2] == status, state.fault)

        return wait_for(
            look,
            f"instance {self.name} is {status}",
            timeout or self.timeouts.change,
            interval=LOOK_INTERVAL,
            hold=hold,
        )

    def listed(self, admin: Cloud) -> dict[str, Any]:
        """Return what Trove's list tells an administrator of it; nothing once it is gone.

        To show a single instance Trove asks its guest, and waits for one that is dead.
        """
        listed = every(admin.trove.mgmt_instances.list)
        return next((each.to_dict() for each in listed if each.id == self.id), {})

    def server_id(self, admin: Cloud) -> str | None:
        """Return the id of its server; None while Nova has not been asked for one."""
        return (self.listed(admin).get("server") or {}).get("id")

    def guest_address(self, admin: Cloud) -> str:
        """Return the address by which operators reach its guest.

        That is one that Trove tells nobody, of the management network; where there is
        none, the instance's own.

        Raises:
            ScenarioError: it has no server yet.
        """
        server = self.server_id(admin)
        if server is None:
            raise ScenarioError(f"Instance {self.name} has no server yet.")
        legs = admin.compute.get_server(server).addresses or {}
        known = [*self.addresses("private"), *self.addresses("public")]
        every = [address["addr"] for leg in legs.values() for address in leg]
        return next((each for each in every if each not in known), self.address)

    def wait_for_server(self, admin: Cloud) -> None:
        """Wait until its server runs; Trove has made all then, and the guest may yet begin.

        Raises:
            FailedStateError: Trove gave it up before.
            WaitTimeoutError: it took too long.
        """

        def look() -> State:
            listed = self.listed(admin)
            server = listed.get("server") or {}
            return State(listed["status"], server.get("status") == "ACTIVE")

        label = f"the server of instance {self.name} runs"
        wait_for(look, label, self.timeouts.failed, interval=LOOK_INTERVAL, failing=FAILING)

    def wait_for_action(self, admin: Cloud, action: str) -> None:
        """Wait until Trove has asked Nova for an action on its server, such as ``reboot``.

        Raises:
            WaitTimeoutError: it hasn't.
        """
        server = self.server_id(admin)
        self._wait(
            lambda: action in [each.action for each in admin.compute.server_actions(server)],
            f"Nova is asked for {action}",
        )

    def wait_until_idle(self, admin: Cloud) -> None:
        """Wait until Trove has done, or given up, what its administrator has asked for.

        Of some tasks an instance's status says nothing.

        Raises:
            WaitTimeoutError: it took too long.
        """

        def look() -> State:
            task = self.listed(admin)["task_description"]
            return State(task, task == NO_TASK)

        label = f"instance {self.name} has no task"
        wait_for(look, label, self.timeouts.resize, interval=LOOK_INTERVAL)

    def restart(self) -> None:
        """Restart the database and wait until it is healthy again."""
        self.cloud.trove.instances.restart(self.id)
        self.wait_until_settled(self.timeouts.restart)

    def resize(self, flavor: str) -> None:
        """Give the instance another flavor, by its id, and wait until it is healthy again."""
        self.cloud.trove.instances.resize_instance(self.id, flavor)
        self.wait_until_settled(self.timeouts.resize)

    def grow(self, volume_gb: int) -> None:
        """Give the instance a larger data volume and wait until it is healthy again.

        Args:
            volume_gb: its new size in GiB.
        """
        self.cloud.trove.instances.resize_volume(self.id, volume_gb)
        self.wait_until_settled(self.timeouts.resize)

    def upgrade(self, version: str, *, deprecated: bool = False) -> None:
        """Run the database in another version, and wait until it is healthy again.

        A borrower's goes back to its own in the end.

        Args:
            version: name or id of the datastore version.
            deprecated: ask in the way that the API had first.
        """
        if deprecated:
            self.cloud.trove.instances.upgrade(self.id, version)
        else:
            # python-troveclient knows only the first way.
            self.cloud.trove.client.put(
                f"/instances/{self.id}", body={"instance": {"datastore_version": version}}
            )
        self.undo_later("version", self.name, self._go_back)
        self.wait_until_settled(self.timeouts.restart)

    def _go_back(self) -> None:
        """Run the database in the version that it was asked for in, if it runs in another."""
        if self.show()["datastore"]["version"] != self.spec.version:
            self.upgrade(self.spec.version)

    def rename(self, name: str) -> None:
        """Give the instance another name, in Trove."""
        self.cloud.trove.instances.update(self.id, name=name)

    def delete(self, admin: Cloud | None = None) -> None:
        """Delete the instance and wait until Trove doesn't know it any more."""
        delete_all([self], admin)

    def wait_until_gone(self) -> None:
        """Wait until Trove doesn't know it any more, once its deletion has been asked for."""

        def find() -> Any:
            found = find_instance(self.cloud, self.id)
            self._look(found.to_dict())
            return found

        wait_until_gone(
            find,
            f"instance {self.name} is deleted",
            self.timeouts.gone,
        )
        self.journal.closed(self._entry)
        self.leave()

    def leave(self) -> None:
        """Have this process look after it no longer: it is gone, or another's affair."""
        self._handled[:] = [each for each in self._handled if each.id != self.id]

    @property
    def exists(self) -> bool:
        """Whether Trove knows it."""
        try:
            find_instance(self.cloud, self.id)
        except GONE:
            return False
        return True

    def _look(self, shown: dict[str, Any] | None = None) -> State:
        shown = shown or self.show()
        status = shown["status"]
        # Older servers tell the database's health in the status itself.
        operating = shown.get("operating_status", HEALTHY)
        fault = _fault_of(shown).get("message") or ""
        settled = status in RUNNING and operating == HEALTHY
        name = f"{status}/{operating}" if status in RUNNING and operating else status
        self._note(name)
        return State(name, settled, fault)

    def _note(self, state: str) -> None:
        if state != self._last_state:
            self._last_state = state
            timeline.note_state(self._run, self.name, state)

    # Its access

    def open_to(self, *, public: bool | None = None, cidrs: list[str]) -> None:
        """Say who may reach the database, and wait until Trove has told Neutron.

        Args:
            public: whether it has a public address; as it was asked for if nothing is said.
            cidrs: the networks that may connect.
        """
        public = self.spec.public if public is None else public
        self.cloud.trove.instances.update(self.id, is_public=public, allowed_cidrs=cidrs)
        self.wait_until_healthy(self.timeouts.change)
        # A public one that is taken away doesn't come back.
        vars(self).pop("address", None)

    def wait_until_reached(
        self,
        reached: bool = True,
        *,
        address: str | None = None,
        within: float | None = None,
    ) -> None:
        """Wait until one can log in over the network, or can't: Neutron takes its time, too.

        Args:
            reached: whether one can.
            address: where, if not at the address that tests connect to.
            within: seconds; None for what Neutron may take.

        Raises:
            WaitTimeoutError: it took too long.
        """
        where = address or self.address
        server = Server(where, self.spec.port, self.timeouts.connect)

        def answers() -> bool:
            try:
                with self.spec.dialect.connect(server, self.login, self.database):
                    return True
            except CannotConnectError:
                return False

        label = f"the database {'answers' if reached else 'is silent'} at {where}"
        self._wait(lambda: answers() == reached, label, within)

    # Its databases

    def databases(self) -> list[str]:
        """Return the names of its databases, without the database's own."""
        return [each.name for each in every(self.cloud.trove.databases.list, self.id)]

    def create_database(self, name: str) -> str:
        """Create a database, wait until it is listed, and return its name."""
        self.cloud.trove.databases.create(self.id, [{"name": name}])
        self._made["database", name] = lambda: self.delete_database(name)
        self._wait(lambda: name in self.databases(), f"database {name} is listed")
        return name

    def delete_database(self, name: str) -> None:
        """Delete a database and wait until it isn't listed any more."""
        self.cloud.trove.databases.delete(self.id, name)
        self._wait(lambda: name not in self.databases(), f"database {name} is gone")
        self._made.pop(("database", name), None)

    # Its users

    def users(self) -> list[str]:
        """Return the names of its users, without the database's own."""
        return [each.name for each in every(self.cloud.trove.users.list, self.id)]

    def create_user(self, name: str, *databases: str, host: str | None = None) -> Login:
        """Create a user of some databases, wait until listed, and return the login.

        Args:
            name: of the user.
            databases: what it may use.
            host: the only address that it may log in from; None for any.
        """
        login = Login(name, new_password())
        user: dict[str, Any] = {
            "name": name,
            "password": login.password,
            "databases": [{"name": database} for database in databases],
        }
        if host:
            user["host"] = host
        self.cloud.trove.users.create(self.id, [user])
        self._made["user", name] = lambda: self.delete_user(name, host)
        self._wait(lambda: name in self.users(), f"user {name} is listed")
        return login

    def delete_user(self, name: str, host: str | None = None) -> None:
        """Delete a user and wait until it isn't listed any more."""
        self.cloud.trove.users.delete(self.id, name, hostname=host)
        self._wait(lambda: name not in self.users(), f"user {name} is gone")
        self._made.pop(("user", name), None)

    def change_user(self, user: str, *, name: str, password: str) -> Login:
        """Give a user another name and password, and wait until it logs in with them."""
        login = Login(name, password)
        self.cloud.trove.users.update_attributes(
            self.id, user, {"name": name, "password": password}
        )
        self._made.pop(("user", user), None)
        self._made["user", name] = lambda: self.delete_user(name)
        self._wait(lambda: self.accepts(login), f"user {user} is {name} now")
        return login

    def move_user(self, user: str, host: str, *, back_from: str | None = None) -> None:
        """Have a user come from another host alone, and wait until that is so.

        Args:
            user: the user's name.
            host: its address; ``%`` is any.
            back_from: where it could come from, if not from any.
        """
        self.cloud.trove.users.update_attributes(self.id, user, {"host": host}, hostname=back_from)

        def moved() -> bool:
            listed = every(self.cloud.trove.users.list, self.id)
            return (user, host) in [(each.name, getattr(each, "host", "%")) for each in listed]

        self._wait(moved, f"user {user} comes from {host}")

    def change_password(self, user: str) -> Login:
        """Give a user a new password and wait until it is the one that counts."""
        login = Login(user, new_password())
        self.cloud.trove.users.change_passwords(
            self.id, [{"name": user, "password": login.password}]
        )
        self._wait(lambda: self.accepts(login), f"user {user} has the new password")
        return login

    def grant(self, user: str, database: str) -> None:
        """Allow a user to use a database."""
        self.cloud.trove.users.grant(self.id, user, [database])

    def revoke(self, user: str, database: str) -> None:
        """Don't allow a user to use a database any more."""
        self.cloud.trove.users.revoke(self.id, user, database)

    def access(self, user: str) -> list[str]:
        """Return the names of the databases that a user may use."""
        return [each.name for each in self.cloud.trove.users.list_access(self.id, user)]

    # Its superuser

    @property
    def root_enabled(self) -> bool:
        """Whether the superuser may log in, as far as Trove knows."""
        return self.cloud.trove.root.is_instance_root_enabled(self.id).rootEnabled

    def enable_root(self, password: str | None = None) -> Login:
        """Let the superuser log in; returns its login.

        Args:
            password: what it shall be; by default Trove makes one.
        """
        user, password = self.cloud.trove.root.create_instance_root(self.id, password)
        self._made["root", user] = self.disable_root
        return Login(user, remember(password))

    def disable_root(self) -> None:
        """Don't let the superuser log in any more."""
        self.cloud.trove.root.delete(self.id)
        # Trove keeps whole seconds, and counts as enabled what it has enabled and
        # disabled within one.
        if self.root_enabled:
            time.sleep(1)
            self.cloud.trove.root.delete(self.id)
        for made in [key for key in self._made if key[0] == "root"]:
            del self._made[made]

    # Its configuration

    def create_configuration(self, values: dict[str, Any]) -> str:
        """Create a configuration group for instances like this one; returns its id."""
        name = unique(self.name)
        entry = self.journal.creating("configuration", name)
        with self.journal.refusable(entry):
            group = self.cloud.trove.configurations.create(
                name,
                json.dumps(values),
                datastore=self.spec.datastore,
                datastore_version=self.spec.version,
            )
        entry = self.journal.created(entry, group.id)
        self._made["configuration", group.id] = lambda: self._delete_configuration(entry)
        return group.id

    def _delete_configuration(self, entry: Entry) -> None:
        with suppress(*GONE):
            self.cloud.trove.configurations.delete(entry.id)
        self.journal.closed(entry)

    def attach(self, configuration: str) -> str:
        """Attach a configuration group, and wait until the guest has it.

        Returns:
            ``HEALTHY`` where the database has it, too, else ``RESTART_REQUIRED``.
        """
        self.cloud.trove.instances.update(self.id, configuration=configuration)
        self._made["attached", configuration] = self._detach_for_good
        return self.wait_until_configured()

    def detach(self) -> str:
        """Detach the configuration group, and wait until the guest has the defaults.

        Returns:
            ``HEALTHY`` where the database has them, too, else ``RESTART_REQUIRED``.
        """
        self.cloud.trove.instances.update(self.id, remove_configuration=True)
        for made in [key for key in self._made if key[0] == "attached"]:
            del self._made[made]
        return self.wait_until_configured()

    def wait_until_configured(self) -> str:
        """Wait until a change of configuration is done; returns the status.

        Trove says ``RESTART_REQUIRED`` while it hands the change to the guest, and goes
        on saying it if the database takes the change at its next start only.
        """
        done = (HEALTHY, "RESTART_REQUIRED")

        def look() -> State:
            status = self.status
            return State(status, status in done)

        wait_for(
            look,
            f"instance {self.name} has taken its configuration",
            self.timeouts.change,
            interval=0.5,
            failing=FAILING,
            hold=2,
        )
        return self.status

    def _detach_for_good(self) -> None:
        if self.detach() == "RESTART_REQUIRED":
            self.restart()

    # Its SQL

    def sql(
        self, login: Login, statement: str, *values: object, database: str | None = None
    ) -> Any:
        """Run a statement over the network; return the first value of its result.

        Args:
            login: who runs it.
            statement: what to run, with ``%s`` where values go.
            values: the values.
            database: the database it is about.

        Raises:
            AccessRefusedError: the database refuses the login or the statement.
        """
        with self.connected(login, database) as connection:
            return connection.run(statement, *values)

    def setting(self, name: str) -> int:
        """Return the value of a server-wide setting, as the database itself has it."""
        with self.connected() as connection:
            return connection.setting(name)

    def accepts(self, login: Login) -> bool:
        """Tell whether the database lets somebody log in."""
        try:
            self.sql(login, "SELECT 1")
        except AccessRefusedError:
            return False
        return True

    @contextmanager
    def connected(
        self,
        login: Login | None = None,
        database: str | None = None,
        *,
        encrypted: bool | None = None,
        tls: ClientTls | None = None,
        patience: float | None = None,
    ) -> Iterator[Connection]:
        """Log in over the network, as soon as the database takes a connection.

        Args:
            login: who logs in, by default the user that the instance was created with.
            database: the database it is about.
            encrypted: whether over TLS; None for "if the server can".
            tls: talk over TLS alone, and only to the server that the certificate is for.
            patience: seconds that one answer may take, if not what a connection may.

        Raises:
            AccessRefusedError: the database refuses the login.
            UntrustedServerError: it is not the one that its certificate is to prove.
            WaitTimeoutError: it takes none.
        """
        longest = patience or self.timeouts.connect
        server = Server(self.address, self.spec.port, longest, encrypted, tls)
        with ExitStack() as stack:
            yield wait_for(
                lambda: stack.enter_context(
                    self.spec.dialect.connect(server, login or self.login, database)
                ),
                f"{server.host}:{server.port} takes SQL connections",
                self.timeouts.login,
                interval=CONNECT_INTERVAL,
                ignoring=(CannotConnectError,),
            )

    # Its borrowers

    @contextmanager
    def borrowed(self) -> Iterator["Instance"]:
        """Lend the instance; at the end undo what was made through it, newest first."""
        self._made.clear()
        try:
            yield self
        finally:
            with ExitStack() as undo:
                # Databases go first, and what users own in them: PostgreSQL deletes no
                # user who owns anything.
                for _, made in sorted(
                    self._made.items(), key=lambda item: item[0][0] == "database"
                ):
                    undo.callback(made)
                self._made = {}

    def undo_later(self, what: str, name: str, undo: Callable[[], None]) -> None:
        """Have a change undone when the borrower returns the instance.

        Args:
            what: the kind of thing that is changed.
            name: which one; the last that is said of it counts.
            undo: undoes it, also where nothing is left to undo.
        """
        self._made[what, name] = undo

    def _wait(self, look: Callable[[], bool], label: str, timeout: float | None = None) -> None:
        wait_for(look, f"{label} on {self.name}", timeout or self.timeouts.change, interval=0.5)
