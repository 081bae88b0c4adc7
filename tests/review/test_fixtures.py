"""Rows that were expected beside those that leave."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from minimize.errors import ConfigurationError
from minimize.review.fixtures import TextCell, is_same_value, read_expected_rows, row_differences

ROWS: list[dict[str, Any]] = [
    {"a": "x", "n": 1.5, "at": "2026-11-24T10:00:00Z"},
    {"a": "y", "n": None, "at": "2026-11-24T11:00:00Z"},
]


def told(found: Any, expected: Any, keyed: tuple[str, ...] = ()) -> list[tuple[str, int | None, str | None]]:
    return [(each.code, each.row, each.column) for each in row_differences(found, expected, keyed)]


def test_the_same_rows_differ_in_nothing() -> None:
    assert told(ROWS, ROWS) == []


def test_an_absent_key_is_null() -> None:
    assert told(ROWS, [ROWS[0], {"a": "y", "at": "2026-11-24T11:00:00Z"}]) == []


def test_a_differing_value_is_reported_by_row_and_column() -> None:
    assert told(ROWS, [ROWS[0], {**ROWS[1], "a": "z"}]) == [("F006", 2, "a")]


def test_the_order_of_rows_matters() -> None:
    assert {code for code, _, _ in told(ROWS, ROWS[::-1])} == {"F006"}


def test_a_differing_row_count_is_reported() -> None:
    assert told(ROWS, ROWS[:1]) == [("F004", None, None)]


def test_an_unexpected_column_is_reported() -> None:
    assert told(ROWS, [{"a": row["a"], "at": row["at"]} for row in ROWS]) == [("F005", None, "n")]


def test_a_missing_column_is_reported() -> None:
    assert told(ROWS, [{**row, "more": None} for row in ROWS]) == [("F005", None, "more")]


@pytest.mark.parametrize(
    ("labels", "differs"),
    [(["p", "p", "q"], []), (["p", "q", "q"], [2, 3]), (["p", "p", "p"], [3]), ([None, "p", "q"], [1])],
)
def test_in_key_dependent_columns_each_label_matches_one_value(labels: list[str], differs: list[int]) -> None:
    found = [{"id": token} for token in ("t1", "t1", "t2")]
    assert [row for _, row, _ in told(found, [{"id": label} for label in labels], ("id",))] == differs


@pytest.mark.parametrize(
    ("found", "expected", "is_so"),
    [
        (1, 1.0, True),
        (True, 1, False),
        ([1, {"a": None}], [1, {}], True),
        ("2026-11-24T10:00:00Z", "2026-11-24T10:00:00", False),
        (True, TextCell("true"), True),
        ("true", TextCell("true"), True),
        ([1, 2], TextCell("[1, 2]"), True),
        (2, TextCell("two"), False),
        ("", TextCell(""), False),
    ],
)
def test_spellings(found: Any, expected: Any, is_so: bool) -> None:
    assert is_same_value(found, expected) is is_so


def test_every_format_gives_the_same_rows(tmp_path: Path) -> None:
    (tmp_path / "expect.ndjson").write_text('{"a": "x", "n": 1.5}\n\n{"a": "y"}\n')
    (tmp_path / "expect.csv").write_text("a,n\nx,1.5\ny,\n")
    pq.write_table(pa.table({"a": ["x", "y"], "n": [1.5, None]}), tmp_path / "expect.parquet")
    found = [{"a": "x", "n": 1.5}, {"a": "y", "n": None}]
    for kind in ("ndjson", "csv", "parquet"):
        assert told(found, read_expected_rows(tmp_path / f"expect.{kind}")) == []


@pytest.mark.parametrize(
    ("name", "content"), [("e.ndjson", "{"), ("e.ndjson", "[1]"), ("e.parquet", "x"), ("e.csv", "a\n\x00")]
)
def test_an_unreadable_file_is_reported_without_its_content(name: str, content: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text(content)
    if name == "e.csv":
        (tmp_path / name).write_bytes(b"\xff")
    with pytest.raises(ConfigurationError, match="cannot be read") as caught:
        read_expected_rows(tmp_path / name)
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None
