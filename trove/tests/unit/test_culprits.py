"""Who is laid a failure to."""

import errno

import psycopg
import pytest
import requests
from keystoneauth1 import exceptions as keystone_errors
from openstack import exceptions as sdk_errors
from troveclient import exceptions as trove_errors

from trove.tests.common.errors import ScenarioError
from trove.tests.harness.condition import SpoiltError
from trove.tests.harness.culprits import likely
from trove.tests.harness.sql import CannotConnectError
from trove.tests.harness.waiting import FailedStateError, WaitTimeoutError
from trove.tests.harness.workload import LostDataError


def answer(status: int) -> requests.Response:
    answer = requests.Response()
    answer.status_code = status
    return answer


def because(cause: Exception, error: Exception) -> Exception:
    error.__cause__ = cause
    return error


@pytest.mark.parametrize(
    "error",
    [
        requests.ConnectionError("refused"),
        requests.exceptions.JSONDecodeError("no JSON", "<html>", 0),
        keystone_errors.ConnectFailure("refused"),
        sdk_errors.HttpException("broken", response=answer(500)),
        trove_errors.ServiceUnavailable("nobody there"),
        OSError(errno.ENOSPC, "No space left on device"),
        FailedStateError("instance x: it is ERROR; fault: No valid host was found."),
        because(
            trove_errors.RequestEntityTooLarge("Quota exceeded"),
            ScenarioError("Trove refuses"),
        ),
        because(requests.ConnectionError("refused"), WaitTimeoutError("not within 60 s")),
        ScenarioError("The image can't be built."),
    ],
    ids=repr,
)
def test_the_environment(error):
    assert likely(error) == "ENVIRONMENT"


@pytest.mark.parametrize(
    "error",
    [
        AssertionError("1 == 2"),
        WaitTimeoutError("not within 60 s"),
        FailedStateError("instance x: it is ERROR; fault: the agent says no"),
        LostDataError("row 7"),
        trove_errors.InternalServerError("broken"),
        because(trove_errors.BadRequest("no"), ScenarioError("Trove refuses")),
        because(ConnectionRefusedError(), CannotConnectError("nobody answers")),
        psycopg.OperationalError("it has ended"),
    ],
    ids=repr,
)
def test_the_product(error):
    assert likely(error) == "PRODUCT"


@pytest.mark.parametrize(
    "error", [TypeError("no such argument"), SpoiltError("left changed")], ids=repr
)
def test_the_test_itself(error):
    assert likely(error) == "TEST"
