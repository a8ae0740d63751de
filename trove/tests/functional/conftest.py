"""Clouds for the functional tests: small ones that come and go, and one with every service."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from trove.tests.embedded import lifecycle, links
from trove.tests.embedded.cloud import Cloud
from trove.tests.functional.observing import TRIAL, Machine, look

# Daemons of the cloud whose ports and sockets a host may have in use.
_PORTS = (3306, 4369, 5000, 5672, 8774, 9696, 16509, 25672)
TROVE_CLOUD = (sys.executable, "-m", "trove.tests.embedded.cli")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip what makes namespaces where that is not allowed."""
    if os.geteuid() != 0:
        for item in items:
            if Path(__file__).parent in item.path.parents:
                item.add_marker(pytest.mark.skip(reason="needs_root: namespaces are made"))


def trove_cloud(*arguments: str, name: str = TRIAL.name, **options) -> subprocess.Popen:
    """Begin to run a verb of trove-cloud, in a process of its own."""
    return subprocess.Popen([*TROVE_CLOUD, "--name", name, *arguments], text=True, **options)


def verb(*arguments: str, name: str = TRIAL.name, **options) -> subprocess.CompletedProcess:
    """Run a verb of trove-cloud to its end."""
    return subprocess.run(
        [*TROVE_CLOUD, "--name", name, *arguments],
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
        **options,
    )


@pytest.fixture(autouse=True, scope="session")
def _can_be_interrupted() -> None:
    """Have programs heed Ctrl-C that tests send it to; shells let those in the background not."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture
def machine(tmp_path, monkeypatch) -> Iterator[Machine]:
    """The machine before the test; afterwards it must look the same."""
    monkeypatch.setenv("OS_CLIENT_CONFIG_FILE", str(tmp_path / "openstack" / "clouds.yaml"))
    links.raise_fence()  # the one thing that stays, on purpose
    lifecycle.down(TRIAL)
    before = look()
    yield before
    lifecycle.down(TRIAL)
    assert look() == before
    assert not TRIAL.folder.exists()
    assert not (tmp_path / "openstack").exists()


@pytest.fixture(scope="session")
def busy_ports() -> Iterator[None]:
    """The host's own database, message queue, APIs and libvirt, as far as ports go."""
    with contextlib.ExitStack() as stack:
        for port in _PORTS:
            with contextlib.suppress(OSError):  # somebody really has it in use
                stack.enter_context(socket.create_server(("0.0.0.0", port)))
        yield


@pytest.fixture(scope="session")
def full_cloud(tmp_path_factory, busy_ports) -> Iterator[Cloud]:
    """A running cloud with every service, shared by the tests that leave it running."""
    folder = tmp_path_factory.mktemp("config")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OS_CLIENT_CONFIG_FILE", str(folder / "openstack" / "clouds.yaml"))
        cloud = Cloud("everything")
        done = verb("up", "--hypervisor", "qemu", name=cloud.name)
        assert done.returncode == 0, done.stderr
        yield cloud
        lifecycle.down(cloud)
    assert not cloud.folder.exists()
    assert not (folder / "openstack").exists()
