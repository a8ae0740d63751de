"""Folders for the duration of something: nobody's stay behind for good."""

import subprocess
import sys

from trove.tests.common import paths, scratch

_HOLD = """
import sys, time
from pathlib import Path
from trove.tests.common import scratch
with scratch.folder("work", Path(sys.argv[1])) as folder:
    (folder / "file").touch()
    print(folder, flush=True)
    time.sleep(600)
"""


def folders(within):
    return {str(each) for each in within.glob("work-*")}


def test_it_is_there_for_as_long_as_the_block_and_nobody_else_reads_it(tmp_path):
    with scratch.folder("work", tmp_path / "within") as folder:
        assert folder.parent == tmp_path / "within"
        assert folder.stat().st_mode & 0o777 == 0o700
        assert list(folder.iterdir()) == []
    assert list((tmp_path / "within").iterdir()) == []


def test_what_a_killed_process_had_goes_and_what_a_living_one_has_stays(tmp_path):
    released = []
    holders = [
        subprocess.Popen(
            [sys.executable, "-c", _HOLD, tmp_path],
            stdout=subprocess.PIPE,
            cwd=paths.ROOT,
            text=True,
        )
        for _ in range(2)
    ]
    killed, living = (holder.stdout.readline().strip() for holder in holders)
    holders[0].kill()
    holders[0].wait()
    try:
        with scratch.folder("work", tmp_path, released.append) as folder:
            assert folders(tmp_path) == {living, str(folder)}
        assert list(map(str, released)) == [killed, str(folder)]
    finally:
        for holder in holders:
            holder.kill()
            holder.communicate()
