"""How a tuned guest loads cloud-init: without what asks other hosts, until it does."""

import subprocess
import sys

import pytest

from trove.tests.common import paths

PROGRAM = paths.ELEMENTS / "trove-guest-tuning/trove-guest-tuning-files/cloud-init"

# What stands for the library; it says when it is loaded.
REQUESTS = {
    "requests/__init__.py": """
print("requests loaded")
from requests import exceptions
class Response:
    pass
def get(address):
    raise exceptions.ConnectionError(address)
""",
    "requests/exceptions.py": "class ConnectionError(Exception):\n    pass\n",
}
# And for cloud-init, which names parts of the library wherever it is imported.
CLOUD_INIT = """
import requests
from requests import exceptions
def read(response: requests.Response): pass
def main():
    print("main")
    try:
        import jsonschema
    except ImportError:
        print("no jsonschema")
"""


@pytest.fixture
def cloud_init(tmp_path):
    """Run cloud-init's program with some more in its main function; its lines are returned."""

    def cloud_init(*lines):
        main = CLOUD_INIT + "".join(f"    {line}\n" for line in lines)
        for name, text in (REQUESTS | {"cloudinit/cmd/main.py": main}).items():
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).write_text(text)
        done = subprocess.run(
            [sys.executable, PROGRAM],
            env={"PYTHONPATH": str(tmp_path)},
            capture_output=True,
            text=True,
            timeout=30,
        )
        assert (done.returncode, done.stderr) == (0, "")
        return done.stdout.splitlines()

    return cloud_init


def test_who_asks_no_other_host_does_without_the_library(cloud_init):
    assert cloud_init() == ["main", "no jsonschema"]


def test_who_asks_has_the_real_library_and_its_errors(cloud_init):
    lines = cloud_init(
        "try: requests.get('there')",
        "except exceptions.ConnectionError as error: print('refused:', error)",
        "import requests as later; print(later.__name__, later.Response)",
    )

    assert lines[2:] == [
        "requests loaded",
        "refused: there",
        "requests <class 'requests.Response'>",
    ]


def test_settings_are_taken_apart_by_the_library_in_c(cloud_init):
    lines = cloud_init(
        "import yaml",
        "print(yaml.safe_load('a: [1, x]'))",
        "print(yaml.SafeLoader is yaml.CSafeLoader)",
    )
    assert lines[-2:] == ["{'a': [1, 'x']}", "True"]
