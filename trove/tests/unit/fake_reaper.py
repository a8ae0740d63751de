"""The reaper of runs on the cloud of files."""

from trove.tests.harness import reaper
from trove.tests.harness.run import Run

_clean_up = reaper.clean_up


def _on_files(run: Run) -> None:
    # Here, for while it waits it is to be small.
    from trove.tests.unit import fake_cloud  # noqa: F401 -- it takes the real one's place

    _clean_up(run)


reaper.clean_up = _on_files

if __name__ == "__main__":
    reaper.main()
