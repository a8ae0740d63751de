"""What MariaDB's container starts its server with."""

import os
import subprocess

import pytest

from trove.tests.common import paths

ENTRYPOINT = paths.CONTAINERS / "mariadb/entrypoint"

# What stands for the image's programs. Servers begin with the statements of their file.
PROGRAMS = {
    "mariadbd": """
        printf '%s\\n' "$@"
        for argument; do
            case $argument in --init-file=*) cat "${argument#*=}" ;; esac
        done
    """,
    "my_print_defaults": 'echo "$1" > "$ASKED"; cat "$SETTINGS"',
    "openssl": "echo key and certificate",
}


@pytest.fixture
def start(tmp_path):
    """Run the entrypoint where there is a database; return what its server was told."""
    programs, run, data = (tmp_path / name for name in ("programs", "run", "data"))
    for folder in (programs, run, data / "mysql"):
        folder.mkdir(parents=True)
    for name, text in PROGRAMS.items():
        (programs / name).write_text(f"#!/bin/sh\n{text}\n")
        (programs / name).chmod(0o755)
    script = ENTRYPOINT.read_text().replace("/run/mysqld", str(run))
    environment = {
        "PATH": f"{programs}:{os.environ['PATH']}",
        "SETTINGS": str(tmp_path / "settings"),
        "ASKED": str(tmp_path / "asked"),
    }

    def start(*arguments, settings=""):
        (tmp_path / "settings").write_text(settings)
        argv = ["sh", "-c", script, "entrypoint", *arguments, f"--datadir={data}"]
        done = subprocess.run(argv, env=environment, capture_output=True, text=True, timeout=30)
        assert (done.returncode, done.stderr) == (0, "")
        return done.stdout.splitlines()

    start.certificate = run / "server.pem"
    start.asked = tmp_path / "asked"
    return start


def test_a_server_without_tls_of_its_own_has_a_certificate(start):
    told = start("--defaults-file=/etc/mysql/my.cnf")
    assert told[0] == "--defaults-file=/etc/mysql/my.cnf"
    assert f"--ssl-key={start.certificate}" in told
    assert start.certificate.read_text() == "key and certificate\n"


def test_others_cannot_read_its_key(start):
    start()
    assert start.certificate.stat().st_mode & 0o077 == 0


def test_no_certificate_is_named(start):
    """Trove would take it for the owner's."""
    assert not [argument for argument in start() if argument.startswith("--ssl-c")]


@pytest.mark.parametrize(
    "settings",
    [
        "--ssl_cert=/var/lib/mysql/data/server-cert.pem\n--ssl=on\n",
        "--ssl-key=server-key.pem\n",
        "--ssl=false\n--tls_version=\n",
        "--skip-ssl\n",
    ],
)
def test_what_the_configuration_says_of_tls_stands(start, settings):
    told = start("--defaults-file=/etc/mysql/my.cnf", settings=settings)
    assert not [argument for argument in told if argument.startswith("--ssl")]
    assert start.asked.read_text() == "--defaults-file=/etc/mysql/my.cnf\n"


def test_what_the_caller_says_of_tls_stands(start):
    assert [a for a in start("--skip-ssl") if "ssl" in a] == ["--skip-ssl"]


def test_statements_of_the_caller_take_the_place_of_others(start, tmp_path):
    (tmp_path / "own.sql").write_text("SELECT 1;\n")
    told = start(f"--init-file={tmp_path / 'own.sql'}")
    assert told[-1] == "SELECT 1;"
    assert f"--ssl-key={start.certificate}" in told
    assert not [line for line in told if "CREATE USER" in line]


def test_the_health_check_has_its_user_at_each_start(start):
    assert [line for line in start() if "'database'@'localhost'" in line]
