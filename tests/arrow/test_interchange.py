"""The way back to the kind of data that came in."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minimize.arrow.interchange import decode_batch, native_converter

SCHEMA = pa.schema([("a", pa.int64()), ("b", pa.string())])
BATCHES = [pa.record_batch({"a": [1, 2], "b": ["x", None]}, SCHEMA), pa.record_batch({"a": [3], "b": ["z"]}, SCHEMA)]
ROWS = [{"a": 1, "b": "x"}, {"a": 2, "b": None}, {"a": 3, "b": "z"}]


def back(data: Any, batches: list[pa.RecordBatch], schema: pa.Schema = SCHEMA) -> Any:
    return native_converter(data)(schema, iter(batches))


@pytest.mark.parametrize(
    ("data", "rows"),
    [
        (BATCHES[0], lambda out: out.to_pylist()),
        (pa.table(BATCHES[0]), lambda out: out.to_pylist()),
        (pa.table(BATCHES[0]).to_reader(), lambda out: out.read_all().to_pylist()),
        (pl.DataFrame(BATCHES[0]), lambda out: out.to_dicts()),
        (pd.DataFrame({"a": [1]}, dtype="int64[pyarrow]"), lambda out: pa.Table.from_pandas(out).to_pylist()),
    ],
)
@pytest.mark.parametrize("count", [0, 1, 2])
def test_every_kind_comes_back_with_all_its_rows(data: Any, rows: Callable[[Any], Any], count: int) -> None:
    out = back(data, BATCHES[:count])
    assert type(out) is type(data)
    assert rows(out) == ROWS[: (0, 2, 3)[count]]


def test_a_batch_without_rows_keeps_its_types() -> None:
    assert back(BATCHES[0], []).schema == SCHEMA


def test_a_batch_without_columns_stays_a_batch() -> None:
    out = back(BATCHES[0], [], pa.schema([]))
    assert isinstance(out, pa.RecordBatch)
    assert out.schema.names == []


def test_classic_pandas_comes_back_classic() -> None:
    out = back(pd.DataFrame({"a": [1]}), BATCHES)
    assert out["a"].dtype == "int64"
    assert out["b"].isna().tolist() == [False, True, False]


def test_decoding_gives_the_schemas_types_also_below_lists() -> None:
    kind = pa.dictionary(pa.int32(), pa.string())
    encoded = pa.array(["x", None, "x"], kind)
    schema = pa.schema([("a", pa.string()), ("n", pa.list_(pa.string())), ("s", pa.struct([("k", pa.string())]))])
    nested = pa.ListArray.from_arrays(pa.array([0, 2, 3, 3], pa.int32()), encoded)
    struct = pa.StructArray.from_arrays([encoded], ["k"])
    batch = pa.RecordBatch.from_arrays([encoded, nested, struct], names=["a", "n", "s"])
    out = decode_batch(batch, schema)
    assert out.schema == schema
    assert out.to_pylist() == batch.to_pylist()


def test_integers_in_a_column_with_nulls_stay_integers_in_pandas() -> None:
    large = 2**53 + 1
    batch = pa.record_batch({"whole": pa.array([large, None], pa.int64()), "full": pa.array([1, 2], pa.int64())})
    frame = native_converter(pd.DataFrame({"a": [1]}))(batch.schema, iter([batch]))
    assert frame["whole"].tolist()[0] == large
    assert str(frame["full"].dtype) == "int64"


@given(
    st.lists(st.sampled_from([0, 1, 2, None]), max_size=8),
    st.sampled_from([["aa", "bb", "cc"], ["a", "bb", ""], ["", "", ""], ["éé", "aaaa", "bbbb"], ["x", None, "y"]]),
    st.integers(0, 3),
)
def test_encoded_texts_come_out_as_arrow_would_decode_them(
    codes: list[int | None], entries: list[str | None], start: int
) -> None:
    words = pa.array(["first", *entries], pa.string()).slice(1)
    column = pa.DictionaryArray.from_arrays(pa.array(codes, pa.int32()), words).slice(start)
    batch = pa.RecordBatch.from_arrays([column], names=["b"])
    out = decode_batch(batch, pa.schema([("b", pa.string())]))["b"]
    out.validate(full=True)
    assert out.equals(column.cast(pa.string()))
