"""How a tuned guest loads its agent: early, and without what few guests need."""

import subprocess
import sys
import threading
import time

import pytest

from trove.tests.common import paths

LOADER = paths.ELEMENTS / "trove-guest-tuning/trove-guest-tuning-files/load-early"

# What stands for the agent and its libraries; each says when it is loaded.
MODULES = {
    "trove/cmd/guest.py": """
from pyroute2 import IPRoute
try:
    import OpenSSL
except ImportError:
    print("no OpenSSL yet")
""",
    "pyroute2.py": """
print("pyroute2 loaded")
class IPRoute:
    pass
class NDB:
    pass
""",
    "OpenSSL.py": "",
    "docker.py": "print('docker loaded')",
    "kombu/transport/pyamqp.py": "",
    "oslo_service/periodic_task.py": "",
}


@pytest.fixture
def load(tmp_path):
    """Run a program by the loader, with the modules above; its lines are returned."""
    for name, text in MODULES.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    loader = tmp_path / "load-early"
    written = tmp_path / "settings-written"
    loader.write_text(LOADER.read_text().replace("/run/trove-guest-settings-written", str(written)))

    def load(program, *, settled=True):
        (tmp_path / "program").write_text(program)
        if settled:
            written.touch()
        command = [sys.executable, loader, tmp_path / "program", "--an-option"]
        done = subprocess.run(
            command,
            env={"PYTHONPATH": str(tmp_path)},
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=30,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.splitlines()

    load.written = written
    return load


def test_the_program_runs_as_if_nothing_had_been_before_it(load):
    lines = load("import sys; print(__name__, sys.argv[1:]); import OpenSSL")

    assert lines == ["no OpenSSL yet", "docker loaded", "__main__ ['--an-option']"]


def test_the_program_waits_for_its_settings_and_is_loaded_before(load):
    moment = time.time()
    threading.Timer(1, load.written.touch).start()

    lines = load("import time; print(time.time())", settled=False)

    assert lines[:-1] == ["no OpenSSL yet", "docker loaded"]
    assert float(lines[-1]) >= moment + 1


def test_what_few_guests_need_is_loaded_when_it_is_called(load):
    lines = load(
        "from trove.cmd.guest import IPRoute; print('so far'); print(type(IPRoute()).__module__); "
        "print(type(IPRoute()).__module__)"
    )

    assert lines[2:] == ["so far", "pyroute2 loaded", "pyroute2", "pyroute2"]


def test_another_name_of_it_is_the_real_one_at_once(load):
    lines = load("from pyroute2 import NDB; print(NDB.__module__)")

    assert lines[2:] == ["pyroute2 loaded", "pyroute2"]
