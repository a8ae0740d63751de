"""No proxy is asked for an embedded cloud; others are asked for what they were."""

import os

import pytest
from requests.utils import should_bypass_proxies

from trove.tests.common import proxies

VARIABLES = ("no_proxy", "NO_PROXY")
CLOUD = "https://198.19.255.2:5000/v3"
ELSEWHERE = "https://cloud.example/v3"


@pytest.fixture(autouse=True)
def _nothing_set(monkeypatch):
    for name in VARIABLES:
        monkeypatch.setenv(name, "")


def test_a_cloud_is_asked_directly_and_nobody_else(monkeypatch):
    monkeypatch.setenv("https_proxy", "http://proxy.example:3128")
    assert not should_bypass_proxies(CLOUD, no_proxy=None)
    proxies.bypass()
    assert should_bypass_proxies(CLOUD, no_proxy=None)
    assert should_bypass_proxies("http://127.0.0.1:5000/v3", no_proxy=None)
    assert not should_bypass_proxies(ELSEWHERE, no_proxy=None)


@pytest.mark.parametrize("variable", VARIABLES)
def test_whom_the_user_asks_directly_is_still_asked_so(monkeypatch, variable):
    monkeypatch.setenv(variable, "cloud.example, 10.0.0.0/8")
    proxies.bypass()
    proxies.bypass()
    expected = "cloud.example,10.0.0.0/8,198.18.0.0/15,127.0.0.1"
    assert [os.environ[name] for name in VARIABLES] == [expected, expected]


def test_where_no_proxy_is_asked_at_all_none_is(monkeypatch):
    monkeypatch.setenv("no_proxy", "*")
    proxies.bypass()
    assert os.environ["no_proxy"] == "*"
    assert should_bypass_proxies(ELSEWHERE, no_proxy=None)
