"""Damaged Parquet, CSV and gzip files: a run publishes every record or rejects it, or names the file; no fault ends the process.

Each case is a number. Cases run in batches in a process of their own, so that a process that ends shows the case that ended it.
"""

from __future__ import annotations

import csv
import gzip
import io
import json
import os
import random
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import minimize
from minimize.errors import MinimizeError
from tests.project import BEFORE, CHECKOUT, DAY, Project, event, new_project, table

ROWS: Final = 60
WRITERS: Final[tuple[dict[str, Any], ...]] = (
    {"compression": "none"},
    {"compression": "snappy", "data_page_version": "2.0", "write_page_checksum": True},
    {"compression": "zstd", "use_dictionary": False, "row_group_size": 20, "write_page_index": True},
    {"compression": "none", "store_schema": False},
    {"compression": "gzip", "use_dictionary": False, "column_encoding": {"storage": "DELTA_BINARY_PACKED"}},
)


@cache
def parquet_file(number: int) -> bytes:
    rows = table(event(row) for row in range(ROWS))
    if number % 3 == 1:
        tags = pa.array([[{"a": row, "b": "x"}] if row % 3 else None for row in range(ROWS)])
        maps = pa.array([[(f"k{row}", row)] for row in range(ROWS)], pa.map_(pa.string(), pa.int64()))
        rows = rows.append_column("tags", tags).append_column("m", maps)
    sink = pa.BufferOutputStream()
    pq.write_table(rows, sink, **WRITERS[number % len(WRITERS)])
    return bytes(sink.getvalue())


@cache
def csv_file() -> bytes:
    head = "event_id,tenant_id,device_id,event_time,model,battery,storage,latitude\n"
    lines = (
        f'{each["event_id"]},"{each["tenant_id"]}",{each["device_id"]},{each["event_time"]},"M {each["model"]}, 5"" ",'
        f"{each['battery']},{each['storage']},{each['latitude']}\n"
        for each in map(event, range(ROWS))
    )
    return (head + "".join(lines)).encode()


def changed(content: bytes, chance: random.Random, first: int = 0) -> bytes:
    """The content with one byte or a few changed, or cut."""
    found = bytearray(content)
    for _ in range(chance.choice((1, 1, 1, 2, 4))):
        at = chance.randrange(first, len(found)) if chance.random() < 0.75 else chance.randrange(len(found))
        found[at] = chance.choice((chance.randrange(256), found[at] ^ 1 << chance.randrange(8), (found[at] + 1) % 256))
    return bytes(found[: chance.randrange(len(found))] if chance.random() < 0.03 else found)


def damaged_parquet(chance: random.Random) -> bytes:
    content = parquet_file(chance.randrange(15))
    footer = len(content) - 8 - int.from_bytes(content[-8:-4], "little")
    return changed(content, chance, footer)


def damaged_csv(chance: random.Random) -> bytes:
    """A CSV file with a quote too many, or too few, or with other bytes."""
    content = csv_file()
    if chance.random() < 0.5:
        at = chance.randrange(len(content))
        return content[:at] + b'"' + content[at + chance.randrange(2) :]
    return changed(content, chance)


def damaged_gzip(chance: random.Random) -> bytes:
    lines = "".join(f"{json.dumps(event(row))}\n" for row in range(ROWS))
    return changed(gzip.compress(lines.encode(), mtime=0), chance)


FILES: Final[dict[str, tuple[str, str, Callable[[random.Random], bytes]]]] = {
    "parquet": ("parquet", "a.parquet", damaged_parquet),
    "csv": ("csv", "a.csv", damaged_csv),
    "gzip": ("ndjson", "a.ndjson.gz", damaged_gzip),
}


def outcome(project: Project, kind: str, number: int) -> str:
    """What a run of one damaged file gives: the code of its error, or its rows."""
    _, name, damage = FILES[kind]
    (project.folder / "data" / DAY / name).write_bytes(damage(random.Random(number)))
    try:
        receipt = minimize.run(
            project.folder,
            date=DAY,
            at="2026-11-25T00:00:00Z",
            output=project.folder / f"out{number}",
            keys=project.keys,
        )
    except MinimizeError as error:
        return error.code
    rows = receipt.rows
    return f"{rows.read} read, {sum(rows.by_result.values()) - rows.read} accounted for"


def work(kind: str, first: int, last: int) -> None:
    """Writes each number of a batch before its case, and the outcome after it."""
    with tempfile.TemporaryDirectory() as folder:
        project = new_project(Path(folder))
        format_, name, _ = FILES[kind]
        nested = {
            "/tags/*/a": {"type": "integer", "optional": True, "do": "keep"},
            "/m/*": {"type": "integer", "optional": True, "do": "presence"},
        }
        project.policy(nested if kind == "parquet" else None)
        project.source(format_, f"data/{{date}}/{name}", aggregates=None)
        (project.folder / "data" / DAY).mkdir(parents=True)
        for number in range(first, last):
            os.environ["MINIMIZE_LEDGER"] = str(project.folder / f"ledger{number}.db")
            sys.stdout.write(f"{number} ")
            sys.stdout.flush()
            sys.stdout.write(f"{outcome(project, kind, number)}\n")
            sys.stdout.flush()


def outcomes(kind: str, first: int, last: int) -> Iterator[tuple[int, str]]:
    """The outcome of each case. A batch continues after a case that ended its process."""
    while first < last:
        done = subprocess.run(
            [sys.executable, "-m", "tests.hostile.test_damaged", kind, str(first), str(last)],
            cwd=CHECKOUT,
            capture_output=True,
            text=True,
        )
        for line in done.stdout.splitlines():
            number, _, text = line.partition(" ")
            first = int(number) + 1
            yield int(number), text or f"the process ended with {done.returncode}"
        if done.returncode and not done.stdout:
            raise AssertionError(done.stderr)


def faults(kind: str, first: int, last: int) -> list[tuple[int, str]]:
    """The cases that end otherwise than with a file's fault, or with all its records accounted for."""
    found = [(number, text) for number, text in outcomes(kind, first, last) if text not in ("E202", "E203")]
    return [
        (number, text)
        for number, text in found
        if text != f"{(rows := rows_left(kind, number))} read, {rows} accounted for"
    ]


def rows_left(kind: str, number: int) -> int:
    """The records that a damaged file still has. Only text shows no damage if it is cut, or if a line has no end."""
    if kind != "csv":
        return ROWS
    text = damaged_csv(random.Random(number)).decode("latin-1")
    lines = [cells for cells in csv.reader(io.StringIO(text, newline="")) if cells]
    assert not any("\n" in cell for cells in lines for cell in cells), "a quote that is not closed must be refused"
    return len(lines) - 1


@pytest.mark.parametrize("kind", FILES)
def test_a_sample_of_damaged_files_loses_nothing_and_ends_no_process(kind: str) -> None:
    assert faults(kind, 199, 205) == []


@pytest.mark.nightly
@pytest.mark.parametrize(("kind", "count"), [("parquet", 1500), ("csv", 500), ("gzip", 500)])
def test_many_damaged_files_lose_nothing_and_end_no_process(kind: str, count: int) -> None:
    assert faults(kind, 0, count) == []


@pytest.mark.parametrize("kind", FILES)
def test_an_undamaged_file_is_read_whole(project: Project, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The control: the files of the other tests are refused for their damage."""
    format_, name, damage = FILES[kind]
    monkeypatch.setattr(f"{__name__}.changed", lambda content, *_: content)
    project.source(format_, f"data/{{date}}/{name}", aggregates=None)
    (project.folder / "data" / DAY).mkdir(parents=True)
    content = csv_file() if kind == "csv" else damage(random.Random(1))
    (project.folder / "data" / DAY / name).write_bytes(content)
    assert project.run(date=DAY).rows.read == ROWS


def without_utf8_name() -> bytes:
    """A Parquet file with a column whose name is not UTF-8."""
    rows = table(event(row) for row in range(ROWS)).append_column("strasse_", pa.array(range(ROWS)))
    sink = pa.BufferOutputStream()
    pq.write_table(rows, sink, store_schema=False)
    return bytes(sink.getvalue()).replace(b"strasse_", b"stra\xdfe__")


def contradicting_type() -> bytes:
    """A Parquet file in which a column chunk has another physical type than the schema."""
    content = parquet_file(0)
    # The metadata of the chunk of `storage`: i32 INT64 (0x15 0x04), and its list of encodings follows.
    at = content.index(b"\x15\x04\x19", len(content) - int.from_bytes(content[-8:-4], "little"))
    return content[: at + 1] + b"\x4c" + content[at + 2 :]


@pytest.mark.parametrize("damaged", [without_utf8_name, contradicting_type])
def test_one_damaged_parquet_file_stops_its_own_date_only(project: Project, damaged: Callable[[], bytes]) -> None:
    project.source("parquet", aggregates=None)
    for day, content in ((BEFORE, parquet_file(0)), (DAY, damaged())):
        (project.folder / "data" / day).mkdir(parents=True)
        (project.folder / "data" / day / "a.parquet").write_bytes(content)
    done = subprocess.run(
        [sys.executable, "-m", "minimize", "run", ".", "--pending", "--at", "2026-11-25T00:00:00Z", "--output", "out"],
        cwd=project.folder,
        env={**os.environ, "PYTHONPATH": str(CHECKOUT)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1, done.stderr
    assert f"{DAY}/a.parquet is damaged" in done.stdout + done.stderr
    assert len(minimize.files(project.out)) == 1


@pytest.mark.parametrize("content", [b"PARE" + bytes(40) + b"\x08\0\0\0PARE"])
def test_a_file_with_an_encrypted_footer_is_not_called_damaged(project: Project, content: bytes) -> None:
    project.source("parquet", aggregates=None)
    path = project.folder / "data" / DAY / "a.parquet"
    path.parent.mkdir(parents=True)
    path.write_bytes(content)
    with pytest.raises(MinimizeError, match="encrypted"):
        project.run(date=DAY)


def test_a_page_that_does_not_have_its_checksum_is_refused(project: Project) -> None:
    project.source("parquet", aggregates=None)
    sink = pa.BufferOutputStream()
    pq.write_table(
        table(event(row) for row in range(ROWS)),
        sink,
        compression="none",
        use_dictionary=False,
        write_page_checksum=True,
    )
    content = bytearray(sink.getvalue())
    path = project.folder / "data" / DAY / "a.parquet"
    path.parent.mkdir(parents=True)
    path.write_bytes(content)
    assert project.run(date=DAY).rows.read == ROWS
    content[content.index((13 * 7).to_bytes(8, "little")) + 1] ^= 1
    path.write_bytes(content)
    with pytest.raises(MinimizeError, match="is damaged"):
        project.run(date=DAY)


if __name__ == "__main__":
    work(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
