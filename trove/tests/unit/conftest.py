"""What unit tests share: a world without the caller's environment."""

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from trove.tests.common import paths, progress, release
from trove.tests.harness import api_coverage, waiting
from trove.tests.harness.run import Run
from trove.tests.unit.fakes import Store


@pytest.fixture(autouse=True, scope="session")
def _can_be_interrupted() -> None:
    """Have programs heed Ctrl-C that tests send it to; shells let those in the background not."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True)
def _own_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Hide the caller's cloud and options, and keep out of the caller's cache."""
    for name in os.environ:
        if name.startswith(("OS_", "TROVE_", "TROVECLIENT_", "PYTEST_XDIST")):
            monkeypatch.delenv(name)
    monkeypatch.delenv("PYTEST_ADDOPTS", raising=False)
    monkeypatch.setenv("TROVE_SCENARIO_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("OS_CLIENT_CONFIG_FILE", str(tmp_path / "clouds.yaml"))


@pytest.fixture(autouse=True)
def _no_progress(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep progress lines of what is tested from the terminal."""
    monkeypatch.setattr(progress, "_sink", lambda line: print(line, file=sys.stderr))


@pytest.fixture(autouse=True)
def _no_coverage(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep what is asked of a Trove that isn't one from counting to the run."""
    monkeypatch.setattr(api_coverage, "_record", None)


@pytest.fixture(autouse=True)
def _no_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep waits of what is tested from the run's record."""
    monkeypatch.setattr(waiting, "_tell", None)


@pytest.fixture
def tree(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A copy of all that images are made from."""
    integration = tmp_path / "integration"
    shutil.copytree(paths.INTEGRATION, integration)
    monkeypatch.setattr(paths, "ELEMENTS", integration / "elements")
    monkeypatch.setattr(paths, "CONTAINERS", integration / "containers")
    monkeypatch.setattr(paths, "RELEASE", integration / "release")
    constraints = integration / "release/guest-constraints.txt"
    monkeypatch.setattr(release, "GUEST_CONSTRAINTS", constraints)
    return integration


class FakeClock:
    """A clock on which sleeping takes no time."""

    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        """See ``waiting.Clock``."""
        return self.now

    def sleep(self, seconds: float) -> None:
        """See ``waiting.Clock``."""
        self.now += seconds


@pytest.fixture
def clock() -> FakeClock:
    """A clock on which sleeping takes no time."""
    return FakeClock()


class Project:
    """A pytest project with this tree's plugins, on a cloud of files.

    Args:
        pytester: makes it, in a folder of its own.
        cloud: what the cloud holds and which calls it has received.
    """

    def __init__(self, pytester: pytest.Pytester, cloud: Store) -> None:
        self.pytester = pytester
        self.cloud = cloud

    def run(self, *args: str) -> pytest.RunResult:
        """Run pytest in a process of its own."""
        return self.pytester.runpytest_subprocess("-p", "no:cacheprovider", *args)

    def start(self, *args: str) -> subprocess.Popen[bytes]:
        """Start pytest as a terminal does, with a process group of its own; don't wait."""
        with (self.pytester.path / "output").open("ab") as output:
            return subprocess.Popen(
                [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *args],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )

    @property
    def output(self) -> str:
        """What has been started has printed so far."""
        return (self.pytester.path / "output").read_text()

    @property
    def runs(self) -> list[Run]:
        """The runs that have left something on disk, oldest first."""
        folders = sorted(each for each in paths.runs().glob("*") if not each.is_symlink())
        return [Run(folder.name, folder) for folder in folders]


@pytest.fixture
def plugins(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> str:
    """A pytest project with this tree's plugins; returns its conftest's text."""
    # This tree's, also where another one is installed.
    monkeypatch.setenv("PYTHONPATH", str(paths.ROOT))
    text = (paths.ROOT / "conftest.py").read_text().replace('    "pytester",\n', "")
    pytester.makeconftest(text)
    settings = (paths.ROOT / "pytest.ini").read_text()
    pytester.makefile(".ini", pytest=settings.replace("testpaths =", "testpaths = scenario ;"))
    return text


@pytest.fixture
def project(
    pytester: pytest.Pytester, plugins: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Project:
    """A pytest project with this tree's plugins, on a cloud of files named "fake"."""
    pytester.makeconftest(plugins.replace("\n)", '\n    "trove.tests.unit.fake_cloud",\n)'))
    auth = {"auth_url": "http://fake", "username": "demo", "password": "x"}
    clouds = {"clouds": {"fake": {"auth": auth}, "fake-admin": {"auth": auth}}}
    (tmp_path / "clouds.yaml").write_text(yaml.safe_dump(clouds))
    monkeypatch.setenv("OS_CLOUD", "fake")
    monkeypatch.setenv("FAKE_CLOUD", str(tmp_path / "cloud"))
    return Project(pytester, Store(tmp_path / "cloud"))
