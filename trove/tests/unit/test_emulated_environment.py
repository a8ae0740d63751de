"""What programs in a tuned guest have in their environment where its processor is emulated."""

import json
import subprocess

import pytest

from trove.tests.common import paths

FILES = paths.ELEMENTS / "trove-guest-tuning/trove-guest-tuning-files"
# As docker writes it: programs that it calls itself have an environment, too.
CONTAINER = {
    "process": {"args": ["mariadbd", '"env":["'], "env": ["PATH=/usr/bin"]},
    "hooks": {"prestart": [{"path": "/proc/self/exe", "env": ["A=1"]}]},
}


@pytest.fixture
def program(tmp_path):
    """Make a program that is found first, or stands for one of the guest's."""

    def program(name, script):
        made = tmp_path / name
        made.write_text(f"#!/bin/sh\n{script}\n")
        made.chmod(0o755)
        return made

    return program


@pytest.fixture
def container(tmp_path, program):
    """Have a container created; what its bundle says then is returned."""
    crun = program("crun", 'echo "$@"')
    text = (FILES / "runc").read_text()
    text = text.replace("/usr/bin/crun", str(crun))
    runc = tmp_path / "runc"
    runc.write_text(text.replace("/sys/fs/cgroup/cgroup.controllers", str(crun)))
    bundle = tmp_path / "it's a bundle"
    bundle.mkdir()
    config = bundle / "config.json"
    config.write_text(json.dumps(CONTAINER, separators=(",", ":")))

    def container(environment):
        command = ["--root", "/run/moby", "create", "--bundle", bundle, "--pid-file", "pid", "db"]
        done = subprocess.run(
            ["sh", runc, *command],
            env={"PATH": "/usr/bin:/bin", **environment},
            capture_output=True,
            text=True,
            check=True,
        )
        assert done.stdout == " ".join(map(str, command)) + "\n"
        return json.loads(config.read_text())

    return container


@pytest.mark.parametrize(
    ("machine", "told"),
    [("qemu", "OPENSSL_ia32cap=~0x1000020000000000:~0x20\n"), ("kvm", ""), ("none", "")],
)
def test_services_are_told_of_an_emulated_processor_alone(program, tmp_path, machine, told):
    # Without a machine it ends with 1.
    program("systemd-detect-virt", f"echo {machine}; [ {machine} != none ]")

    done = subprocess.run(
        ["sh", FILES / "emulated-environment"],
        env={"PATH": f"{tmp_path}:/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=True,
    )

    assert done.stdout == told


def test_programs_in_containers_are_told_what_services_are(container):
    found = container({"OPENSSL_ia32cap": "~0x1000020000000000:~0x20"})

    told = {**CONTAINER["process"]}
    told["env"] = ["OPENSSL_ia32cap=~0x1000020000000000:~0x20", "PATH=/usr/bin"]
    assert found == CONTAINER | {"process": told}


def test_a_container_is_left_alone_where_services_are_told_nothing(container):
    assert container({}) == CONTAINER
