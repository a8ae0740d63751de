"""A plugin that puts the cloud of files in the place of any real one."""

import os
import time
from contextlib import contextmanager
from pathlib import Path

import pytest

from trove.tests.common.errors import ScenarioError
from trove.tests.harness import clients, images, instances, loading, networks, reaper
from trove.tests.harness.loading import LoadedVersion
from trove.tests.unit.fakes import FakeCloud, guest_image

FOLDER = Path(os.environ["FAKE_CLOUD"])


def _connect(name):
    if os.environ.get("FAKE_CLOUD_IS_DOWN"):
        raise ScenarioError(f"Keystone of cloud {name!r} can't be reached.")
    return FakeCloud(FOLDER, name)


def _ensure_image(target):
    store = FakeCloud(FOLDER).store
    store.note("build image")
    time.sleep(0.2)  # so that another worker comes while this one builds
    if os.environ.get("FAKE_BUILD_FAILS"):
        raise ScenarioError("There is no space left to build an image.")
    return guest_image(store.folder)


def _upload(admin, target, image, journal, timeouts):
    return admin.store.put(
        "image", name=image.name, key=image.key, call=admin.store.note("upload")
    ).id


def _find_image(admin, target, key):
    return next((image.id for image in admin.store.all("image") if image.key == key), None)


def _register(admin, target, image_id, journal):
    admin.store.note("register")
    return LoadedVersion("v1", target.datastore.name, target.version.name, image_id)


@contextmanager
def _connected(instance, **_how):
    yield None


@pytest.fixture
def ail_once(request, monkeypatch):
    """Has the cloud fail a test, at the first of its attempts."""

    def ail() -> None:
        if request.node.execution_count == 1:
            monkeypatch.setenv("FAKE_WORKER", "down")
            assert not "what the cloud can do"

    return ail


clients.connect = _connect
instances.Instance.connected = _connected
reaper.MODULE = "trove.tests.unit.fake_reaper"
images.ensure_image = _ensure_image
images.key = lambda target: "0123456789abcdef"
loading.upload = _upload
loading.find_image = _find_image
loading.register = _register
loading.activate = lambda admin, version, instead: admin.store.note("activate")
networks.choose = lambda cloud, wanted=None: "net"
instances.has_volumes = lambda cloud, spec: False
