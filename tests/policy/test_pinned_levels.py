"""Levels that a search chose, written into policies: only the chosen values change, in every style of YAML."""

from __future__ import annotations

from pathlib import Path

import pytest

from minimize.drafting.pinned_levels import pin_levels
from minimize.errors import ConfigurationError
from minimize.policy.load import load_pipeline
from minimize.receipts import RiskEntry
from tests.receipts.make import small

HEAD = """policy: levels
version: 1
purposes: [service_maintenance]
tenant: tenant_id
subject: device_id
time: event_time
retention: 30d
fields:
  tenant_id:  {type: string, do: keep}
  device_id:  {type: string, role: identifier, do: drop}
  event_time: {type: timestamp, do: drop}
"""
PIPELINE = """pipeline: levels
policy: policy.yaml
purpose: service_maintenance
source: {path: "data/*.ndjson", format: ndjson}
output: out
records:
  risk:
    quasi_identifiers: [os]   # what colleagues see
    require: {k: 3}
    otherwise: generalize     # reviewed monthly
"""
FLOW = HEAD + "  os: {type: string, role: quasi, do: {truncate_version: {parts: auto}}, about: version}  # coarse\n"
BLOCK = """  os:
    type: string
    role: quasi
    do:
      truncate_version: {parts: auto}
    # below the technique
    optional: true
"""
LIST = """  os:
    type: string
    do:
      - keep
      - truncate_version:
          parts: auto
    role: quasi
"""


@pytest.mark.parametrize("fields", [FLOW, HEAD + BLOCK, HEAD + LIST], ids=["flow", "block", "list"])
@pytest.mark.parametrize("newline", ["\n", "\r\n"], ids=["lf", "crlf"])
def test_a_chosen_level_replaces_auto_and_nothing_else(tmp_path: Path, fields: str, newline: str) -> None:
    policy, pipeline = tmp_path / "policy.yaml", tmp_path / "pipeline.yaml"
    policy.write_bytes(fields.replace("\n", newline).encode())
    pipeline.write_bytes(PIPELINE.replace("\n", newline).encode())
    receipt = small(1, dates=("2026-11-24",), risk=RiskEntry(k=3, levels={"os": 1}))
    levels = pin_levels(load_pipeline(tmp_path), [receipt], write=True)
    assert [(each.field, each.level) for each in levels.levels] == [("os", 1)]
    changed = load_pipeline(tmp_path)
    assert changed.records is not None
    assert changed.records.risk is not None
    assert changed.records.risk.otherwise == "suppress"
    treatment = changed.policy.fields["os"].do
    assert not isinstance(treatment, str)
    assert treatment[-1].parameters() == {"parts": 2}
    assert changed.policy.fields["os"].role == "quasi"
    text = policy.read_bytes().decode()
    assert text.count(newline) == text.count("\n")
    comments = [line.partition("#")[2] for line in fields.splitlines() if "#" in line]
    assert all(comment in text for comment in comments)


def test_without_chosen_levels_nothing_is_written(tmp_path: Path) -> None:
    (tmp_path / "policy.yaml").write_text(FLOW)
    (tmp_path / "pipeline.yaml").write_text(PIPELINE)
    with pytest.raises(ConfigurationError, match="no current date has levels"):
        pin_levels(load_pipeline(tmp_path), [small(1)], write=True)
    assert (tmp_path / "policy.yaml").read_text() == FLOW
