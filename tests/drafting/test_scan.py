from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from minimize.arrow.pointers import Pointer
from minimize.policy.value_kinds import ValueSummary, summarize_source
from minimize.sources.schema_inference import SAMPLED_LINES

MAIL, TAG = Pointer.parse("mail"), Pointer.parse("/apps/*/tag")
ROWS: list[dict[str, object]] = [
    {"mail": f"p{number}@example.com", "apps": [{"tag": "a"}, {"tag": "b"}]} for number in range(10)
]


def ndjson(path: Path, rows: list[dict[str, object]]) -> None:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


@pytest.mark.parametrize("kind", ["ndjson", "parquet", "csv"])
def test_every_format_is_looked_at(tmp_path: Path, kind: str) -> None:
    path = tmp_path / f"a.{kind}"
    if kind == "ndjson":
        ndjson(path, ROWS)
    elif kind == "parquet":
        pq.write_table(pa.Table.from_pylist(ROWS), path)
    else:
        path.write_text("mail\n" + "\n".join(str(row["mail"]) for row in ROWS) + "\n")
    looks = summarize_source(str(path), {MAIL: "string"})
    assert (looks[MAIL].values, looks[MAIL].kind) == (10, "email")


def test_leaves_below_lists_are_looked_at_element_by_element(tmp_path: Path) -> None:
    ndjson(tmp_path / "a.ndjson", ROWS)
    look = summarize_source(str(tmp_path), {TAG: "string"})[TAG]
    assert (look.values, look.distinct) == (20, 2)


def test_no_more_than_the_first_records_are_looked_at(tmp_path: Path) -> None:
    ndjson(tmp_path / "a.ndjson", [{"mail": "x"}] * (SAMPLED_LINES + 7))
    assert summarize_source(str(tmp_path), {MAIL: "string"})[MAIL].values == SAMPLED_LINES


def test_a_file_that_does_not_fit_is_passed_over(tmp_path: Path) -> None:
    pq.write_table(pa.table({"mail": [1, 2]}), tmp_path / "a.parquet")
    pq.write_table(pa.table({"mail": ["a@example.com"]}), tmp_path / "b.parquet")
    assert summarize_source(str(tmp_path), {MAIL: "string"})[MAIL].values == 1


def test_containers_are_not_looked_at(tmp_path: Path) -> None:
    ndjson(tmp_path / "a.ndjson", ROWS)
    assert summarize_source(str(tmp_path), {Pointer.parse("apps"): "list"}) == {}


def test_a_field_that_no_record_has_looks_empty(tmp_path: Path) -> None:
    ndjson(tmp_path / "a.ndjson", ROWS)
    gone = Pointer.parse("gone")
    assert summarize_source(str(tmp_path), {gone: "string"}) == {gone: ValueSummary(0, 10)}
