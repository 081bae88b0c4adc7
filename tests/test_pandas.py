"""The data frame accessor."""

from __future__ import annotations

from typing import Any

import pandas as pd
import pyarrow as pa
import pytest

import minimize.pandas
from minimize.errors import SchemaError
from minimize.policy.load import policy_from_mapping

POLICY = policy_from_mapping(
    {
        "policy": "p",
        "version": 1,
        "purposes": ["operations"],
        "fields": {"version": {"type": "string", "do": {"truncate_version": {"parts": 1}}}},
    }
)


def test_a_frame_minimizes_itself() -> None:
    frame: Any = pd.DataFrame({"name": ["Ann"], "version": ["10.4"]})
    assert frame.minimize(POLICY).to_dict("list") == {"version": ["10"]}


def test_a_frame_that_does_not_fit_is_refused() -> None:
    frame: Any = pd.DataFrame({"name": ["Ann"]})
    with pytest.raises(SchemaError, match="version"):
        frame.minimize(POLICY)


NUMBERED = policy_from_mapping(
    {
        "policy": "p",
        "version": 1,
        "purposes": ["operations"],
        "subject": "number",
        "fields": {
            "number": {"type": "integer", "required": True, "do": "keep"},
            "model": {"type": "string", "do": {"top": {"keep": 1, "other": "other", "at_least": 1}}},
        },
    }
)
"""A record without a number is dropped, and a `top` makes all rows be read twice."""


def numbered(rows: int, missing: set[int]) -> Any:
    numbers = pd.array([None if row in missing else row for row in range(rows)], dtype="Int64")
    names = [f"person-{row}" for row in range(rows)]
    return pd.DataFrame({"number": numbers, "model": "a"}, index=names)


@pytest.mark.parametrize(("rows", "missing"), [(5, {1, 3}), (5, {0}), (5, {4}), (5, set(range(5))), (5, set())])
def test_each_row_of_the_result_is_found_by_its_position_in_the_frame(rows: int, missing: set[int]) -> None:
    frame = numbered(rows, missing)
    released, account = frame.minimize(NUMBERED, counts=True)
    assert account.positions.to_pylist() == [row for row in range(rows) if row not in missing]
    assert list(frame["number"].iloc[account.positions]) == list(released["number"])


def test_positions_count_over_all_parts_of_a_large_frame() -> None:
    frame = numbered(150_000, {0, 70_000, 149_998})
    released, account = frame.minimize(NUMBERED, counts=True)
    assert len(released) == 149_997
    assert account.positions.to_pylist() == list(released["number"])


def test_a_prepared_policy_knows_the_positions_of_its_last_call() -> None:
    frame = numbered(5, {1})
    ready = minimize.prepare(NUMBERED, frame)
    ready(frame[["model", "number"]].astype({"model": "category"}))
    assert ready.last is not None
    assert ready.last.positions is not None
    assert ready.last.positions.to_pylist() == [0, 2, 3, 4]


def test_labels_of_the_frame_which_no_policy_declares_are_not_in_the_result() -> None:
    frame = numbered(5, {1})
    frame.index.name = "person"
    released = frame.minimize(NUMBERED)
    assert "person" not in released.reset_index().to_csv()
    assert "person" in frame.reset_index().to_csv()


def test_the_accessor_is_documented() -> None:
    assert "policy lets it leave" in (minimize.pandas.DataFrameAccessor.__call__.__doc__ or "")


FORMS = {
    "s": {"type": "string", "do": {"mask": {"keep_last": 1}}},
    "k": {"type": "string", "do": "keep"},
    "n": {"type": "integer", "do": {"round": {"to": 10}}},
    "b": {"type": "boolean", "do": "keep"},
    "c": {"type": "string", "do": "keep", "collect_if": {"b": True}},
    "g": {"type": "string", "cases": [{"if": {"n": 11}, "do": "keep"}], "otherwise": "drop"},
}
PLAIN = pa.table(
    {
        "s": ["aaa1", "bb2", None],
        "k": ["x", None, "x"],
        "n": pa.array([11, None, 23], pa.int64()),
        "b": [True, None, False],
        "c": ["p", "q", "r"],
        "g": ["u", "v", "w"],
    }
)


def nullable() -> pd.DataFrame:
    kinds = {pa.int64(): pd.Int64Dtype(), pa.bool_(): pd.BooleanDtype()}
    frame: pd.DataFrame = PLAIN.to_pandas(types_mapper=kinds.get)
    return frame


def dictionaries() -> pa.Table:
    return pa.table({name: PLAIN[name].dictionary_encode() for name in PLAIN.column_names})


def values_of(result: Any) -> dict[str, list[Any]]:
    """The values of a released table or frame, as Python has them."""
    table = result if isinstance(result, pa.Table) else pa.Table.from_pandas(result, preserve_index=False)
    columns = {name: table[name] for name in table.column_names}
    plain = {
        name: each.cast(each.type.value_type) if pa.types.is_dictionary(each.type) else each
        for name, each in columns.items()
    }
    return {name: each.to_pylist() for name, each in plain.items()}


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(dictionaries(), id="Arrow dictionaries"),
        pytest.param(nullable(), id="nullable"),
        pytest.param(nullable().astype("category"), id="categories"),
        pytest.param(PLAIN.to_pandas(types_mapper=pd.ArrowDtype), id="Arrow types"),
        pytest.param(dictionaries().to_pandas(types_mapper=pd.ArrowDtype), id="Arrow types of dictionaries"),
    ],
)
def test_categories_and_nullable_columns_give_the_values_of_plain_ones_at_every_entrance(data: Any) -> None:
    policy = policy_from_mapping({"policy": "p", "version": 1, "purposes": ["operations"], "fields": FORMS})
    wanted = values_of(minimize.apply(policy, PLAIN))
    assert (wanted["n"], wanted["c"], wanted["g"]) == ([10, None, 20], ["p", None, None], ["u", None, None])
    schema = data.schema if isinstance(data, pa.Table) else pa.Schema.from_pandas(data, preserve_index=False)
    results = [
        minimize.apply(policy, data),
        minimize.prepare(policy, schema)(data),
        minimize.prepare(policy, PLAIN.schema)(data),
    ]
    if isinstance(data, pd.DataFrame):
        results.append(minimize.pandas.DataFrameAccessor(data)(policy))
    assert [values_of(each) for each in results] == [wanted] * len(results)


def test_a_column_of_values_of_several_types_is_refused_by_its_name() -> None:
    frame: Any = pd.DataFrame({"version": pd.Series(["10.4", 11, 12.5], dtype=object)})
    with pytest.raises(SchemaError) as caught:
        frame.minimize(POLICY)
    (finding,) = caught.value.findings
    assert (finding.code, finding.field, finding.message) == (
        "S005",
        "version",
        "contains values of more than one type",
    )
