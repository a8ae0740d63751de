"""Passwords: made here, remembered here, and taken out of all that is shown."""

import logging
import re
import secrets
from collections.abc import Callable
from typing import Any

HIDDEN = "[hidden]"
_known: set[str] = set()
# A guest agent may log its statements, the environment and the commands of its containers,
# with passwords that only it knows, and with tokens of whoever asked it for a backup.
_IN_STATEMENTS = re.compile(
    r"((?:IDENTIFIED\s(?:WITH\s\S+\s)?BY|PASSWORD)\s+)'[^']*'", re.IGNORECASE
)
_IN_SETTINGS = re.compile(
    r"((?:password|token|secret)['\"]?\s*[:=]\s*['\"]?)[\w-]{12,}(?![\w.(-])", re.IGNORECASE
)
# However it is called: a token of keystone.
_TOKENS = re.compile(r"gAAAAA[\w-]{20,}={0,2}")


def new_password() -> str:
    """Return a new random password that ``redact`` will hide from now on."""
    return remember(secrets.token_urlsafe(18))


def remember(secret: str) -> str:
    """Have ``redact`` hide ``secret``, made elsewhere; returns it."""
    if secret:
        _known.add(secret)
    return secret


def known() -> frozenset[str]:
    """Return the secrets known to this process, for who looks whether one has been told."""
    return frozenset(_known)


def redact(text: str) -> str:
    """Return ``text`` without any secret known to this process, or that is told as one."""
    for secret in _known:
        text = text.replace(secret, HIDDEN)
    text = _IN_STATEMENTS.sub(rf"\1'{HIDDEN}'", text)
    return _IN_SETTINGS.sub(rf"\1{HIDDEN}", _TOKENS.sub(HIDDEN, text))


def redact_log() -> Callable[[], None]:
    """Take secrets out of whatever this process logs, before anything handles it.

    Returns:
        what ends that.
    """
    make = logging.getLogRecordFactory()
    formatter = logging.Formatter()

    def redacted(*args: Any, **kwargs: Any) -> logging.LogRecord:
        record = make(*args, **kwargs)
        try:
            message = record.getMessage()
        except Exception:  # a handler that complained would show the arguments
            message = f"{record.msg} (its arguments don't fit)"
        record.msg, record.args = redact(message), None
        if record.exc_info:
            record.exc_text = redact(formatter.formatException(record.exc_info))
        return record

    logging.setLogRecordFactory(redacted)
    return lambda: logging.setLogRecordFactory(make)
