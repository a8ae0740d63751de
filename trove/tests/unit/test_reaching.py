"""The commands by which people reach an instance and its guest."""

import stat
from types import SimpleNamespace

import pytest
from openstack.exceptions import SDKException

from trove.tests.common.errors import ScenarioError
from trove.tests.harness import reaching
from trove.tests.harness.run import Run

MINE = "mine"


class Instance:
    """An instance as far as it is asked how to reach it."""

    name = MINE
    address = "192.0.2.1"
    login = database = None
    timeouts = SimpleNamespace(connect=1)
    spec = SimpleNamespace(
        port=3306, dialect=SimpleNamespace(client=lambda *_: "mysql --password=told-by-trove")
    )

    def guest_address(self, admin):
        if isinstance(admin, Exception):
            raise admin
        return "198.51.100.7"


def a_run(folder, enter):
    run = Run("id", folder)
    run.journal.header(user="demo", enter=enter)
    return run


def test_no_password_is_in_what_is_said(tmp_path):
    run = a_run(tmp_path, None)

    lines = reaching.write(run, [Instance()], admin=None)

    file = reaching.command(run, MINE)
    assert lines == [f"mine at 192.0.2.1:3306: {file}"]
    assert "told-by-trove" in file.read_text()
    assert stat.S_IMODE(file.stat().st_mode) == 0o700


@pytest.mark.parametrize(
    ("enter", "shell"),
    [
        (None, None),
        ("trove-cloud enter {name}", "trove-cloud enter mine"),
        ("ssh -i {odd}/key root@{address}", "ssh -i {odd}/key root@198.51.100.7"),
    ],
    ids=["unknown", "embedded", "with a key"],
)
def test_guests_are_entered_as_their_cloud_allows(tmp_path, enter, shell):
    run = a_run(tmp_path, enter)

    lines = reaching.write(run, [Instance()], admin=None)

    assert reaching.guest(run, MINE) == shell
    assert lines[1:] == ([f"  a shell in its guest: {shell}"] if shell else [])


@pytest.mark.parametrize("error", [ScenarioError("no server"), SDKException("no answer")])
def test_a_guest_whose_address_is_unknown_hides_no_database(tmp_path, error):
    run = a_run(tmp_path, "ssh root@{address}")

    assert len(reaching.write(run, [Instance()], admin=error)) == 1
    assert reaching.guest(run, MINE) is None
