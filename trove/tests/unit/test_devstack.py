"""The devstack plugin, run through its phases with stubs, or with devstack's own functions.

With ``DEVSTACK_DIR`` set to a checkout of devstack, that one's ``functions``, ``stackrc``
and ``inc`` read local.conf, load the plugins and write the files. They need gawk, which
devstack installs, as ``awk`` or in ``CONFIG_AWK_CMD``.
"""

import configparser
import os
import re
import shlex
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from trove.tests.common import matrix, paths
from trove.tests.common.errors import ScenarioError
from trove.tests.fixtures.options import OPTIONS
from trove.tests.harness import image_commands
from trove.tests.harness.image_commands import ACTIVATE, BUILD, LOAD

PLUGIN = paths.ROOT / "devstack"
STUBS = Path(__file__).parent / "devstack"
SAMPLES = sorted((PLUGIN / "samples").glob("*.conf"))
INHERITED = ("DEVSTACK_DIR", "CONFIG_AWK_CMD")
PROGRAMS = ("sudo", "openstack", "id", "jq", "virtualenv")
PARSERS = {
    BUILD: image_commands._build_arguments,
    LOAD: image_commands._load_arguments,
    ACTIVATE: image_commands._activate_arguments,
}
LOCAL_CONF = """\
[[local|localrc]]
enable_plugin trove https://git.example.org/trove
enable_plugin trove-scenario https://git.example.org/trove-scenario
"""


@dataclass(frozen=True)
class Outcome:
    """What came of a script.

    Attributes:
        status: its exit code.
        output: what it printed.
        calls: what it called, and in which phase: pairs of phase and words.
    """

    status: int
    output: str
    calls: list[tuple[str, list[str]]]

    @property
    def deaths(self) -> list[str]:
        """The lines that it died with."""
        return re.findall(r"^\[ERROR\] \S+:\d+ (.*)", self.output, re.MULTILINE)

    def of(self, *programs: str) -> list[tuple[str, list[str]]]:
        """Return the calls of these programs."""
        return [(phase, words) for phase, words in self.calls if words[0] in programs]


class Devstack:
    """A machine with devstack, in a folder.

    Attributes:
        conf: Trove's configuration files.
        home: where the tests keep what they have.
        rc: what a user sources before pytest.
        venv: what the tests are installed in.
    """

    def __init__(self, world: Path) -> None:
        self._world = world
        self._stack = world / "stack"
        self.conf = world / "etc"
        self.home = self._stack / "data" / "trove-scenario"
        self.rc = self._stack / "trove-scenario-rc"
        self.venv = self._stack / "trove-scenario-venv"
        self._install()

    def _install(self) -> None:
        for folder in ("bin", "devstack", "stack/data", "stack/bindep-venv/bin"):
            (self._world / folder).mkdir(parents=True)
        programs = STUBS / "programs.bash"
        for name in PROGRAMS:
            (self._world / "bin" / name).symlink_to(programs)
        (self._stack / "bindep-venv/bin/bindep").symlink_to(programs)
        (self._stack / "trove").symlink_to(STUBS / "trove")
        # No link to the tree as a whole, for what is removed from it is really removed.
        tree = self._stack / "trove-scenario"
        tree.mkdir()
        for name in ("devstack", "integration", "requirements.txt"):
            (tree / name).symlink_to(paths.ROOT / name)
        if devstack := os.environ.get("DEVSTACK_DIR"):
            for name in ("functions", "functions-common", "stackrc", "inc", "lib", "tools"):
                (self._world / "devstack" / name).symlink_to(Path(devstack, name))
        self.networks("private")

    def networks(self, *names: str) -> None:
        """Have the cloud have these networks."""
        (self._world / "networks").write_text("".join(f"{name}\n" for name in names))

    def local_conf(self, text: str) -> None:
        """Write local.conf, with all places in this folder."""
        head = "[[local|localrc]]\n"
        places = {
            "DEST": self._stack,
            "DATA_DIR": self._stack / "data",
            "TROVE_CONF_DIR": self.conf,
        }
        here = "".join(f"{name}={place}\n" for name, place in places.items())
        text = text.replace(head, f"{head}{here}STACK_USER={os.getuid()}\n")
        text = text.replace("TROVE_SCENARIO_HOME=/", f"TROVE_SCENARIO_HOME={self._world}/")
        (self._world / "devstack" / "local.conf").write_text(text)

    def run(self, script: str, **environment: str) -> Outcome:
        """Run stack, unstack or clean."""
        calls = self._world / "calls"
        calls.write_text("")
        # PATH is the system's: what the plugin needs of Python it must install itself.
        inherited = {name: os.environ[name] for name in INHERITED if name in os.environ}
        system = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": str(self._world), "TERM": "dumb"}
        done = subprocess.run(
            [STUBS / "run.bash", script],
            env={"WORLD": str(self._world), **system, **inherited, **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=60,
            check=False,
        )
        return Outcome(done.returncode, done.stdout, [_call(line) for line in _lines(calls)])

    def stack(self, text: str = LOCAL_CONF, **environment: str) -> Outcome:
        """Run stack.sh with a local.conf."""
        self.local_conf(text)
        return self.run("stack", **environment)

    def files(self) -> dict[str, str]:
        """Return what is on disk, but for devstack itself and what is logged: path and content."""
        return {
            str(file.relative_to(self._world)): str(file.readlink())
            if file.is_symlink()
            else file.read_text()
            for folder in (self._stack, self.conf)
            for file in folder.rglob("*")
            if (file.is_file() or file.is_symlink()) and file.name not in ("said", "loaded.json")
        }

    def trove_conf(self, section: str = "DEFAULT", name: str = "trove.conf") -> dict[str, str]:
        """Return the options of a section of a configuration file of Trove's."""
        return _options(self.conf / name, section)

    def nova_conf(self) -> dict[str, str]:
        """Return nova's options."""
        return _options(self._world / "nova.conf", "DEFAULT")

    def sourced(self) -> dict[str, str]:
        """Return what a shell exports that has sourced the tests' rc file."""
        script = f". {shlex.quote(str(self.rc))} && env"
        (self.venv / "bin" / "activate").touch()
        done = subprocess.run(["sh", "-c", script], env={}, capture_output=True, text=True)
        return dict(line.split("=", 1) for line in done.stdout.splitlines())


def _options(file: Path, section: str) -> dict[str, str]:
    parser = configparser.RawConfigParser(default_section="")
    parser.read(file)
    return dict(parser[section])


def _lines(file: Path) -> list[str]:
    return file.read_text().splitlines()


def _call(line: str) -> tuple[str, list[str]]:
    """Take a noted call apart: its phase may be one word or two."""
    words = line.split()
    length = 2 if words[0] == "stack" else 1
    return " ".join(words[:length]), words[length:]


@pytest.fixture
def devstack(tmp_path: Path) -> Devstack:
    """A machine with devstack."""
    return Devstack(tmp_path / "world")


def stacked(outcome: Outcome) -> Outcome:
    """Make sure that stack.sh came to its end."""
    assert outcome.status == 0, outcome.output
    assert not outcome.deaths
    return outcome


class TestStack:
    def test_goes_through_its_phases_in_order(self, devstack):
        done = stacked(devstack.stack())
        called = [
            (phase, words[0])
            for phase, words in done.calls
            if words[0] not in ("sudo", "id", "jq", "openstack")
        ]
        assert called == [
            ("stack pre-install", "bindep"),
            ("stack pre-install", "install_package"),
            ("stack install", "virtualenv"),
            *[("stack install", "python")] * 3,
            ("stack install", BUILD),
            ("stack extra", "start_trove"),
            ("stack extra", BUILD),
            ("stack extra", LOAD),
            ("stack extra", ACTIVATE),
        ]

    def test_installs_what_images_are_built_with(self, devstack):
        done = stacked(devstack.stack())
        assert [words[-2:] for _, words in done.of("bindep")] == [
            [str(devstack.venv.parent / "trove-scenario/integration/bindep.txt"), "image"]
        ]
        assert done.of("install_package")[0][1] == ["install_package", "package-of-image"]

    def test_installs_the_tree_with_its_constraints(self, devstack):
        (_, pip), (_, requirements), (_, tree) = stacked(devstack.stack()).of("python")
        # Debian's own can't take hashes from constraints.
        assert pip[-2:] == ["--upgrade", "pip"]
        root = devstack.venv.parent / "trove-scenario"
        assert f"--constraint {root}/integration/release/constraints.txt" in " ".join(requirements)
        assert f"--requirement {root}/requirements.txt" in " ".join(requirements)
        assert tree[-2:] == ["--editable", str(root)]

    def test_twice_is_the_same_as_once(self, devstack):
        first = stacked(devstack.stack())
        before = devstack.files()
        second = stacked(devstack.run("stack"))
        assert devstack.files() == before
        made = [words for _, words in first.calls if "create" in words]
        assert len(made) == 1
        assert [call for call in first.calls if "create" not in call[1]] == second.calls

    def test_builds_loads_and_activates_each_image(self, devstack):
        done = stacked(
            devstack.stack(f'{LOCAL_CONF}TROVE_DATASTORES="mariadb:11.8 mysql mariadb:10.11"\n')
        )
        extra = [words for phase, words in done.of(*PARSERS) if phase == "stack extra"]
        admin = "--os-cloud devstack-admin"
        assert [" ".join(words) for words in extra] == [
            line
            for datastore, version, activated in (
                ("mariadb", "11.8", True),
                ("mysql", "", True),
                ("mariadb", "10.11", False),
            )
            for line in (
                f"{BUILD} {_target(datastore, version)}",
                f"{LOAD} {_target(datastore, version)} --json {admin} "
                f"--template-path {devstack.conf}/templates",
                f"{ACTIVATE} {datastore} {version or 'newest'}-debian-trixie {admin}",
            )
            if activated or not line.startswith(ACTIVATE)
        ]

    def test_only_root_builds_and_the_tests_own_what_came_of_it(self, devstack):
        done = stacked(devstack.stack())
        as_root = [" ".join(words) for phase, words in done.of("sudo") if phase == "stack extra"]
        build, chown = as_root
        assert build.startswith("sudo -EH env TROVE_SCENARIO_HOME=")
        assert f"/bin/{BUILD} " in build
        assert chown == f"sudo chown -R {os.getuid()} {devstack.home}"

    def test_loads_nothing_where_no_image_is_wanted(self, devstack):
        done = stacked(devstack.stack(f"{LOCAL_CONF}TROVE_ENABLE_IMAGE_BUILD=False\n"))
        assert done.of(*PARSERS, "install_package") == []
        assert devstack.rc.exists()

    def test_keeps_troves_plugin_from_building_another_image(self, devstack):
        done = stacked(devstack.stack(f"{LOCAL_CONF}TROVE_ENABLE_IMAGE_BUILD=True\n"))
        assert done.of("trovestack") == []
        assert done.of(LOAD)

    def test_chooses_as_troves_plugin_does(self, devstack):
        wanted = 'TROVE_DATASTORES="mysql:9.7 postgresql:17 postgresql:15"\n'
        narrowed = "TROVE_DATASTORE_TYPE=postgresql\nTROVE_DATASTORE_VERSION=15\n"
        done = stacked(devstack.stack(LOCAL_CONF + wanted + narrowed))
        ((_, words),) = done.of(LOAD)
        assert " ".join(words).startswith(f"{LOAD} {_target('postgresql', '15')} ")

    def test_a_type_alone_names_the_image(self, devstack):
        done = stacked(devstack.stack(f"{LOCAL_CONF}TROVE_DATASTORE_TYPE=postgresql\n"))
        assert done.of(LOAD)[0][1][:3] == [LOAD, "--datastore", "postgresql"]
        assert devstack.trove_conf()["default_datastore"] == "postgresql"


class TestDownload:
    URL = "https://images.example.org/mariadb.qcow2"

    def test_takes_the_place_of_building(self, devstack):
        text = f'{LOCAL_CONF}TROVE_DATASTORES=mariadb\nTROVE_NON_DEV_IMAGE_URL="{self.URL}"\n'
        done = stacked(devstack.stack(text))
        assert done.of(BUILD, "install_package") == []
        ((_, words),) = done.of(LOAD)
        assert words[1:6] == [*_target("mariadb").split(), self.URL]
        assert "--force" not in words

    def test_brings_one_for_each_datastore(self, devstack):
        urls = f"{self.URL} https://images.example.org/mysql.qcow2"
        text = f'TROVE_DATASTORES="mariadb mysql"\nTROVE_NON_DEV_IMAGE_URL="{urls}"\n'
        done = stacked(devstack.stack(LOCAL_CONF + text))
        assert [words[5] for _, words in done.of(LOAD)] == urls.split()

    def test_takes_foreign_images_and_their_container_images_only_when_told_to(self, devstack):
        url = f'TROVE_NON_DEV_IMAGE_URL="{self.URL}"\n'
        stacked(devstack.stack(LOCAL_CONF + url))
        asked = ("mariadb", "trove-guestagent.conf")
        assert devstack.trove_conf(*asked)["docker_image"] == "mariadb"
        done = stacked(devstack.stack(f"{LOCAL_CONF}{url}TROVE_IMAGE_FORCE=True\n"))
        assert "--force" in done.of(LOAD)[0][1]
        assert devstack.trove_conf(*asked)["docker_image"] == "quay.io/openstack.trove/mariadb"


class TestConfiguration:
    def test_of_trove(self, devstack):
        stacked(devstack.stack(f'{LOCAL_CONF}TROVE_DATASTORES="mariadb mysql"\n'))
        options = devstack.trove_conf()
        assert options["control_exchange"] == "trove"
        assert options["default_datastore"] == "mariadb"
        assert options["template_path"] == f"{devstack.conf}/templates/"
        assert options["http_mgmt_post_rate"] == "10000"

    def test_of_trove_suits_the_guests(self, devstack):
        ours = {
            "use_nova_server_config_drive": "True",
            "injected_config_owner": "trove",
            "injected_config_group": "trove",
            "replica_snapshot_driver": "cinder",
        }
        stacked(devstack.stack())
        assert ours.items() <= devstack.trove_conf().items()
        stacked(devstack.stack(f"{LOCAL_CONF}TROVE_IMAGE_FORCE=True\n"))
        assert not ours.keys() & devstack.trove_conf().keys()

    def test_of_nova_has_room_for_a_run_on_a_small_machine(self, devstack):
        stacked(devstack.stack())
        assert devstack.nova_conf()["cpu_allocation_ratio"] == "16"

    def test_of_trove_lets_a_slow_guest_answer(self, devstack):
        stacked(devstack.stack())
        assert devstack.trove_conf()["agent_call_low_timeout"] == "60"
        stacked(devstack.stack(f"{LOCAL_CONF}TROVE_AGENT_CALL_LOW_TIMEOUT=90\n"))
        assert devstack.trove_conf()["agent_call_low_timeout"] == "90"

    def test_of_trove_can_be_overridden(self, devstack):
        server = "[[post-config|$TROVE_CONF]]\n[DEFAULT]\nmax_backups_per_tenant = 7\n"
        guest = "[[post-config|$TROVE_GUESTAGENT_CONF]]\n[DEFAULT]\ncommand_process_timeout = 300\n"
        stacked(devstack.stack(LOCAL_CONF + server + guest))
        assert devstack.trove_conf()["max_backups_per_tenant"] == "7"
        agent = devstack.trove_conf("DEFAULT", "trove-guestagent.conf")
        assert agent["command_process_timeout"] == "300"

    def test_of_the_tests_are_options_that_there_are(self, devstack):
        stacked(devstack.stack(f"{LOCAL_CONF}TROVE_SCENARIO_TIMEOUT_SCALE=2\n"))
        exported = devstack.sourced()
        del exported["PWD"]
        assert exported == {
            "OS_CLIENT_CONFIG_FILE": "/etc/openstack/clouds.yaml",
            "OS_CLOUD": "devstack",
            "OS_ADMIN_CLOUD": "devstack-admin",
            "TROVE_SCENARIO_DATASTORE": "mysql",
            "TROVE_SCENARIO_DISTRO": "debian-trixie",
            "TROVE_SCENARIO_FLAVOR": "trove-guest",
            "TROVE_SCENARIO_HOME": str(devstack.home),
            "TROVE_SCENARIO_NETWORK": "private",
            "TROVE_SCENARIO_TIMEOUT_SCALE": "2",
        }
        known = {option.variable for option in OPTIONS} | {"TROVE_SCENARIO_HOME"}
        assert {name for name in exported if name.startswith("TROVE_")} <= known

    def test_of_the_tests_name_the_key_of_guests_where_trove_has_made_one(self, devstack):
        key = devstack.home.parent / "id_rsa"
        text = f"{LOCAL_CONF}TROVE_SCENARIO_GUEST_KEY={key}\n"
        stacked(devstack.stack(text))
        assert "TROVE_SCENARIO_GUEST_KEY" not in devstack.sourced()
        key.touch()
        stacked(devstack.stack(text))
        assert devstack.sourced()["TROVE_SCENARIO_GUEST_KEY"] == str(key)

    def test_ends_with_the_command_that_runs_the_tests(self, devstack):
        done = stacked(devstack.stack(f"{LOCAL_CONF}TROVE_DATASTORES=postgresql:17\n"))
        tree = devstack.venv.parent / "trove-scenario"
        assert f"cd {tree} && . {devstack.rc} && pytest -m postgresql" in done.output

    def test_says_it_also_where_the_summary_is_a_file(self, devstack):
        log = "LOGFILE=/tmp/stack.log\n"
        counts = [
            stacked(devstack.stack(LOCAL_CONF + text)).output.count("pytest -m mysql")
            for text in (f"{log}VERBOSE=True\n", f"{log}VERBOSE=False\n", "VERBOSE=True\n")
        ]
        # Beside the summary, which is printed here.
        assert counts == [2, 1, 1]

    @pytest.mark.parametrize(
        ("local_conf", "routers"),
        [
            ("DISTRO=bookworm\n", ["set --external-gateway public --disable-snat router"]),
            ("DISTRO=trixie\n", []),
            ("DISTRO=bookworm\nTROVE_IMAGE_FORCE=True\n", []),
            ("DISTRO=bookworm\nROUTER_ID=\n", []),
        ],
    )
    def test_has_no_answers_translated_by_an_old_ovn(self, devstack, local_conf, routers):
        network = "Q_AGENT=ovn\nROUTER_ID=router\nPUBLIC_NETWORK_NAME=public\n"
        done = stacked(devstack.stack(LOCAL_CONF + network + local_conf))
        admin = "openstack --os-cloud devstack-admin router "
        asked = [" ".join(words) for _, words in done.of("openstack")]
        assert [call.removeprefix(admin) for call in asked if call.startswith(admin)] == routers

    def test_of_the_cloud(self, devstack):
        done = stacked(devstack.stack(f"{LOCAL_CONF}TROVE_GUEST_RAM=1024\n"))
        asked = [" ".join(words) for _, words in done.of("openstack")]
        show, create, quota, network = asked
        admin = "openstack --os-cloud devstack-admin"
        assert show == f"{admin} flavor show trove-guest"
        assert create == f"{admin} flavor create --ram 1024 --vcpus 2 --disk 5 trove-guest"
        assert quota.startswith(f"{admin} quota set --instances -1 ")
        assert quota.endswith(" service")
        assert network == "openstack --os-cloud devstack network show private"
        assert all(phase == "stack extra" for phase, _ in done.of("openstack"))


class TestUndoing:
    def test_unstack_leaves_only_what_is_installed(self, devstack):
        stacked(devstack.stack())
        installed = {name for name in devstack.files() if not name.startswith("etc/")}
        assert devstack.run("unstack").status == 0
        left = set(devstack.files())
        assert left == installed - {str(devstack.rc.relative_to(devstack.rc.parents[1]))}
        assert not (devstack.conf / "templates").exists()

    def test_clean_leaves_nothing(self, devstack):
        devstack.local_conf(LOCAL_CONF)
        before = devstack.files()
        stacked(devstack.stack())
        assert devstack.run("clean").status == 0
        assert devstack.files() == before
        assert not devstack.venv.exists()
        assert not devstack.home.exists()

    def test_clean_keeps_images_that_are_elsewhere(self, devstack):
        stacked(devstack.stack(f"{LOCAL_CONF}TROVE_SCENARIO_HOME=/cache\n"))
        assert devstack.run("clean").status == 0
        assert (devstack.conf.parent / "cache").exists()

    @pytest.mark.parametrize("script", ["unstack", "clean"])
    def test_works_where_nothing_was_stacked(self, devstack, script):
        devstack.local_conf(LOCAL_CONF)
        assert devstack.run(script).status == 0

    def test_stack_can_follow(self, devstack):
        stacked(devstack.stack())
        before = devstack.files()
        for script in ("unstack", "clean", "stack"):
            assert devstack.run(script).status == 0
        assert devstack.files() == before


class TestBadInput:
    """One line that says what is wrong, and names the variable to set."""

    def death(self, outcome):
        assert outcome.status != 0
        (line,) = outcome.deaths
        return line

    def test_an_unknown_datastore(self, devstack):
        with pytest.raises(ScenarioError) as error:
            matrix.load().select("oracle")
        done = devstack.stack(
            f"{LOCAL_CONF}TROVE_DATASTORES=oracle\n", FAILS=BUILD, SAYS=f"{BUILD}: {error.value}"
        )
        line = self.death(done)
        assert line.startswith(f"{BUILD}: There is no datastore 'oracle'; known are: mariadb, m")
        assert line.endswith(
            " In local.conf: TROVE_DATASTORES, TROVE_IMAGE_OS, TROVE_IMAGE_OS_RELEASE."
        )
        # At once, and not when the cloud is up.
        assert done.of(BUILD)[0][0] == "stack install"
        assert "--explain" in done.of(BUILD)[0][1]

    def test_a_url_that_is_no_image(self, devstack):
        said = f"{LOAD}: https://x/y.qcow2 is no disk image: neither qcow2 nor a raw disk."
        text = f"{LOCAL_CONF}TROVE_NON_DEV_IMAGE_URL=https://x/y.qcow2\n"
        line = self.death(devstack.stack(text, FAILS=LOAD, SAYS=said))
        variables = "TROVE_DATASTORES, TROVE_NON_DEV_IMAGE_URL, TROVE_IMAGE_FORCE"
        assert line == f"{said} In local.conf: {variables}."

    def test_more_urls_than_datastores(self, devstack):
        text = f'{LOCAL_CONF}TROVE_NON_DEV_IMAGE_URL="https://x/a https://x/b"\n'
        line = self.death(devstack.stack(text))
        assert line.startswith("TROVE_NON_DEV_IMAGE_URL names 2 images for 1 datastores")

    def test_a_choice_of_nothing(self, devstack):
        text = "TROVE_DATASTORES=mysql:9.7\nTROVE_DATASTORE_TYPE=mariadb\n"
        line = self.death(devstack.stack(LOCAL_CONF + text))
        assert line.startswith("None of TROVE_DATASTORES (mysql:9.7) is what TROVE_DATASTORE_TYPE")

    def test_missing_services(self, devstack):
        line = self.death(devstack.stack(f"{LOCAL_CONF}disable_service c-vol g-api n-sch\n"))
        missing = "services that ENABLED_SERVICES lacks: write enable_service g-api n-sch c-vol"
        assert missing in line

    def test_no_plugin_of_troves_before_it(self, devstack):
        reverse = [LOCAL_CONF.splitlines()[line] for line in (0, 2, 1)]
        line = self.death(devstack.stack("\n".join([*reverse, ""])))
        assert "write enable_plugin trove above enable_plugin trove-scenario" in line

    def test_a_glance_quota_that_is_too_small(self, devstack):
        text = (
            'TROVE_DATASTORES="mysql mariadb:11.8 mariadb:10.11 postgresql:17 postgresql:15 '
            'postgresql:18"\nGLANCE_LIMIT_IMAGE_SIZE_TOTAL=2000\n'
        )
        done = devstack.stack(LOCAL_CONF + text)
        assert self.death(done).endswith("set GLANCE_LIMIT_IMAGE_SIZE_TOTAL=6000.")
        assert done.of("virtualenv") == []
        stacked(devstack.stack(f"{LOCAL_CONF}{text}GLANCE_ENABLE_QUOTAS=False\n"))

    def test_a_glance_quota_that_an_image_does_not_fit_into(self, devstack):
        # As harness/loading.py says it.
        said = f"{LOAD}: Glance has no room (of a devstack: GLANCE_LIMIT_IMAGE_SIZE_TOTAL)."
        assert self.death(devstack.stack(FAILS=LOAD, SAYS=said)).startswith(said)

    def test_stack_sh_as_root(self, devstack):
        done = devstack.stack(STACK_UID="0")
        assert self.death(done) == (
            "stack.sh runs as root: run it as a user who may use sudo, the STACK_USER."
        )
        assert done.of("sudo", "install_package") == []

    def test_no_network(self, devstack):
        devstack.networks("public")
        line = self.death(devstack.stack())
        assert line.startswith("The user demo has no network private for instances: name one in")
        assert "TROVE_SCENARIO_NETWORK" in line


@pytest.fixture(scope="module", params=SAMPLES, ids=lambda sample: sample.stem)
def sampled(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Outcome:
    """What came of stack.sh with a sample."""
    devstack = Devstack(tmp_path_factory.mktemp("sample") / "world")
    return stacked(devstack.stack(request.param.read_text()))


class TestSamples:
    def test_chooses_what_was_tried(self, sampled):
        loaded = sampled.of(LOAD)
        assert loaded
        for _, (_, *words) in loaded:
            asked = image_commands._load_arguments(words)
            target = matrix.load().select(asked.datastore, asked.version, asked.distro)
            assert target.version.distros[target.distro.name], f"{target.name} is untried"

    def test_asks_the_three_commands_what_they_understand(self, sampled):
        for _, (command, *words) in sampled.of(*PARSERS):
            PARSERS[command](words)

    def test_makes_guests_that_are_large_enough(self, sampled):
        (create,) = [words for _, words in sampled.of("openstack") if "create" in words]
        given = dict(zip(create[5:-1:2], create[6:-1:2], strict=True))
        for datastore in matrix.load().datastores.values():
            assert int(given["--ram"]) >= datastore.guest_ram_mb
            assert int(given["--disk"]) >= datastore.guest_disk_gb


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: sample.stem)
def test_a_sample_asks_nothing_of_who_uses_it(sample):
    for name in ("ADMIN", "DATABASE", "RABBIT", "SERVICE"):
        assert re.search(rf"^{name}_PASSWORD=", sample.read_text(), re.MULTILINE)


@pytest.fixture(scope="module")
def defaults() -> dict[str, str]:
    """The plugin's variables, and their values where local.conf says nothing."""
    script = """
        define_plugin() { :; }; plugin_requires() { :; }; trueorfalse() { echo "$1"; }
        DEST=/opt/stack DATA_DIR=/opt/stack/data
        . ./override-defaults; . ./settings
        for name in $(compgen -v TROVE_) GLANCE_LIMIT_IMAGE_SIZE_TOTAL SWIFT_LOOPBACK_DISK_SIZE; do
            echo "$name=${!name}"
        done"""
    done = subprocess.run(
        ["bash", "-c", script],
        cwd=PLUGIN,
        env={"PATH": os.environ["PATH"], "HOME": "$HOME"},
        capture_output=True,
        text=True,
        check=True,
    )
    return dict(line.split("=", 1) for line in done.stdout.splitlines())


def test_guests_ask_for_the_container_images_that_are_in_them(defaults):
    for name, datastore in matrix.load().datastores.items():
        of = "MARIAD" if name == "mariadb" else name.upper()
        assert defaults[f"TROVE_DATABASE_IMAGE_{of}"] == datastore.docker_image
        of = name.upper()
        assert defaults[f"TROVE_DATABASE_BACKUP_IMAGE_{of}"] == datastore.backup_docker_image


def test_the_default_distribution_is_the_matrixs(defaults):
    known = {each.default_distro for each in matrix.load().datastores.values()}
    assert {f"{defaults['TROVE_IMAGE_OS']}-{defaults['TROVE_IMAGE_OS_RELEASE']}"} == known


def test_the_readme_has_every_variable_with_its_default(defaults):
    text = (PLUGIN / "README.md").read_text()
    told = dict(re.findall(r"^\| `(\w+)` \| `?(.*?)`? \|", text, re.MULTILINE))
    # What the plugin makes of them itself.
    inner = {f"TROVE_TESTS_{name}" for name in ("DIR", "IMAGES", "DATASTORES", "IMAGE_URLS")}
    settable = {
        name: value.replace("/opt/stack/data", "$DATA_DIR").replace("/opt/stack", "$DEST")
        for name, value in defaults.items()
        if name not in inner and not name.startswith("TROVE_DATABASE_")
    }
    assert told == {
        **settable,
        "TROVE_ENABLE_IMAGE_BUILD": "True",
        "TROVE_DATASTORE_TYPE": "",
        "TROVE_DATASTORE_VERSION": "",
    }


def _target(datastore: str, version: str = "") -> str:
    words = f"--datastore {datastore} --distro debian-trixie"
    return f"{words} --version {version}" if version else words
