"""Configuration templates of this tree that take the place of the server's own."""

import shutil
from pathlib import Path

from trove.tests.common import progress, release
from trove.tests.common.errors import ScenarioError
from trove.tests.common.matrix import Target


def install(target: Target, folder: Path | None) -> list[Path]:
    """Put a version's templates where the server looks for them; return the files.

    Args:
        target: whose templates.
        folder: what the server's option ``template_path`` names, on this machine; without
            it the user is told where the templates are, if the version has any.

    Raises:
        ScenarioError: the folder can't be written to.
    """
    source = release.TEMPLATES / target.datastore.name / target.version.name
    if not source.is_dir():
        return []
    if folder is None:
        progress.say(
            f"{target.datastore.name} {target.version.name} needs configuration templates of its "
            f"own: the server's template_path must have those of {release.TEMPLATES}"
        )
        return []
    place = folder / target.datastore.name / target.version.name
    try:
        place.mkdir(parents=True, exist_ok=True)
        return [Path(shutil.copy(file, place)) for file in sorted(source.iterdir())]
    except OSError as error:
        raise ScenarioError(f"Templates can't be put into {place}: {error.strerror}.") from None
