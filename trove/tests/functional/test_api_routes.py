"""The routes that operations are listed for are those of the server that is pinned."""

import subprocess

from trove.tests.common import paths
from trove.tests.embedded import packages


def test_the_routes_are_those_of_the_pinned_server(tmp_path):
    python = packages.services_environment(tmp_path / "install.log") / "bin/python"
    program = paths.ROOT / "tools/list-api-routes"

    done = subprocess.run(
        [python, program], capture_output=True, text=True, timeout=120, check=False
    )

    assert done.returncode == 0, done.stderr
    written = paths.RELEASE / "api-routes.txt"
    assert done.stdout == written.read_text(), f"write it anew: {python} {program} > {written}"
