"""Whose fault a failure probably is: the cloud's around Trove, Trove's, or the test's own."""

import errno
import re
from collections.abc import Iterator
from enum import StrEnum

import psycopg
import pymysql
from keystoneauth1 import exceptions as keystone_errors
from openstack import exceptions as sdk_errors
from troveclient import exceptions as trove_errors

from trove.tests.common.errors import ScenarioError
from trove.tests.harness import sql
from trove.tests.harness.condition import SpoiltError
from trove.tests.harness.guest_health import GuestErrors
from trove.tests.harness.run import SharedError
from trove.tests.harness.waiting import OutOfTimeError, WaitError, is_transient
from trove.tests.harness.workload import LostDataError


class Culprit(StrEnum):
    """Who is likely to be at fault; the first word of a failure's summary."""

    ENVIRONMENT = "ENVIRONMENT"
    PRODUCT = "PRODUCT"
    TEST = "TEST"


class CloudFailure(ScenarioError):
    """The cloud around Trove fails: given to an error as its cause by who finds that out."""


# How services, and Trove in their words, say that the cloud has no room.
NO_ROOM = re.compile(
    r"No valid host was found|[Qq]uota exceeded|OverQuota|No space left on device"
    r"|Maximum number of .* exceeded",
)
# A database that doesn't answer is Trove's, whatever a socket says of it.
_DATABASE = (
    sql.AccessRefusedError,
    sql.CannotConnectError,
    sql.UntrustedServerError,
    pymysql.Error,
    psycopg.Error,
)
_PRODUCT = (AssertionError, WaitError, LostDataError, GuestErrors, trove_errors.ClientException)
_SERVICES = (sdk_errors.SDKException, keystone_errors.ClientException)


def likely(error: BaseException) -> Culprit:
    """Return who is likely to be at fault for an error that a test, or a fixture, has raised."""
    chain = list(_chain(error))
    if any(isinstance(each, SpoiltError) for each in chain):
        return Culprit.TEST
    if any(isinstance(each, _DATABASE) for each in chain):
        return Culprit.PRODUCT
    if any(isinstance(each, CloudFailure) or _is_of_environment(each) for each in chain):
        return Culprit.ENVIRONMENT
    for each in chain:
        if isinstance(each, SharedError):
            return Culprit(each.culprit)
    if any(isinstance(each, _PRODUCT) for each in chain):
        return Culprit.PRODUCT
    # What explains itself and is none of those was said while all was being prepared.
    return Culprit.ENVIRONMENT if isinstance(error, ScenarioError) else Culprit.TEST


def lay_to_cloud(error: BaseException, reason: str) -> None:
    """Give an error the cloud's failure as the first of its causes."""
    first = list(_chain(error))[-1]
    if not isinstance(first, CloudFailure):
        first.__cause__ = CloudFailure(reason)


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)


def _is_of_environment(error: BaseException) -> bool:
    if isinstance(error, OutOfTimeError):
        return True
    if isinstance(error, OSError) and error.errno == errno.ENOSPC:
        return True
    if isinstance(error, (WaitError, trove_errors.ClientException)) and NO_ROOM.search(str(error)):
        return True
    if isinstance(error, trove_errors.ClientException):
        # A failure within Trove is Trove's; that nobody answers for it is not.
        return getattr(error, "http_status", None) in (502, 503, 504)
    return isinstance(error, (OSError, *_SERVICES)) and is_transient(error)
