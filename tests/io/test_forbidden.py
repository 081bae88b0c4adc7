"""What must never arrive is found in lists, too, whatever reads them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from minimize.errors import PolicyError
from minimize.io import FORMATS
from minimize.io.base import Declared, Request
from minimize.io.memory import memory
from minimize.pointer import Pointer
from minimize.policy.load import load_policy
from tests.project import Project, new_project

REQUEST = Request(
    (Declared("id", Pointer.parse("id"), "integer"), Declared("/deep/*/x", Pointer.parse("/deep/*/x"), "integer")),
    never=(Pointer.parse("/deep/forbidden"),),
)
RECORDS: list[dict[str, Any]] = [
    {"id": 0, "deep": [{"forbidden": 1, "x": 1}]},
    {"id": 1, "deep": [{"x": 1}, {"x": 2, "forbidden": 2}]},
    {"id": 2, "deep": [{"x": 1}]},
    {"id": 3, "deep": []},
    {"id": 4, "deep": [{"forbidden": None, "x": 1}]},
    {"id": 5},
] * 20


def found(source: Any) -> tuple[set[str], set[int]]:
    """The codes, and the ids of the records that are good."""
    chunks = [chunk for part in source.parts for chunk in part.read()]
    codes = {f"{reject.code} {reject.field}" for chunk in chunks for reject in chunk.rejects}
    return codes, {each for chunk in chunks for each in chunk.records.column("id").to_pylist()}


@pytest.mark.parametrize("kind", ["ndjson", "parquet", "memory"])
def test_a_name_covers_a_list_of_structs(tmp_path: Path, kind: str) -> None:
    items = pa.list_(pa.struct([("forbidden", pa.int64()), ("x", pa.int64())]))
    table = pa.Table.from_pylist(RECORDS, pa.schema([("id", pa.int64()), ("deep", items)]))
    path = tmp_path / f"a.{kind}"
    if kind == "ndjson":
        path.write_text("".join(json.dumps(record) + "\n" for record in RECORDS))
    else:
        pq.write_table(table, path)
    source = memory(table, REQUEST) if kind == "memory" else FORMATS[kind]([path], tmp_path, REQUEST)
    assert found(source) == ({"forbidden_field /deep/forbidden"}, {2, 3, 4, 5})


def test_a_policy_cannot_keep_what_stands_in_a_list_and_must_never_arrive(tmp_path: Path) -> None:
    project: Project = new_project(tmp_path)
    project.policy({"/deep/*/forbidden": {"type": "integer", "do": "keep"}}, never=["/deep/forbidden"])
    with pytest.raises(PolicyError) as caught:
        load_policy(tmp_path / "policy.yaml")
    assert {finding.code for finding in caught.value.findings} == {"P018"}
