"""`minimize.apply` with the shipped policies: a caller passes what the policy reads, and need not fetch what it drops."""

from __future__ import annotations

from datetime import date, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from minimize import apply
from minimize.errors import SchemaError
from minimize.ledger import find_ledger
from minimize.ledger.ledger import open_ledger
from minimize.plan.request import needed_fields
from minimize.policy.load import load_pipeline

from .shipped import AT, DATASETS, PIPELINES, new_keys, sample

NAMES = ("console_usage", "device_inventory", "enrollments", "jamf_compliance", "support_cases")


def rows_of(name: str, *, without: str = "") -> pa.Table:
    """Records of the sample with the columns that the policy reads and no others."""
    pipeline = load_pipeline(PIPELINES / name)
    fields = pipeline.policy.fields
    read = needed_fields(pipeline.policy, pipeline.purpose) - {without}
    whole = [record for record in sample(DATASETS[name]) if isinstance(record.get(str(pipeline.policy.tenant)), str)]
    return pa.Table.from_pylist(
        [{key: value_of(fields[key].type, record.get(key)) for key in fields if key in read} for record in whole[50:60]]
    )


def value_of(kind: str, value: Any) -> Any:
    """A value of the sample with the type that a data frame has."""
    if value is None or kind not in ("timestamp", "date"):
        return value
    return datetime.fromisoformat(value) if kind == "timestamp" else date.fromisoformat(value)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("has_ledger", [False, True])
def test_columns_that_the_policy_drops_may_be_absent(name: str, has_ledger: bool, tmp_path: Path) -> None:
    keys, ledger = new_keys(tmp_path / "test.keys"), tmp_path / "ledger.db"
    if has_ledger:
        with open_ledger(find_ledger(ledger), create=True):
            pass
    pipeline, data = load_pipeline(PIPELINES / name), rows_of(name)
    options: dict[str, Any] = {"ledger": ledger} if has_ledger else {}
    released = apply(pipeline.policy, data, purpose=pipeline.purpose, keys=keys, at=AT, **options)
    assert len(data.column_names) < len(pipeline.policy.fields)
    assert released.num_rows == data.num_rows > 0


def test_a_column_that_the_policy_reads_must_be_there(tmp_path: Path) -> None:
    pipeline, data = load_pipeline(PIPELINES / "device_inventory"), rows_of("device_inventory", without="os_version")
    with pytest.raises(SchemaError) as caught:
        apply(pipeline.policy, data, purpose=pipeline.purpose, keys=new_keys(tmp_path / "test.keys"), at=AT)
    assert [finding.field for finding in caught.value.findings] == ["os_version"]
