"""Inputs that are damaged, huge, empty, or no files at all: they are told by name, or read, and nothing half is published."""

from __future__ import annotations

import gzip
import json
import os
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard

from tests.commands import Command, Result
from tests.project import AT, DAY, Project, events, table

CANARY: Final = "CANARY-of-a-hostile-file"
TEXT: Final = "".join(f"{json.dumps(each)}\n" for each in events(400)).encode()


def run(command: Command) -> Result:
    return command("run", ".", "--at", AT.isoformat(), "--output", "out", "--json")


def brings(project: Project, name: str, content: bytes) -> Path:
    """An input file with these bytes, of the format that its name says."""
    path = project.folder / "data" / DAY / name
    path.parent.mkdir(parents=True)
    path.write_bytes(content)
    kind = name.split(".")[1]
    project.source(kind, f"data/{{date}}/*.{name.split('.', 1)[1]}")
    return path


def parquet() -> bytes:
    sink = pa.BufferOutputStream()
    pq.write_table(table(events(400)), sink, compression="none")
    return bytes(sink.getvalue())


def blurred(content: bytes, start: int, stop: int) -> bytes:
    return content[:start] + b"\xff" * (stop - start) + content[stop:]


def half(content: bytes) -> bytes:
    return content[: len(content) // 2]


DAMAGED: Final[Mapping[str, tuple[str, Callable[[], bytes]]]] = {
    "half of a zstd file": ("a.ndjson.zst", lambda: half(zstandard.compress(TEXT))),
    "half of a gzip file": ("a.ndjson.gz", lambda: half(gzip.compress(TEXT))),
    "a gzip file with a wrong sum": ("a.ndjson.gz", lambda: blurred(gzip.compress(TEXT), -8, -4)),
    "a gzip file and something behind it": ("a.ndjson.gz", lambda: gzip.compress(TEXT) + CANARY.encode()),
    "text that is named gzip": ("a.ndjson.gz", lambda: TEXT),
    "the first half of a Parquet file": ("a.parquet", lambda: half(parquet())),
    "the second half of a Parquet file": ("a.parquet", lambda: parquet()[len(parquet()) // 2 :]),
    "a Parquet file with a blurred footer": ("a.parquet", lambda: blurred(parquet(), -300, -150)),
    "a Parquet file of no bytes": ("a.parquet", lambda: b""),
    "gzip of no bytes": ("a.ndjson.gz", lambda: b""),
    "zstd of no bytes": ("a.ndjson.zst", lambda: b""),
    "a CSV file, gzip of no bytes": ("a.csv.gz", lambda: b""),
}
EMPTY: Final = ("a.ndjson", "a.csv")


@pytest.mark.parametrize("name", DAMAGED)
def test_a_damaged_file_stops_the_run_by_its_name_and_nothing_is_published(
    project: Project, command: Command, name: str
) -> None:
    file, content = DAMAGED[name]
    brings(project, file, content())
    said = run(command)
    assert (said.code, said.error["code"]) == (2, "E203")
    assert file in said.error["message"]
    assert CANARY not in said.err
    assert project.files() == set()


@pytest.mark.parametrize("file", EMPTY)
def test_an_empty_file_is_a_day_without_records(project: Project, command: Command, file: str) -> None:
    brings(project, file, b"")
    said = run(command)
    assert (said.code, said.json["rows"]["read"]) == (0, 0)
    assert project.rows() == []


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["parquet", "csv"])
def test_ten_thousand_undeclared_columns_take_seconds(project: Project, command: Command, kind: str) -> None:
    data = table(events(20))
    wide = {name: data[name] for name in data.column_names} | {f"x{n}": pa.array([n] * 20) for n in range(10_000)}
    project.columns(pa.table(wide), kind=kind)
    project.source(kind)
    before = time.process_time()
    said = run(command)
    undeclared = said.json["undeclared"]
    assert (said.code, len(undeclared), undeclared["/*"]) == (0, 1_001, 20 * 9_000)
    assert time.process_time() - before < 30  # it was minutes, when each path was looked for among all columns


def text_of(values: list[bytes]) -> pa.Array:
    """A column of strings that are not UTF-8."""
    return pa.Array.from_buffers(pa.string(), len(values), pa.array(values, pa.binary()).buffers())


def test_text_that_is_not_utf8_is_reported_without_its_value(project: Project, command: Command) -> None:
    data = table(events(20))
    bad = text_of([CANARY.encode() + b"\xff"] * 20)
    project.columns(data.set_column(data.column_names.index("model"), "model", bad))
    project.source("parquet")
    said = run(command)
    assert (said.code, said.error["code"]) == (2, "E203")
    assert CANARY not in said.err


@pytest.mark.parametrize("unit", ["ms", "us", "ns"])
def test_times_at_the_ends_of_their_type_are_neither_kept_nor_in_the_way(
    project: Project, command: Command, unit: str
) -> None:
    data = table(events(20))
    at = data.column_names.index("event_time")
    kind = pa.timestamp(unit, "UTC")
    ends = pa.array([-(2**63) + 1, 2**63 - 1, 0, -1] + [None] * 16, pa.int64()).cast(kind)
    good = data["event_time"].cast(kind).combine_chunks()
    project.columns(data.set_column(at, "event_time", pa.concat_arrays([ends.slice(0, 4), good.slice(4)])))
    project.source("parquet")
    said = run(command)
    rows = said.json["rows"]
    assert said.code == 0
    assert rows["read"] == rows["written"] + rows["gated"] + rows["quarantined"] == 20
    assert command("verify", "out").code == 0


def test_a_csv_file_of_nul_ragged_and_unclosed_rows_gives_its_good_ones(project: Project, command: Command) -> None:
    path = project.columns(table(events(20)), kind="csv")
    rows = [b'"\0%s",1,2,3,4,5,6,7', b"%s,1", b'"%s']
    path.write_bytes(path.read_bytes() + b"\n".join(row % CANARY.encode() for row in rows) + b"\n")
    project.source("csv")
    said = run(command)
    assert (said.code, said.json["rows"]["written"]) == (0, 20)
    assert set(said.json["quarantine"]["by_code"]) == {"malformed"}
    assert CANARY not in said.out + said.err


def folder_instead(path: Path) -> None:
    path.mkdir()


def link_to_nowhere(path: Path) -> None:
    path.symlink_to("/nowhere/at/all")


def link_to_itself(path: Path) -> None:
    path.symlink_to(path)


def pipe(path: Path) -> None:
    os.mkfifo(path)


@pytest.mark.parametrize("made", [folder_instead, pipe])
def test_a_folder_named_like_an_input_is_skipped(
    project: Project, command: Command, made: Callable[[Path], None]
) -> None:
    project.records(events(20), name="b")
    made(project.folder / "data" / DAY / "a.ndjson.gz")
    said = run(command)
    assert (said.code, said.json["rows"]["written"]) == (0, 20)
    assert [each["path"] for each in said.json["inputs"]] == [f"{DAY}/b.ndjson.gz"]


@pytest.mark.parametrize("made", [link_to_nowhere, link_to_itself])
def test_a_link_that_leads_to_no_file_of_the_source_is_refused(
    project: Project, command: Command, made: Callable[[Path], None]
) -> None:
    project.records(events(20), name="b")
    made(project.folder / "data" / DAY / "a.ndjson.gz")
    said = run(command)
    assert said.code == 2
    assert project.files() == set()
