"""Every kind of column that data in memory may hold, through a policy: what comes out is what the policy says."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

import minimize
from tests.project import AT, Project

MASK, HOUR, TENTH = {"mask": {"keep_last": 1}}, {"truncate_time": {"to": "hour"}}, {"round": {"to": 0.1}}
MOMENT = datetime(2026, 11, 24, 10, 59, 7, 123456, tzinfo=UTC)
START = datetime(2026, 11, 24, 10, tzinfo=UTC)
NAIVE, NAIVE_START = (time.replace(tzinfo=None) for time in (MOMENT, START))
WORDS = pa.DictionaryArray.from_arrays(pa.array([1, None], pa.uint8()), pa.array(["unused", "abc"], pa.large_string()))
ENDLESS = float("nan")

PANDAS: dict[str, tuple[Any, str, Any, Any]] = {
    "object": (pd.Series(["abc", None], dtype=object), "string", MASK, "****c"),
    "object with nan": (pd.Series(["abc", ENDLESS], dtype=object), "string", MASK, "****c"),
    "category": (pd.Series(["abc", None], dtype="category"), "string", MASK, "****c"),
    "category of integers": (
        pd.Series([17, None], dtype="Int64").astype("category"),
        "integer",
        {"round": {"to": 10}},
        20,
    ),
    "string": (pd.Series(["abc", None], dtype="string"), "string", MASK, "****c"),
    "arrow": (pd.Series(WORDS.to_pylist(), dtype=pd.ArrowDtype(WORDS.type)), "string", MASK, "****c"),
    "nullable integer": (pd.Series([17, None], dtype="Int16"), "integer", {"round": {"to": 10}}, 20),
    "nullable double": (pd.Series([0.25, None], dtype="Float64"), "double", TENTH, 0.2),
    "nan": (pd.Series([0.25, ENDLESS]), "double", TENTH, 0.2),
    "nullable boolean": (pd.Series([True, None], dtype="boolean"), "boolean", {"map": {"values": {True: "y"}}}, "y"),
    "booleans as objects": (pd.Series([True, None], dtype=object), "boolean", {"map": {"values": {True: "y"}}}, "y"),
    "aware": (pd.Series([MOMENT, None]), "timestamp", HOUR, START),
    "another zone": (pd.Series([MOMENT, None]).dt.tz_convert("Asia/Tokyo"), "timestamp", HOUR, START),
    "naive": (pd.Series([NAIVE, None]), "timestamp", HOUR, NAIVE_START),
    "nanoseconds": (pd.Series([NAIVE, None]).dt.as_unit("ns"), "timestamp", HOUR, NAIVE_START),
    "seconds": (pd.Series([NAIVE, None]).dt.as_unit("s"), "timestamp", HOUR, NAIVE_START),
    "dates": (pd.Series([date(2024, 2, 29), None]), "date", {"truncate_time": {"to": "month"}}, date(2024, 2, 1)),
    "decimals": (pd.Series([Decimal("2.50"), None]), "decimal(8,2)", {"round": {"to": 1}}, Decimal("2.00")),
    "bytes": (pd.Series([b"\0", None]), "binary", "keep", b"\0"),
    "lists": (pd.Series([[1, 2], None]), "list", "size", 2),
}
POLARS: dict[str, tuple[pl.Series, str, Any, Any]] = {
    "categorical": (pl.Series(["abc", None], dtype=pl.Categorical), "string", MASK, "****c"),
    "enum": (pl.Series(["abc", None], dtype=pl.Enum(["unused", "abc"])), "string", MASK, "****c"),
    "text": (pl.Series(["abc", None]), "string", MASK, "****c"),
    "nanoseconds": (pl.Series([NAIVE, None], dtype=pl.Datetime("ns")), "timestamp", HOUR, NAIVE_START),
    "aware": (pl.Series([MOMENT, None], dtype=pl.Datetime("us", "UTC")), "timestamp", HOUR, START),
    "date": (pl.Series([date(2024, 2, 29), None]), "date", {"truncate_time": {"to": "year"}}, date(2024, 1, 1)),
    "decimal": (pl.Series([Decimal("2.50"), None], dtype=pl.Decimal(8, 2)), "decimal(8,2)", {"round": {"to": 1}}, 2),
    "small integer": (pl.Series([255, None], dtype=pl.UInt8), "integer", {"bin": {"width": 100}}, 200),
    "float": (pl.Series([48.8566, None], dtype=pl.Float32), "double", {"bin": {"width": 10}}, 40.0),
    "list": (pl.Series([["a"], None]), "list", "size", 1),
}
HEAD = {"tenant_id": ["north"] * 2, "device_id": ["d1", "d2"], "event_time": [MOMENT] * 2}


def treated(project: Project, data: Any, word: str, do: Any) -> Any:
    project.policy(
        {"x": {"type": word, "do": do}} | dict.fromkeys(("event_id", "model", "battery", "storage", "latitude")),
        record=None,
    )
    return minimize.apply(project.folder / "policy.yaml", data, keys=project.keys, at=AT, purpose="service_maintenance")


@pytest.mark.parametrize(("series", "word", "do", "due"), PANDAS.values(), ids=PANDAS.keys())
def test_a_column_of_pandas(project: Project, series: Any, word: str, do: Any, due: Any) -> None:
    out = treated(project, pd.DataFrame({**HEAD, "x": series}), word, do)["x"]
    assert [None if pd.isna(value) else value for value in out] == [due, None]


@pytest.mark.parametrize(("series", "word", "do", "due"), POLARS.values(), ids=POLARS.keys())
def test_a_column_of_polars(project: Project, series: pl.Series, word: str, do: Any, due: Any) -> None:
    out = treated(project, pl.DataFrame({**HEAD, "x": series}), word, do)["x"]
    assert out.to_list() == [due, None]


@pytest.mark.parametrize("name", ["a.b", "a/b", "a b", " a ", "é", "e\u0301", "名前", "a=b", "a'\"b", "{date}", "*"])
def test_a_column_of_any_name(project: Project, name: str) -> None:
    project.policy(
        {name: {"type": "string", "do": MASK}} | dict.fromkeys(("event_id", "model", "battery", "storage", "latitude")),
        record=None,
    )
    table = pa.table({**HEAD, name: ["abc", None], name + "2": ["abc", "d"]})
    out = minimize.apply(project.folder / "policy.yaml", table, keys=project.keys, at=AT, purpose="service_maintenance")
    assert out.schema.names == ["tenant_id", "device_id", "event_time", name]
    assert out.column(name).to_pylist() == ["****c", None]
