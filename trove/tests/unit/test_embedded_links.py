"""Links of clouds to this machine, as far as that takes no root."""

import pytest

from trove.tests.common.errors import ScenarioError
from trove.tests.embedded import links


def test_a_machine_that_takes_no_route_is_told_in_one_sentence(monkeypatch, tmp_path):
    (tmp_path / "ip").write_text("#!/bin/sh\necho Operation not permitted >&2; exit 2\n")
    (tmp_path / "ip").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ScenarioError, match=r"no network route \(Operation not permitted\); this"):
        links.claim(tmp_path)
