"""The elements: what can be said of them without building an image."""

import functools
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import diskimage_builder
import pytest
import yaml
from diskimage_builder import element_dependencies

from trove.tests.common import matrix, paths
from trove.tests.harness import images, layers

ELEMENTS = sorted(path for path in paths.ELEMENTS.iterdir() if path.is_dir())
OTHERS = Path(diskimage_builder.__path__[0]) / "elements"
DISTROS = matrix.load().distros

HEAD = """#!/bin/bash
if [ "${DIB_DEBUG_TRACE:-0}" -gt 0 ]; then
    set -x
fi
set -eu
set -o pipefail
"""

each_element = pytest.mark.parametrize("element", ELEMENTS, ids=lambda path: path.name)
each_distro = pytest.mark.parametrize("distro", DISTROS.values(), ids=lambda distro: distro.name)


def files(element):
    return sorted(path for path in element.rglob("*") if path.is_file())


def hooks(element):
    """The programs that diskimage-builder runs; what it sources is none of them."""
    return [path for path in files(element) if re.fullmatch(r"(?!environment).*\.d", folder(path))]


def folder(path):
    return path.parent.name


def listed(element, name):
    file = element / name
    return file.read_text().split() if file.exists() else []


def packages(element):
    file = element / "package-installs.yaml"
    return sorted(yaml.safe_load(file.read_text())) if file.exists() else []


def with_dependencies(elements):
    """The folders of elements and all that they depend on, as diskimage-builder finds them."""
    found = element_dependencies.get_elements(elements, f"{paths.ELEMENTS}:{OTHERS}")
    return {name: Path(place) for name, place in found}


@functools.cache
def environment(distro):
    """The variables that tell a distribution, as the elements it begins with set them."""
    scripts = sorted(
        (
            script
            for place in with_dependencies([distro.element]).values()
            for script in place.glob("environment.d/*")
            if "DISTRO_NAME=" in script.read_text()
        ),
        key=lambda script: script.name,
    )
    sourced = "".join(f". {script}; " for script in scripts)
    shown = subprocess.run(
        ["bash", "-euc", f'{sourced}echo "$DISTRO_NAME $DIB_RELEASE"'],
        env={"PATH": os.environ["PATH"], "DIB_RELEASE": distro.release},
        capture_output=True,
        text=True,
        check=True,
    )
    return shown.stdout.split()


@functools.cache
def resolve(pkg_map, distro, *names):
    """The names that diskimage-builder's own program gives a distribution's packages.

    It fails where the map says nothing of a package.
    """
    name, release = environment(distro)
    program = [sys.executable, OTHERS / "pkg-map/bin/pkg-map", "--pkg-map", pkg_map]
    asked = ["--distro", name, "--release", release, *names]
    return subprocess.run([*program, *asked], capture_output=True, text=True, check=False)


@each_element
class TestEveryElement:
    def test_says_in_its_readme_what_its_variables_are(self, element):
        readme = (element / "README.rst").read_text()
        sources = [path for path in files(element) if path.name != "README.rst"]
        read = {
            name for path in sources for name in re.findall(r"\bDIB_TROVE_\w+", path.read_text())
        }
        assert {name for name in read if f"``{name}``" not in readme} == set()

    def test_has_its_name_as_title(self, element):
        above, title, below = (element / "README.rst").read_text().splitlines()[:3]
        assert title == element.name
        assert above == below == "=" * len(title)

    def test_says_where_it_was_built(self, element):
        readme = (element / "README.rst").read_text()
        said = re.findall(r"^(?:Built on|Declared, not built): ([^.]+)\.$", readme, re.MULTILINE)
        names = sorted(name for line in said for name in line.split(", "))
        serves = [name for name, distro in DISTROS.items() if distro.element == element.name]
        assert names == sorted(serves or DISTROS)

    def test_has_hooks_that_run_and_stop_at_a_failure(self, element):
        for hook in hooks(element):
            assert os.access(hook, os.X_OK), hook
            assert hook.read_text().startswith(HEAD), hook

    def test_sources_only_what_sets_variables(self, element):
        for script in element.glob("environment.d/*"):
            assert script.suffix == ".bash"
            assert not os.access(script, os.X_OK), script

    def test_builds_on_elements_that_exist(self, element):
        named = listed(element, "element-deps") + listed(element, "element-provides")
        virtual = {"operating-system"}
        known = {path.name for path in ELEMENTS} | {path.name for path in OTHERS.iterdir()}
        assert set(named) <= known | virtual

    def test_names_no_registry(self, element):
        for path in files(element):
            hosts = re.findall(r"\b[\w-]+\.(?:com|dev|io|net|org)[:/]\S*", path.read_text())
            assert [host for host in hosts if host != "docker.io:"] == [], path

    def test_asks_for_no_package_without_saying_what_others_call_it(self, element):
        assert bool(packages(element)) == (element / "pkg-map").exists()


@each_distro
def test_a_distribution_is_one_that_packages_are_mapped_for(distro):
    name, release = environment(distro)
    assert distro.name == f"{name}-{release}"


@each_distro
def test_what_a_distribution_needs_of_the_machine_is_known(distro):
    begun = with_dependencies([distro.element])
    tool = layers._TOOLS.get(distro.element)
    assert ("containerfile" in begun) == (tool is layers._PODMAN)
    assert ("ubuntu-common" in begun) == (tool is not None and "ubuntu" in tool.name)


def test_a_layer_provides_what_is_in_it():
    below = set(listed(paths.ELEMENTS / "trove-layer-distro", "element-provides"))
    provided = set(listed(paths.ELEMENTS / "trove-layer-guest", "element-provides"))
    assert provided == below | set(layers._GUEST)


@each_distro
def test_every_layer_has_the_elements_it_depends_on(distro):
    begun = with_dependencies(layers._distro_elements(distro, tuned=True))
    assert {"package-installs", "pkg-map"} <= begun.keys()
    guest = with_dependencies(["trove-layer-distro", *layers._GUEST])
    target = matrix.load().select("mysql", distro=distro.name)
    disk = with_dependencies(["trove-layer-guest", *images._elements(target, tuned=True)])
    assert not {layers._CLOUD_INIT, "package-installs"} & (guest.keys() | disk.keys())
    # It enables services that not every distribution has.
    assert "cloud-init" not in begun.keys() | guest.keys() | disk.keys()
    # A container's root is described by release.
    if "containerfile" in begun:
        assert any((place / "containerfiles" / distro.release).exists() for place in begun.values())


@each_distro
@pytest.mark.parametrize(
    "element", [one for one in ELEMENTS if packages(one)], ids=lambda path: path.name
)
def test_every_package_has_a_name_or_none_on_purpose(element, distro):
    done = resolve(element / "pkg-map", distro, *packages(element))
    assert done.returncode == 0, done.stderr


@each_distro
def test_the_merged_map_says_the_same(tmp_path, distro):
    layers._write_packages_element(tmp_path / "merged")
    merged = tmp_path / "merged/pkg-map"
    for element in (paths.ELEMENTS / name for name in layers._WITH_PACKAGES):
        if packages(element):
            alone = resolve(element / "pkg-map", distro, *packages(element)).stdout
            assert resolve(merged, distro, *packages(element)).stdout == alone


@pytest.mark.parametrize(
    ("distro", "expected"),
    [
        ("debian-trixie", {"docker.io", "docker-cli"}),
        ("debian-bookworm", {"docker.io"}),
        ("ubuntu-noble", {"docker.io"}),
        ("ubuntu-resolute", {"docker.io"}),
        ("rocky-9", {"docker-ce", "docker-ce-cli"}),
        ("rocky-10", {"docker-ce", "docker-ce-cli"}),
        ("fedora-44", {"moby-engine", "docker-cli"}),
    ],
)
def test_docker_is_what_the_distribution_calls_it(distro, expected):
    pkg_map = paths.ELEMENTS / "trove-container-runtime/pkg-map"
    done = resolve(pkg_map, DISTROS[distro], "docker-cli", "docker.io")
    assert set(done.stdout.split()) == expected


@pytest.mark.parametrize(("distro", "expected"), [("rocky-9", "python3.11\n"), ("rocky-10", "")])
def test_a_newer_python_is_installed_where_the_default_one_is_too_old(distro, expected):
    pkg_map = paths.ELEMENTS / "trove-guest-agent/pkg-map"
    assert resolve(pkg_map, DISTROS[distro], "python3.11").stdout == expected


@pytest.fixture
def guest(tmp_path) -> Path:
    """A guest's folders, with a systemctl in ``bin`` that notes what it is asked to enable."""
    for folder in ("usr/lib/systemd/system", "bin"):
        (tmp_path / folder).mkdir(parents=True)
    systemctl = tmp_path / "bin/systemctl"
    systemctl.write_text(f'#!/bin/sh\nshift\nprintf "%s\\n" "$@" >> {tmp_path}/enabled\n')
    systemctl.chmod(0o755)
    return tmp_path


def run_in(guest, element, hook):
    """Run a hook of an element so that it sees a guest's folders for its own."""
    text = (element / hook).read_text().replace("/tmp/in_target.d/", f"{element}/")
    text = re.sub("(?<=[ =])/(?=usr/|etc/)", f"{guest}/", text)
    path = {"PATH": f"{guest / 'bin'}:{os.environ['PATH']}"}
    subprocess.run(["bash", "-c", text], env=path, check=True)


@pytest.mark.parametrize(
    "stages",
    [["cloud-init"], ["cloud-init-main", "cloud-init-network"]],
    ids=["up_to_24.2", "since_24.3"],
)
def test_those_services_of_cloud_init_are_enabled_that_there_are(guest, stages):
    units = guest / "usr/lib/systemd/system"
    for stage in stages:
        (units / f"{stage}.service").touch()
    # Another name of one is nothing to enable.
    if "cloud-init" not in stages:
        (units / "cloud-init.service").symlink_to(f"{stages[-1]}.service")

    run_in(guest, paths.ELEMENTS / layers._CLOUD_INIT, "post-install.d/20-cloud-init")

    wanted = {*stages, "cloud-config", "cloud-final", "cloud-init-local"}
    assert set((guest / "enabled").read_text().split()) == {f"{name}.service" for name in wanted}
    assert (guest / "etc/cloud/cloud.cfg.d/90_trove_cloud_init.cfg").exists()


def test_the_message_bus_is_masked_only_where_the_network_does_without():
    tuning = paths.ELEMENTS / layers.TUNING
    assert "dbus" not in (tuning / "trove-guest-tuning-files/masked-units").read_text()
    choice = "if [ -e /usr/lib/systemd/system/systemd-networkd.service ]; then"
    _, _, networkd = (tuning / "post-install.d/80-tune-guest").read_text().partition(choice)
    assert "dbus.service dbus.socket" in networkd.partition("\nfi\n")[0]
    assert choice in (paths.ELEMENTS / "trove-guest-network/post-install.d/80-network").read_text()


def test_docker_is_stopped_before_containerd_and_so_ends_its_containers_in_order():
    docker = paths.ELEMENTS / layers.TUNING / "trove-guest-tuning-files/docker.service"
    before = re.findall(r"^After=(.*)$", docker.read_text(), re.MULTILINE)
    assert "containerd.service" in " ".join(before).split()


def test_maps_for_other_elements_packages_name_elements_that_exist():
    maps = (paths.ELEMENTS / "trove-guest-kernel/trove-guest-kernel-files").glob("*.pkg-map")
    for pkg_map in maps:
        wanted = yaml.safe_load((OTHERS / pkg_map.stem / "package-installs.yaml").read_text())
        assert json.loads(pkg_map.read_text())["default"].keys() <= wanted.keys()
