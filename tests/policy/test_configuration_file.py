from __future__ import annotations

from pathlib import Path

import pytest

from minimize.errors import PolicyError
from minimize.policy.load import load_policy

POLICY = "policy: p\nversion: 1\npurposes: [operations]\nfields:\n  a: {type: string}\n"


def test_an_unknown_key_of_the_configuration_is_reported_with_its_line(tmp_path: Path) -> None:
    (tmp_path / "policy.yaml").write_text(POLICY)
    (tmp_path / "minimize.yaml").write_text("keys: my.keys\nledgr: out/ledger.db\n")
    with pytest.raises(PolicyError) as caught:
        load_policy(tmp_path)
    (finding,) = caught.value.findings
    assert (finding.code, finding.line, finding.hint) == ("P004", 2, "Did you mean `ledger`?")
