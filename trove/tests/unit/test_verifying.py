"""Booting an image by itself: what QEMU is told, what the guest is given, how an end is told."""

import ast
import json
import socket
import subprocess
from contextlib import contextmanager
from types import SimpleNamespace

import pytest

from trove.tests.common import machine, matrix, qemu
from trove.tests.common.errors import ScenarioError
from trove.tests.harness import guest_agent, sql, verifying
from trove.tests.unit.fakes import guest_image

SECRET = "s3cret-of-this-run"


@pytest.fixture
def target():
    return matrix.load().select("mysql")


@pytest.fixture
def image(tmp_path):
    return guest_image(tmp_path)


def task_in(data):
    """Return the task that user data gives to the guest."""
    [line] = [line for line in data.splitlines() if line.startswith("TASK = ")]
    return ast.literal_eval(line.removeprefix("TASK = "))


class TestCommand:
    def argv(self, image, accelerator="tcg"):
        return verifying.command(image, accelerator, image.disk.parent / "x.iso", {40000: 3306})

    def test_the_image_is_not_written_to(self, image):
        [disk] = [word for word in self.argv(image) if word.startswith(f"file={image.disk}")]
        assert "snapshot=on" in disk.split(",")

    def test_a_kernel_of_the_image_is_started_directly(self, image):
        argv = self.argv(image)
        assert argv[argv.index("-kernel") + 1] == str(image.kernel)
        assert argv[argv.index("-initrd") + 1] == str(image.ramdisk)
        assert argv[argv.index("-append") + 1] == "root=/dev/vda"

    def test_an_image_without_kernel_starts_itself(self, tmp_path):
        argv = self.argv(guest_image(tmp_path, kernel=None, ramdisk=None))
        assert not {"-kernel", "-initrd", "-append"} & set(argv)

    def test_it_dies_with_its_parent(self, image):
        assert self.argv(image)[:3] == ["setpriv", "--pdeathsig", "KILL"]

    def test_the_database_is_reached_from_this_machine_alone(self, image):
        [network] = [word for word in self.argv(image) if word.startswith("user,")]
        assert "restrict=on" in network
        assert "hostfwd=tcp:127.0.0.1:40000-:3306" in network

    def test_what_is_slow_to_emulate_is_not_there(self, image):
        argv = self.argv(image)
        assert argv[argv.index("-cpu") + 1] == "max,-la57,-erms,-fsrm,-smap"

    def test_kvm_has_this_machines_processor(self, image):
        argv = self.argv(image, "kvm")
        assert (argv[argv.index("-accel") + 1], argv[argv.index("-cpu") + 1]) == ("kvm", "host")


class TestUserData:
    def test_is_a_boot_hook_that_python_takes(self, target):
        data = verifying.user_data(target, SECRET)
        assert data.startswith("#cloud-boothook\n#!/usr/bin/python3\n")
        compile(data, "user_data", "exec")

    def test_has_the_container_as_the_agent_would_ask_for_it(self, target):
        container = task_in(verifying.user_data(target, SECRET))["container"]
        assert container["Image"] == "mysql:9.7"
        assert container["User"] == "1001:1001"
        assert f"MYSQL_ROOT_PASSWORD={SECRET}" in container["Env"]
        assert container["HostConfig"]["PortBindings"] == {"3306/tcp": [{"HostPort": "3306"}]}

    def test_starts_the_agent_without_a_disk_to_format(self, target):
        settings = task_in(verifying.user_data(target, SECRET))["files"][
            "/etc/trove/conf.d/verification.conf"
        ]
        assert "datastore_manager = mysql" in settings
        assert "device_path = /dev/none" in settings

    @pytest.mark.parametrize("name", sorted(matrix.load().datastores))
    def test_is_there_for_every_datastore(self, name):
        target = matrix.load().select(name)
        task = task_in(verifying.user_data(target, SECRET))
        text = json.dumps(task["container"])
        assert text.count(SECRET) == 1
        assert guest_agent.database(target).settings_file in task["files"]


def test_a_config_drive_is_laid_out_as_nova_does(tmp_path, target):
    trees = {}

    def make(argv, **_):
        [tree] = [word for word in argv if str(word).endswith("/drive")]
        for file in tree.rglob("*"):
            if file.is_file():
                trees[str(file.relative_to(tree))] = file.read_text(), file.stat().st_mode & 0o777
        assert argv[argv.index("-V") + 1] == "config-2"
        assert SECRET not in " ".join(map(str, argv))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(verifying.commands, "run", make)
        drive = verifying.config_drive(tmp_path, f"password: {SECRET}")

    assert trees["openstack/latest/user_data"] == (f"password: {SECRET}", 0o600)
    assert json.loads(trees["openstack/latest/meta_data.json"][0])["uuid"]
    assert drive.stat().st_mode & 0o777 == 0o600
    assert list(tmp_path.iterdir()) == [drive]


class TestReports:
    def test_are_found_between_other_lines(self):
        console = '[1.2] x\r\n\r\nVERIFY {"stage": "agent", "seconds": 3.1}\r\n[1.3] y\r\n'
        assert verifying.reports_in(console) == [{"stage": "agent", "seconds": 3.1}]

    def test_a_line_that_is_being_written_does_not_count_yet(self):
        assert verifying.reports_in('VERIFY {"stage": "agent", "sec') == []
        assert verifying.reports_in('VERIFY {"stage": "agent"}') == []

    def test_a_line_that_the_kernel_wrote_into_does_not_count(self):
        assert (
            verifying.reports_in(
                'VERIFY {"stage": "ag[1.2] veth up\nent"}\nVERIFY {"sta[1.2] "veth" up ge": 1}\n'
            )
            == []
        )


def told(**report):
    return f"{verifying.MARKER} {json.dumps(report)}\n"


PANIC = "Kernel panic - not syncing: Fatal exception\n"
ALL = "".join(told(stage=stage) for stage in verifying.STAGES[:-1])


@pytest.fixture
def boot(image, target, tmp_path, monkeypatch):
    """Verify with a guest that writes ``console`` and a database that answers ``answers``."""
    started = []

    class Guest:
        def __init__(self, argv, stdout, **_):
            started.append(argv)
            stdout.write(self.console.encode())
            stdout.flush()
            self.killed = False

        def poll(self):
            return self.returncode

        def kill(self):
            self.killed = True

        def wait(self):
            return None

    @contextmanager
    def connect(*_):
        def run(statement, *_):
            if isinstance(answer, Exception):
                raise answer
            return answer if statement.startswith("SELECT") else None

        answer = Guest.answers.pop(0)
        yield SimpleNamespace(run=run)

    def verify(console=ALL, returncode=None, answers=(42,), timeout=0.5, **options):
        Guest.console, Guest.returncode, Guest.answers = console, returncode, list(answers)
        found = verifying.verify(image, target, timeout=timeout, logs=tmp_path / "logs", **options)
        return found, started

    monkeypatch.setattr(verifying.subprocess, "Popen", Guest)
    monkeypatch.setattr(verifying.sql, "dialect", lambda _: SimpleNamespace(connect=connect))
    monkeypatch.setattr(verifying.commands, "run", lambda *_, **__: None)
    monkeypatch.setattr(verifying, "_require_programs", lambda: None)
    monkeypatch.setattr(verifying, "new_password", lambda: SECRET)
    monkeypatch.setattr(qemu, "kvm_fault", lambda: "there is no KVM")
    return verify


class TestVerify:
    def test_all_stages_have_their_seconds(self, boot):
        verified, _ = boot()
        assert tuple(verified.seconds) == verifying.STAGES
        assert verified.accelerator == "tcg"

    def test_what_was_seen_is_said_in_a_line(self):
        verified = verifying.Verified({"agent": 20.2, "sql": 55.0}, "kvm")
        assert str(verified) == "verified by kvm: agent after 20 s, sql after 55 s"

    def test_kvm_is_taken_where_it_runs_a_guest(self, boot, monkeypatch):
        monkeypatch.setattr(qemu, "kvm_fault", lambda: None)
        assert boot()[0].accelerator == "kvm"

    def test_emulation_can_be_asked_for(self, boot, monkeypatch):
        monkeypatch.setattr(qemu, "kvm_fault", lambda: None)
        assert boot(accelerator="tcg")[0].accelerator == "tcg"

    def test_the_password_is_in_no_command_line(self, boot):
        _, [argv] = boot()
        assert SECRET not in " ".join(argv)

    def test_a_login_may_take_a_few_tries(self, boot):
        answers = [sql.CannotConnectError("refused"), 42]
        assert "sql" in boot(answers=answers, timeout=5)[0].seconds

    @pytest.mark.parametrize(
        ("console", "stage"),
        [
            ("", "cloud-init"),
            (told(stage="cloud-init"), "agent"),
            (told(stage="cloud-init") + told(stage="agent"), "docker"),
            (told(stage="cloud-init") + told(stage="docker"), "agent"),
        ],
    )
    def test_what_does_not_come_is_named(self, boot, console, stage):
        with pytest.raises(ScenarioError, match=f"Stage '{stage}' was not reached: .*not within"):
            boot(console)

    def test_a_fault_that_the_guest_tells_of_ends_the_wait(self, boot):
        console = told(stage="cloud-init") + told(fault="RuntimeError: docker: no such image")
        with pytest.raises(ScenarioError, match="docker: no such image"):
            boot(console, timeout=60)

    def test_a_guest_that_ends_ends_the_wait(self, boot):
        with pytest.raises(ScenarioError, match="QEMU ended with 1"):
            boot("qemu: no such machine\n", returncode=1, timeout=60)

    def test_a_kernel_that_panics_once_starts_anew(self, boot):
        assert tuple(boot(PANIC + ALL)[0].seconds) == verifying.STAGES

    def test_what_was_reached_before_a_panic_is_void(self, boot):
        with pytest.raises(ScenarioError, match="Stage 'cloud-init' was not reached"):
            boot(ALL + PANIC)

    def test_a_kernel_that_panics_again_ends_the_wait(self, boot):
        with pytest.raises(ScenarioError, match="its kernel panicked again"):
            boot(told(stage="cloud-init") + PANIC + PANIC, timeout=60)

    def test_the_consoles_end_and_place_are_told(self, boot, tmp_path):
        with pytest.raises(ScenarioError) as told_of:
            boot("Kernel panic\n")
        assert "Kernel panic" in str(told_of.value)
        assert str(tmp_path / "logs" / "verify-mysql.log") in str(told_of.value)

    def test_a_database_that_answers_wrongly(self, boot):
        with pytest.raises(ScenarioError, match=r"Stage 'sql' was not reached.*42 became 41"):
            boot(answers=[41], timeout=60)

    def test_a_database_that_fails(self, boot):
        with pytest.raises(ScenarioError, match=r"Stage 'sql' was not reached.*ValueError: odd"):
            boot(answers=[ValueError("odd")], timeout=60)

    def test_nothing_but_the_console_is_left(self, boot, tmp_path):
        boot()
        assert list((tmp_path / "home").iterdir()) == []
        assert [file.name for file in (tmp_path / "logs").iterdir()] == ["verify-mysql.log"]


class TestPrograms:
    def test_that_lack_are_named_to_who_is_not_root(self, monkeypatch):
        monkeypatch.setattr(verifying.shutil, "which", lambda name: name != "genisoimage" or None)
        monkeypatch.setattr(verifying.os, "geteuid", lambda: 1000)
        with pytest.raises(ScenarioError, match="needs genisoimage: install"):
            verifying._require_programs()

    def test_are_installed_by_root(self, monkeypatch):
        installed = []
        monkeypatch.setattr(verifying.shutil, "which", lambda name: name if installed else None)
        monkeypatch.setattr(verifying.os, "geteuid", lambda: 0)
        monkeypatch.setattr(machine, "install_packages", installed.append)
        verifying._require_programs()
        assert installed == ["image"]


@pytest.fixture
def script(tmp_path):
    """The script's functions, with what they need of a guest in a folder."""
    return verifying._SCRIPT.read_text().replace("\nmain()\n", "\n")


def test_the_script_is_one_that_any_python_of_a_guest_takes(script):
    ast.parse(script, feature_version=(3, 9))


def test_docker_is_called_over_its_socket(script, tmp_path):
    """A server of one answer stands for docker."""
    server = (
        "import socket\n"
        f"s = socket.socket(socket.AF_UNIX); s.bind({str(tmp_path / 'd.sock')!r}); s.listen()\n"
        "print('up', flush=True)\n"
        "c, _ = s.accept(); c.recv(65536)\n"
        'c.sendall(b\'HTTP/1.0 404 Not Found\\r\\n\\r\\n{"message": "No such image"}\')\n'
    )
    with subprocess.Popen(["python3", "-c", server], stdout=subprocess.PIPE) as docker:
        docker.stdout.readline()
        names = {}
        exec(script, names)
        names["DOCKER"] = str(tmp_path / "d.sock")
        with pytest.raises(RuntimeError, match="No such image"):
            names["docker"]("POST", "/containers/create", {"Image": "x"})


def test_docker_is_waited_for_until_somebody_listens(script, tmp_path, monkeypatch):
    names = {}
    exec(script, names)
    names["DOCKER"] = str(tmp_path / "d.sock")
    docker = socket.socket(socket.AF_UNIX)
    steps = iter([lambda: docker.bind(names["DOCKER"]), docker.listen])
    monkeypatch.setattr(names["time"], "sleep", lambda _seconds: next(steps)())

    names["wait_for_docker"]()

    assert list(steps) == []
    docker.close()
