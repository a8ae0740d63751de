"""What a run's results are true of, for whoever reads them somewhere else."""

from trove.tests.common import release
from trove.tests.harness.run import Run


def facts(run: Run) -> dict[str, str]:
    """Return what a run tested, by names for people.

    That is its id, the server series of this tree and, as far as the run has come, the
    cloud, its datastore versions and the keys of their guest images, besides what else
    stands at the head of the journal.
    """
    head = run.journal.facts()
    known = {"run": run.id, "series": release.load().series}
    if "user" in head:
        known["cloud"] = head["user"]
    if versions := run.made("version"):
        known["datastore versions"] = ", ".join(
            f"{version['datastore']} {version['name']}" for version in versions.values()
        )
    if images := run.made("image"):
        known["image keys"] = ", ".join(f"{name}={each['key']}" for name, each in images.items())
    others = {name for name, value in head.items() if value} - {"event", "at", "user"}
    return known | {name: str(head[name]) for name in sorted(others)}
