"""Images, versions, flavors and networks: found where they are, made where not."""

import json
from types import SimpleNamespace

import pytest
import requests
from keystoneauth1 import exceptions as keystone_errors
from openstack import exceptions as sdk_errors
from troveclient import exceptions as trove_errors

from trove.tests.common import matrix
from trove.tests.common.errors import ScenarioError
from trove.tests.harness import flavors, loading, networks
from trove.tests.harness.flavors import FlavorSpec
from trove.tests.harness.journal import PREFIX, Journal
from trove.tests.harness.run import Run
from trove.tests.harness.timeouts import Timeouts
from trove.tests.unit.fakes import FakeCloud, Resource, guest_image

TIMEOUTS = Timeouts()


@pytest.fixture
def journal(tmp_path):
    return Journal(tmp_path / "journal.jsonl")


@pytest.fixture
def target():
    return matrix.load().select("mysql")


class Glance:
    """The image service, by the calls that loading makes."""

    def __init__(self):
        self.stored = {}
        self.refusal = None
        self.breaks_off = False
        self.takes_none = None
        self.refuses_deletion = False

    def images(self, **query):
        assert query["visibility"] == "all"
        for image in self.stored.values():
            if all(image[key] == query[key] for key in ("name", "status") if key in query):
                yield Resource(**image, properties=image)

    def get_image(self, id):
        return Resource(**self.stored[id])

    def delete_image(self, id):
        if self.refuses_deletion:
            raise sdk_errors.HttpException("it is down")
        del self.stored[id]

    def post(self, _url, json):
        if self.takes_none:
            return SimpleNamespace(status_code=self.takes_none, text="none is taken")
        id = f"image-{len(self.stored)}"
        self.stored[id] = {"id": id, "status": "queued", **json}
        return SimpleNamespace(status_code=201, json=lambda: {"id": id})

    def put(self, url, data, headers):
        if self.breaks_off:
            raise keystone_errors.SSLError("EOF occurred in violation of protocol")
        if self.refusal:
            status, text = self.refusal
            return SimpleNamespace(status_code=status, text=text)
        self.stored[url.split("/")[2]] |= {"status": "active", "data": data.read()}
        return SimpleNamespace(status_code=204)


class Trove:
    """Trove's management of datastore versions and their parameters, with its calls."""

    def __init__(self):
        self.versions = []
        self.parameters = {}
        self.calls = []
        self.client = self
        self.mgmt_ds_versions = self

    # Datastore versions

    def list(self):
        return self.versions

    def get(self, id):
        return next(version for version in self.versions if version.id == id)

    def create(self, name, datastore, manager, image, active, version):
        self.calls.append("create version")
        facts = {"datastore_name": datastore, "manager": manager, "version": version}
        made = Resource(id="v1", name=name, image=image, active=True, default=False, **facts)
        self.versions.append(made)

    def edit(self, id, image=None, active=None, default=None):
        self.calls.append("edit version")
        version = self.get(id)
        version.image = image or version.image
        version.default = version.default or default == "true"

    # Parameters, by HTTP

    def post(self, url, body):
        return self._change("create parameter", body)

    def put(self, url, body):
        return self._change("modify parameter", body)

    def _change(self, call, body):
        self.calls.append(call)
        rule = dict(body["configuration-parameter"])
        rule["type"] = rule.pop("data_type")
        self.parameters[rule["name"]] = rule
        return SimpleNamespace(status_code=200), None


@pytest.fixture
def cloud(monkeypatch):
    trove = Trove()
    monkeypatch.setattr(
        loading.MgmtConfigurationParameters,
        "list_all_parameter_by_version",
        lambda *_: [Resource(**rule) for rule in trove.parameters.values()],
    )
    return SimpleNamespace(image=Glance(), trove=trove)


def load(cloud, target, journal, image):
    version = loading.load(cloud, image, target, journal, TIMEOUTS)
    loading.activate(cloud, version)
    return version


def test_loads_kernel_and_ramdisk_and_points_the_disk_at_them(cloud, target, journal, tmp_path):
    load(cloud, target, journal, guest_image(tmp_path, manifest={"series": "2026.2"}))

    kernel, ramdisk, disk = cloud.image.stored.values()
    assert (kernel["disk_format"], kernel["container_format"]) == ("aki", "aki")
    assert (ramdisk["disk_format"], ramdisk["container_format"]) == ("ari", "ari")
    assert (disk["disk_format"], disk["container_format"]) == ("qcow2", "bare")
    assert (disk["kernel_id"], disk["ramdisk_id"]) == (kernel["id"], ramdisk["id"])
    assert disk["os_command_line"] == "root=/dev/vda"
    assert disk["trove_image_key"] == "0123456789abcdef"
    assert disk["trove_image_series"] == "2026.2"
    assert disk["data"] == b"x"


def test_registers_the_version_with_its_parameters_as_the_default(cloud, target, journal, tmp_path):
    version = load(cloud, target, journal, guest_image(tmp_path))

    (registered,) = cloud.trove.versions
    assert version == loading.LoadedVersion("v1", "mysql", registered.name, registered.image)
    assert registered.version == target.version.name
    assert registered.default
    assert set(cloud.trove.parameters) == {each.name for each in target.version.parameters}


def test_twice_is_the_same_as_once(cloud, target, journal, tmp_path):
    first = load(cloud, target, journal, guest_image(tmp_path))
    images, calls = json.dumps(list(cloud.image.stored)), list(cloud.trove.calls)

    assert load(cloud, target, journal, guest_image(tmp_path)) == first
    assert json.dumps(list(cloud.image.stored)) == images
    assert cloud.trove.calls == calls


def test_what_another_run_has_registered_meanwhile_is_taken(
    cloud, target, journal, tmp_path, monkeypatch
):
    """Each is there once Trove is asked for it, though it was not when it was looked for."""

    def overtaken(create):
        def refuse(*args, **kwargs):
            create(*args, **kwargs)
            raise trove_errors.BadRequest("it exists already")

        return refuse

    monkeypatch.setattr(cloud.trove, "create", overtaken(cloud.trove.create))
    monkeypatch.setattr(cloud.trove, "post", overtaken(cloud.trove.post))

    version = load(cloud, target, journal, guest_image(tmp_path))

    assert version.id == "v1"
    assert set(cloud.trove.parameters) == {each.name for each in target.version.parameters}
    assert journal.open_entries() == []


@pytest.mark.parametrize("call", ["create", "post"])
def test_what_trove_refuses_to_register_is_an_error(
    cloud, target, journal, tmp_path, monkeypatch, call
):
    def refuse(*_args, **_kwargs):
        raise trove_errors.BadRequest("no such manager")

    monkeypatch.setattr(cloud.trove, call, refuse)
    with pytest.raises(trove_errors.BadRequest, match="no such manager"):
        load(cloud, target, journal, guest_image(tmp_path))


def test_another_version_stays_the_default_unless_the_user_says_otherwise(
    cloud, target, journal, tmp_path
):
    facts = {"datastore_name": target.datastore.name, "name": "their own", "image": "image"}
    theirs = Resource(id="v0", active=True, default=True, **facts)
    cloud.trove.versions.append(theirs)
    version = loading.load(cloud, guest_image(tmp_path), target, journal, TIMEOUTS)

    loading.activate(cloud, version, instead=False)
    assert not cloud.trove.get(version.id).default

    loading.activate(cloud, version)
    assert cloud.trove.get(version.id).default


def test_another_image_replaces_that_of_the_version(cloud, target, journal, tmp_path):
    first = load(cloud, target, journal, guest_image(tmp_path))
    second = load(cloud, target, journal, guest_image(tmp_path, key="f" * 16))

    assert second.id == first.id
    assert second.image_id != first.image_id
    assert cloud.trove.versions[0].image == second.image_id


def test_an_interrupted_upload_is_not_used(cloud, target, journal, tmp_path):
    load(cloud, target, journal, guest_image(tmp_path))
    disk = list(cloud.image.stored.values())[-1]
    disk["status"] = "saving"

    assert loading.find_image(cloud, target, "0123456789abcdef") is None


def test_an_image_of_another_key_is_not_used(cloud, target, journal, tmp_path):
    load(cloud, target, journal, guest_image(tmp_path))
    disk = list(cloud.image.stored.values())[-1]
    disk["trove_image_key"] = "0123456789ab-and-not-the-rest"

    assert loading.find_image(cloud, target, "0123456789abcdef") is None


def test_a_refused_upload_is_told_and_nothing_of_it_stays(cloud, target, journal, tmp_path):
    cloud.image.refusal = (409, "it is\nqueued no more")
    with pytest.raises(ScenarioError, match=r"^Glance refuses image .* no more \(HTTP 409\)\.$"):
        load(cloud, target, journal, guest_image(tmp_path))
    assert journal.open_entries() == []
    assert cloud.image.stored == {}


@pytest.mark.parametrize(("status", "left"), [(403, 0), (503, 1)])
def test_an_image_that_glance_refuses_is_nothing_to_clean_up(
    cloud, target, journal, tmp_path, status, left
):
    cloud.image.takes_none = status
    with pytest.raises(ScenarioError, match="none is taken"):
        load(cloud, target, journal, guest_image(tmp_path))
    assert len(journal.open_entries()) == left


def test_what_can_not_be_deleted_after_a_refused_upload_is_left_to_the_runs_end(
    cloud, target, journal, tmp_path
):
    cloud.image.refusal = (500, "broken")
    cloud.image.refuses_deletion = True
    with pytest.raises(ScenarioError, match="broken"):
        load(cloud, target, journal, guest_image(tmp_path))
    assert [entry.id for entry in journal.open_entries()] == list(cloud.image.stored)


def test_a_full_glance_is_told_with_what_to_do(cloud, target, journal, tmp_path):
    cloud.image.refusal = (413, "Request Entity Too Large")
    no_room = r"^Glance has no room for image .*image_size_total.*GLANCE_LIMIT_IMAGE_SIZE_TOTAL"
    with pytest.raises(ScenarioError, match=no_room):
        load(cloud, target, journal, guest_image(tmp_path))


def test_a_full_glance_that_breaks_off_is_told_with_the_same(cloud, target, journal, tmp_path):
    cloud.image.breaks_off = True
    broken = r"^Glance broke off the upload of image .*GLANCE_LIMIT_IMAGE_SIZE_TOTAL"
    with pytest.raises(ScenarioError, match=broken):
        load(cloud, target, journal, guest_image(tmp_path))
    assert journal.open_entries() == []
    assert cloud.image.stored == {}


def test_what_was_loaded_is_kept(cloud, target, journal, tmp_path):
    load(cloud, target, journal, guest_image(tmp_path))
    assert journal.open_entries() == []


def test_an_image_of_another_series_is_refused(target, tmp_path):
    old = guest_image(tmp_path, manifest={"series": "2020.1"})
    with pytest.raises(ScenarioError, match=r"is of series 2020\.1, and this tree is of .*: build"):
        loading.check_series(target, old)


def test_an_image_that_says_nothing_of_its_series_is_refused(target, tmp_path):
    with pytest.raises(ScenarioError, match=r"does not say of which series it is"):
        loading.check_series(target, guest_image(tmp_path, manifest={}))


def test_a_changed_parameter_is_modified(cloud, target, journal, tmp_path):
    load(cloud, target, journal, guest_image(tmp_path))
    cloud.trove.parameters["max_connections"]["max_size"] = 5
    cloud.trove.calls.clear()

    load(cloud, target, journal, guest_image(tmp_path))
    assert cloud.trove.calls == ["modify parameter"]


@pytest.fixture
def trove(tmp_path, monkeypatch):
    """A cloud whose Trove makes a datastore of a version's, as the real one does."""
    cloud = FakeCloud(tmp_path / "cloud")

    def create(name, datastore, manager, image, version):
        cloud.store.put("datastore", name=datastore)
        facts = {"datastore_name": datastore, "datastore_manager": manager, "version": version}
        cloud.store.put("datastore_version", name=name, image=image, **facts)

    monkeypatch.setattr(cloud.trove.mgmt_ds_versions, "create", create)
    return cloud


def test_a_spare_version_is_the_only_one_of_its_datastore(trove, target):
    run = Run.new()

    with loading.spare(trove, target, "image", run, TIMEOUTS) as spare:
        (version,) = trove.trove.mgmt_ds_versions.list()
        assert (spare.id, spare.image_id) == (version.id, "image")
        assert version.datastore_manager == target.datastore.manager
        assert spare.name == spare.datastore
        assert {entry.kind for entry in run.journal.open_entries()} == {
            "datastore",
            "datastore_version",
        }

    assert trove.store.all("datastore") == trove.store.all("datastore_version") == []
    assert run.journal.open_entries() == []


def test_a_twin_is_one_more_version_of_its_datastore(trove, target):
    run = Run.new()
    facts = {"datastore_name": target.datastore.name, "version": target.version.name}
    trove.store.put("datastore_version", name="own", image="image", **facts)

    with loading.twin(trove, target, "image", run, TIMEOUTS) as twin:
        assert twin.datastore == target.datastore.name
        assert len(trove.trove.mgmt_ds_versions.list()) == 2
        # Who names the database's version means the other one.
        found = loading.find_version(trove, target.datastore.name, target.version.name)
        assert found.name == "own"

    (left,) = trove.store.all("datastore_version")
    assert left.name == "own"
    assert run.journal.open_entries() == []


def test_a_spare_version_may_be_renamed_or_deleted_before_its_end(trove, target):
    run = Run.new()

    with loading.spare(trove, target, "image", run, TIMEOUTS) as spare:
        trove.store.put("datastore_version", id=spare.id, name="renamed", image="image")
    with loading.spare(trove, target, "image", run, TIMEOUTS) as spare:
        trove.trove.mgmt_ds_versions.delete(spare.id)

    assert trove.store.all("datastore") == trove.store.all("datastore_version") == []
    assert run.journal.open_entries() == []


def test_a_temporary_flavor_goes(tmp_path, journal):
    cloud = FakeCloud(tmp_path / "cloud")

    with flavors.temporary(cloud, f"{PREFIX}1-huge", FlavorSpec(ram_mb=2**25), journal) as id:
        assert flavors.size_of(cloud, id).ram_mb == 2**25
        assert [entry.id for entry in journal.open_entries()] == [id]

    assert cloud.store.all("flavor") == []
    assert journal.open_entries() == []


def test_a_flavor_of_the_size_is_used(tmp_path, journal):
    cloud = FakeCloud(tmp_path / "cloud")
    size = {"ram": 1536, "vcpus": 2, "disk": 5}
    cloud.store.put("flavor", name="other", is_public=True, **size | {"disk": 10})
    theirs = cloud.store.put("flavor", name="theirs", is_public=True, **size)

    assert flavors.ensure(cloud, FlavorSpec(), journal) == theirs.id
    assert cloud.store.calls() == []


def test_a_missing_flavor_is_made_once_and_kept(tmp_path, journal):
    cloud = FakeCloud(tmp_path / "cloud")
    made = flavors.ensure(cloud, FlavorSpec(), journal)

    assert flavors.ensure(cloud, FlavorSpec(), journal) == made
    assert cloud.store.calls() == ["create flavor"]
    assert journal.open_entries() == []


def test_a_flavor_that_another_run_makes_meanwhile_is_used(tmp_path, journal):
    cloud = FakeCloud(tmp_path / "cloud")

    def lose(name, ram, vcpus, disk):
        cloud.store.put("flavor", name=name, is_public=True, ram=ram, vcpus=vcpus, disk=disk)
        answer = requests.Response()
        answer.status_code = 409
        raise sdk_errors.ConflictException("A flavor of this name exists", answer)

    cloud.compute.create_flavor = lose
    used = flavors.ensure(cloud, FlavorSpec(), journal)

    assert [each.id for each in cloud.store.all("flavor")] == [used]
    assert journal.open_entries() == []


def test_an_unknown_flavor_is_refused_with_those_that_are_known(tmp_path):
    cloud = FakeCloud(tmp_path / "cloud")
    cloud.store.put("flavor", name="m1.tiny")
    with pytest.raises(ScenarioError, match=r"has no flavor 'x'; known are: m1\.tiny\."):
        flavors.named(cloud, "x")


def test_a_flavor_too_small_is_refused(target):
    with pytest.raises(ScenarioError, match="^A flavor of 256 MiB and 5 GiB is too small for my"):
        flavors.check(FlavorSpec(ram_mb=256), target.datastore)


@pytest.mark.parametrize(("hypervisor", "processors"), [("qemu", 1), ("lxc", 2), (None, 2)])
def test_emulated_guests_have_one_processor(hypervisor, processors):
    assert flavors.suited(hypervisor) == FlavorSpec(vcpus=processors)


def network_cloud(*routed):
    known = {name: Resource(id=f"id-{name}", name=name) for name in ("blue", "red")}
    for network in known.values():
        network.is_router_external = False
    external = Resource(id="id-public", name="public", is_router_external=True)
    ports = [Resource(network_id="id-red", device_owner="compute:nova")]
    ports += [
        Resource(network_id=f"id-{name}", device_owner="network:router_interface")
        for name in routed
    ]
    service = SimpleNamespace(
        find_network=lambda name, **_: known.get(name),
        networks=lambda: [*known.values(), external],
        ports=lambda **_: ports,
    )
    return SimpleNamespace(name="theirs", project_id="project", network=service)


def test_the_network_asked_for():
    assert networks.choose(network_cloud(), "red") == "id-red"


def test_the_only_network_with_a_router():
    assert networks.choose(network_cloud("blue")) == "id-blue"


@pytest.mark.parametrize("routed", [(), ("blue", "red")])
def test_no_single_network_to_choose(routed):
    expected = f"{len(routed)} networks of the project have a router; choose one with --network"
    with pytest.raises(ScenarioError, match=f"{expected}. Known are: blue, red"):
        networks.choose(network_cloud(*routed))


def crowded_cloud(*taken):
    """Return a cloud whose network has the addresses .10 to .12, some of them taken."""
    ports = [SimpleNamespace(fixed_ips=[{"ip_address": f"192.0.2.{each}"}]) for each in taken]
    pools = [{"start": "192.0.2.10", "end": "192.0.2.12"}]
    subnets = [SimpleNamespace(id="subnet", allocation_pools=pools)]
    service = SimpleNamespace(ports=lambda **_: ports, subnets=lambda **_: subnets)
    return SimpleNamespace(name="theirs", network=service)


def test_any_address_that_nobody_has_may_be_the_free_one():
    found = {networks.free_address(crowded_cloud(11), "net")["ip_address"] for _ in range(100)}
    assert found == {"192.0.2.10", "192.0.2.12"}


@pytest.mark.parametrize("free", [10, 11, 12])
def test_the_last_free_address_is_found(free):
    taken = {10, 11, 12} - {free}
    assert networks.free_address(crowded_cloud(*taken), "net") == {
        "subnet_id": "subnet",
        "ip_address": f"192.0.2.{free}",
    }


def test_a_network_without_a_free_address():
    with pytest.raises(ScenarioError, match="^Network net of cloud 'theirs' has no free IPv4"):
        networks.free_address(crowded_cloud(10, 11, 12), "net")


def test_an_unknown_network():
    with pytest.raises(ScenarioError, match="has no network 'x'; known are: blue, red"):
        networks.choose(network_cloud(), "x")
