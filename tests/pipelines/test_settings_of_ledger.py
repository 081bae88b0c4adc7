"""What is decided in the ledger has an effect on the shipped pipelines."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from minimize.identifiers import canonical_text
from minimize.policy.condition import setting_atoms
from minimize.policy.load import load_pipeline
from minimize.policy.pipeline import Pipeline
from tests.commands import Result

from .shipped import AT, PIPELINES, ROOT, minimize, new_keys

JOBS = [load_pipeline(path.parent) for path in sorted(PIPELINES.glob("*/pipeline.yaml"))]
TENANT = "91b9fd63-473d-5eb2-8da9-5d2ecc407171"
SETTINGS = ROOT / "sample_data" / "app_inventory" / "settings.csv"


def _is_optional(job: Pipeline) -> bool:
    gates = [*([] if job.policy.records.collect_if is None else [job.policy.records.collect_if])]
    gates += [field.collect_if for field in job.policy.fields.values() if field.collect_if is not None]
    asked = any(field.feature or field.level for field in job.policy.fields.values())
    return asked or any(any(setting_atoms(gate)) for gate in gates)


def test_every_shipped_pipeline_with_optional_collection_follows_the_ledger() -> None:
    assert [job.pipeline for job in JOBS if _is_optional(job) and job.settings != "ledger"] == []


def test_one_feature_has_the_same_holders_in_all_shipped_policies() -> None:
    holders: dict[str, set[tuple[str, ...]]] = {}
    for job in JOBS:
        for name, feature in job.policy.features.items():
            holders.setdefault(canonical_text(name, fold=True), set()).add(feature.holders)
    assert {name: found for name, found in holders.items() if len(found) > 1} == {}


@pytest.fixture(name="keys")
def _keys(tmp_path: Path) -> Path:
    keys = tmp_path / "test.keys"
    new_keys(keys)
    return keys


def run(keys: Path, output: Path) -> Result:
    return minimize("run", str(PIPELINES / "app_inventory"), "--at", AT, "--output", str(output), "--json", keys=keys)


def test_an_administrators_opt_out_counts_in_the_next_run(keys: Path, tmp_path: Path) -> None:
    assert minimize("settings", "import", str(SETTINGS), keys=keys).code == 0
    before = run(keys, tmp_path / "before")
    done = minimize(*f"settings set {TENANT} app_inventory off --since 2026-11-01T00:00:00Z".split(), keys=keys)
    assert (before.code, done.code) == (0, 0)
    text = done.out
    assert re.search("app_inventory of .* off", text)
    # The setting was recorded now, so that only a run of now sees it; it is valid from before the records.
    after = minimize("run", str(PIPELINES / "app_inventory"), "--output", str(tmp_path / "after"), "--json", keys=keys)
    assert after.json["rows"]["written"] < before.json["rows"]["written"]
