"""Passwords: made here, remembered here, and taken out of all that is shown."""

import secrets

HIDDEN = "[hidden]"
_known: set[str] = set()


def new_password() -> str:
    """Return a new random password that ``redact`` will hide from now on."""
    return remember(secrets.token_urlsafe(18))


def remember(secret: str) -> str:
    """Have ``redact`` hide ``secret``, made elsewhere; returns it."""
    if secret:
        _known.add(secret)
    return secret


def redact(text: str) -> str:
    """Return ``text`` without any secret known to this process."""
    for secret in _known:
        text = text.replace(secret, HIDDEN)
    return text
