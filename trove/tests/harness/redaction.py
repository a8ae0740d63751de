"""Passwords: made here, remembered here, and taken out of all that is shown."""

import re
import secrets

HIDDEN = "[hidden]"
_known: set[str] = set()
# A guest agent may log its statements, with passwords that only it knows.
_IN_STATEMENTS = re.compile(r"(IDENTIFIED\s(?:WITH\s\S+\s)?BY\s+)'[^']*'", re.IGNORECASE)


def new_password() -> str:
    """Return a new random password that ``redact`` will hide from now on."""
    return remember(secrets.token_urlsafe(18))


def remember(secret: str) -> str:
    """Have ``redact`` hide ``secret``, made elsewhere; returns it."""
    if secret:
        _known.add(secret)
    return secret


def redact(text: str) -> str:
    """Return ``text`` without any secret known to this process, or set in SQL."""
    for secret in _known:
        text = text.replace(secret, HIDDEN)
    return _IN_STATEMENTS.sub(rf"\1'{HIDDEN}'", text)
