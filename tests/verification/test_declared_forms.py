"""Values that do not look as they were declared are told, column by column, and never shown."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minimize.verification.declared_forms import DeclaredColumn, DeclaredForms, column_rule
from minimize.verification.rules import ColumnContext, StepView, chain_rule
from minimize.verification.values import comparable_values

TIME = pa.timestamp("ms", "UTC")
PSEUDONYM = "a2" * 16


def forms(values: pa.Array, *steps: tuple[str, Mapping[str, Any]], folder: Path = Path()) -> list[str]:
    batch = pa.record_batch({"a": values})
    chain = tuple(StepView(word, said) for word, said in steps)
    return DeclaredForms.for_schema(batch.schema, {"a": DeclaredColumn((chain,), folder)}).misshapen(batch, {})


@pytest.mark.parametrize(
    ("step", "good", "bad"),
    [
        (("round", {"to": 0.1}), pa.array([48.9, None, 0.3]), pa.array([48.9, 48.8566])),
        (("bin", {"width": 10}), pa.array([80.0, 0.0]), pa.array([80.0, 87.0])),
        (("bin", {"edges": [1, 10]}), pa.array([1, 1]), pa.array([1, 5])),
        (("truncate_time", {"to": "hour"}), pa.array([datetime(2026, 1, 1, 5, tzinfo=UTC)], TIME),
         pa.array([datetime(2026, 1, 1, 5, 1, tzinfo=UTC)], TIME)),
        (("truncate_time", {"to": "month"}), pa.array([datetime(2026, 2, 1, tzinfo=UTC)], TIME),
         pa.array([datetime(2026, 2, 2, tzinfo=UTC)], TIME)),
        (("pseudonymize", {"key": "k"}), pa.array([PSEUDONYM, None]), pa.array([PSEUDONYM, "device-1"])),
        (("mask", {"keep_last": 4}), pa.array(["****5678"]), pa.array(["+33612345678"])),
        (("truncate_ip", {"v4": 24}), pa.array(["203.0.113.0"]), pa.array(["203.0.113.7"])),
        (("truncate_version", {"parts": 2}), pa.array(["10.0"]), pa.array(["10.0.1"])),
        (("redact", {"patterns": ["email"]}), pa.array(["by [email]"]), pa.array(["by ann@contoso.com"])),
    ],
)  # fmt: skip
def test_a_value_that_is_not_in_the_declared_form_is_reported(step: Any, good: pa.Array, bad: pa.Array) -> None:
    assert forms(good, step) == []
    assert forms(bad, step) == ["a"]


def test_the_last_step_is_what_shows() -> None:
    assert forms(pa.array([PSEUDONYM]), ("mask", {"keep_last": 4}), ("pseudonymize", {"key": "k"})) == []


def test_a_kept_value_may_be_anything() -> None:
    assert forms(pa.array(["anything"]), ("keep", {})) == []


def test_a_value_that_one_of_the_cases_gives_is_fine() -> None:
    batch = pa.record_batch({"a": ["****5678", "****"]})
    chains = (
        (StepView("mask", {"keep_last": 4}),),
        (StepView("mask", {"keep_last": 2}),),
    )
    assert DeclaredForms.for_schema(batch.schema, {"a": DeclaredColumn(chains, Path())}).misshapen(batch, {}) == []


def test_leaves_within_lists_are_judged() -> None:
    batch = pa.record_batch({"apps": [[{"version": "1.2"}], [{"version": "1.2.3"}, None]]})
    said = {"/apps/*/version": DeclaredColumn(((StepView("truncate_version", {"parts": 2}),),), Path())}
    assert DeclaredForms.for_schema(batch.schema, said).misshapen(batch, {}) == ["/apps/*/version"]
    assert DeclaredForms.for_schema(batch.schema, said).misshapen(batch.slice(0, 1), {}) == []


def test_encoded_columns_are_judged_by_their_entries() -> None:
    batch = pa.record_batch({"a": [PSEUDONYM]})
    judges = DeclaredForms.for_schema(
        batch.schema, {"a": DeclaredColumn(((StepView("pseudonymize", {"key": "k"}),),), Path())}
    )
    assert judges.misshapen(batch, {"a": pa.array(["device-1"]).dictionary_encode()}) == ["a"]


def test_a_missing_hierarchy_is_listed_as_unchecked_and_an_existing_one_is_applied(tmp_path: Path) -> None:
    chain = (StepView("generalize", {"hierarchy": "models.csv", "level": 1}),)
    schema = pa.schema([("a", pa.string())])
    assert DeclaredForms.for_schema(schema, {"a": DeclaredColumn((chain,), tmp_path)}).unchecked == ("a",)
    (tmp_path / "models.csv").write_text("Nexus 5X;Nexus;*\nPixel 2;Pixel;*\n")
    assert forms(pa.array(["Nexus", "*"]), ("generalize", chain[0].parameters), folder=tmp_path) == []
    assert forms(pa.array(["Nexus 5X"]), ("generalize", chain[0].parameters), folder=tmp_path) == ["a"]


WHOLE = [
    (("round", {"to": 0.1}), pa.float64(), st.floats(-1e6, 1e6) | st.integers(-9999, 9999).map(lambda n: n / 10)),
    (("round", {"to": 25}), pa.float64(), st.integers(-40, 40).map(lambda n: n * 12.5)),
    (("round", {"to": 5}), pa.int64(), st.integers(-100, 100)),
    (("bin", {"width": 10}), pa.float64(), st.integers(-100, 100).map(lambda n: n * 5.0) | st.just(-0.0)),
    (("truncate_time", {"to": "minute"}), pa.int64(), st.integers(-100, 100).map(lambda n: n * 30_000)),
    (("pseudonymize", {"key": "k"}), pa.string(), st.sampled_from([PSEUDONYM, "a" * 26, "A" * 32, "a1" * 16, ""])),
]


@pytest.mark.parametrize(("step", "type_", "values"), WHOLE)
@given(data=st.data())
def test_values_accepted_by_the_column_rule_are_accepted_by_the_value_rule(
    step: Any, type_: pa.DataType, values: Any, data: st.DataObject
) -> None:
    column = pa.array(data.draw(st.lists(values, max_size=6)), type_)
    column = column.cast(TIME) if step[0] == "truncate_time" else column
    chain = (StepView(*step),)
    rule, whole = chain_rule(chain, ColumnContext(column.type, Path())), column_rule(chain, column.type)
    assert whole is not None
    if whole(column):
        assert all(map(rule, comparable_values(column)))
