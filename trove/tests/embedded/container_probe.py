"""A tiny container."""


def fault() -> str | None:
    """Return."""
    return None
