"""Name things by what goes into them."""

import hashlib
from collections.abc import Iterable, Iterator
from pathlib import Path


def key(parts: Iterable[Path | str]) -> str:
    """Return a short hash of texts, files and folders.

    Of a file it is the content and the executable bit that count, of a folder
    also the names in it; times and owners don't.
    """
    total = hashlib.sha256()
    for part in parts:
        for name, content in _contents(part):
            total.update(f"{name}\0{len(content)}\0".encode())
            total.update(content)
    return total.hexdigest()[:20]


def digest(file: Path) -> str:
    """Return the SHA-256 of a file's content."""
    with file.open("rb") as data:
        return hashlib.file_digest(data, "sha256").hexdigest()


def _contents(part: Path | str) -> Iterator[tuple[str, bytes]]:
    if isinstance(part, str):
        yield "", part.encode()
        return
    files = sorted(part.rglob("*")) if part.is_dir() else [part]
    for file in files:
        if file.is_file() and "__pycache__" not in file.parts:
            executable = "x" if file.stat().st_mode & 0o100 else "-"
            yield f"{file.relative_to(part.parent)} {executable}", file.read_bytes()
