"""The statements of every source format are true of files: all chunks, no wrong value, exact names, no text of a warning.

Each check takes a format and a function that writes its files, and returns what is wrong. The second half of the file makes
wrong formats: the check must find them.
"""

from __future__ import annotations

import json
import logging
import random
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.csv as pv
import pyarrow.parquet as pq
import pytest

import minimize
from minimize.errors import ConfigurationError, SchemaError, SourceError
from minimize.records import Chunk, Reject
from minimize.sources import FORMATS, SourceFormat
from minimize.sources.base import Source, SourcePart, SourceRequest
from minimize.sources.files import FilePart, FileSource, WrappingPart, file_parts, replace_errors
from tests.contract.test_custom_source_format import TABS
from tests.project import Project, events, table
from tests.sources.declared import declared

CANARY = "c4n4ry"
Row = Mapping[str, Any]
Writer = Callable[[Path, Sequence[str], Sequence[Sequence[Any]]], None]


def write_ndjson(path: Path, names: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    def line(row: Sequence[Any]) -> str:
        return (
            "{"
            + ", ".join(f"{json.dumps(name)}: {json.dumps(value)}" for name, value in zip(names, row, strict=True))
            + "}\n"
        )

    path.write_text("".join(map(line, rows)))


def write_csv(path: Path, names: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    pv.write_csv(text_table(names, rows), path)


def write_parquet(path: Path, names: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    pq.write_table(pa.Table.from_arrays([pa.array(column) for column in zip(*rows, strict=True)], names), path)


def write_tabs(path: Path, names: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    lines = [names, *(["" if value is None else str(value) for value in row] for row in rows)]
    path.write_text("".join("\t".join(line) + "\n" for line in lines))


def text_table(names: Sequence[str], rows: Sequence[Sequence[Any]]) -> pa.Table:
    texts = [[None if value is None else str(value) for value in row] for row in rows]
    return pa.Table.from_arrays([pa.array(column, pa.string()) for column in zip(*texts, strict=True)], list(names))


class Form(NamedTuple):
    """A format, and how to write a file of it."""

    format: SourceFormat
    write: Writer


WRITERS: dict[str, Writer] = {"ndjson": write_ndjson, "csv": write_csv, "parquet": write_parquet}


def form_of(kind: str) -> Form:
    return Form(FORMATS[kind], WRITERS[kind])


def open_file(
    form: Form, folder: Path, request: SourceRequest, names: Sequence[str], rows: Sequence[Sequence[Any]]
) -> Source:
    path = folder / f"a{form.format.suffixes[0]}"
    form.write(path, names, rows)
    return form.format.bind(file_parts([path], folder), request)


class Content(NamedTuple):
    """What was read: the rows, the rejects, and the number of records."""

    rows: list[Row]
    rejects: list[Reject]
    read: int
    chunks: int


def read(source: Source) -> Content:
    found = [chunk for part in source.parts for chunk in part.read()]
    rows = [row for chunk in found for row in chunk.records.to_pylist()]
    return Content(
        rows, [reject for chunk in found for reject in chunk.rejects], sum(chunk.read for chunk in found), len(found)
    )


NAMED = SourceRequest(fields=(declared("id", "string", required=True), declared("n", "integer")), rows=5_000)


def lost_chunks(form: Form, folder: Path) -> list[str]:
    """All of 15,000 rows are read, in order, and each has a position of its own."""
    padding = "x" * 1_200
    rows: list[list[Any]] = [[f"d{number}", number, padding] for number in range(15_000)]
    found = read(open_file(form, folder, NAMED, ["id", "n", "padding"], rows))
    complete = [row["n"] for row in found.rows] == [*range(15_000)]
    return [] if complete and found.read == 15_000 else [f"{found.read} rows read, {len(found.rows)} kept"]


def hidden_wrong_values(form: Form, folder: Path) -> list[str]:
    """A value of another type is quarantined under its field, or the file does not match. It is never null."""
    rows: list[list[Any]] = [["d0", 1], ["d1", CANARY], ["d2", 3]]
    typed = form.format.has_types and form.format.read_schema is not None
    given = [[row[0], str(row[1])] for row in rows] if typed else rows
    try:
        found = read(open_file(form, folder, NAMED, ["id", "n"], given))
    except SchemaError as error:
        return [] if [each.code for each in error.findings] == ["S002"] else ["another fault"]
    rejected = [(reject.code, reject.field) for reject in found.rejects]
    is_right = rejected == [("wrong_type", "/n")] and [row["n"] for row in found.rows] == [1, 3]
    return [] if is_right else [f"rejected: {rejected}"]


def accepted_duplicates(form: Form, folder: Path) -> list[str]:
    """A name that occurs twice is refused, or its record is."""
    with suppress(SchemaError):
        found = read(open_file(form, folder, NAMED, ["id", "n", "n"], [["d0", 1, 2]]))
        if found.rows:
            return ["one of two values was chosen"]
    return []


ODD = SourceRequest(
    fields=(
        declared("id", "string", required=True),
        declared("/a~1b", "integer", required=True),
        declared("/c~0d", "integer", required=True),
    )
)


def misread_names(form: Form, folder: Path) -> list[str]:
    """Names with `/` and `~` are read, and faults name their pointers."""
    rows: list[list[Any]] = [["d0", 1, 2], ["d1", None, 2], ["d2", 1, None], ["d3", 5, 6]]
    found = read(open_file(form, folder, ODD, ["id", "a/b", "c~d"], rows))
    fields = [reject.field for reject in found.rejects]
    wrong = [] if fields == ["/a~1b", "/c~0d"] else [f"missing: {fields}"]
    if not form.format.has_types or form.format.read_schema is None:
        bad = read(open_file(form, folder, ODD, ["id", "a/b", "c~d"], [["d0", 1, 2], ["d1", "x", 2], ["d2", 1, "x"]]))
        fields = [reject.field for reject in bad.rejects]
        wrong += [] if fields == ["/a~1b", "/c~0d"] else [f"wrong type: {fields}"]
    return wrong


MIXED = SourceRequest(
    fields=(
        declared("id", "string", required=True),
        declared("n", "integer"),
        declared("x", "double"),
        declared("t", "string"),
    )
)


def other_records(form: Form, folder: Path) -> list[str]:
    """The same records give the same rows as in NDJSON."""
    draw = random.Random(7)
    names = ["id", "n", "x", "t"]
    rows = [
        [
            f"d{number}",
            draw.choice([None, draw.randrange(-(2**40), 2**40)]),
            draw.choice([None, draw.gauss(0, 1e6)]),
            draw.choice([None, "é", "a b", "0"]),
        ]
        for number in range(200)
    ]
    plain = read(open_file(Form(FORMATS["ndjson"], write_ndjson), folder, MIXED, names, rows)).rows
    found = read(open_file(form, folder, MIXED, names, rows)).rows
    return [] if [dict(row) for row in found] == [dict(row) for row in plain] else ["other records"]


def false_types(form: Form, folder: Path) -> list[str]:
    """Values have types of their own if, and only if, the format says so."""
    path = folder / f"a{form.format.suffixes[0]}"
    form.write(path, ["id", "n"], [["d0", 1], ["d1", 2]])
    part = FilePart(path, folder)
    if form.format.read_schema is not None:
        typed = not pa.types.is_string(form.format.read_schema(part).field("n").type)
    else:
        assert form.format.read_records is not None
        record = next(form.format.read_records(part, 1))
        typed = type(record["n"]) is not type(record["id"])
    return [] if typed == form.format.has_types else ["types"]


NOTED = SourceRequest(fields=(declared("id", "string", required=True), declared("note", "string")), rows=5_000)


def damaged_parquet(path: Path) -> None:
    offsets, texts = pa.py_buffer(np.array([0, 1, 2, 3], np.int32)), pa.py_buffer(b"a\xffc")
    notes = pa.Array.from_buffers(pa.string(), 3, [None, offsets, texts])
    pq.write_table(pa.table({"id": pa.array(["d0", "d1", "d2"]), "note": notes}), path)


DAMAGED_CELLS: dict[str, Callable[[Path], object]] = {
    "ndjson": lambda path: path.write_bytes(
        b'{"id": "d0", "note": "a"}\n{"id": "d1", "note": "\xff"}\n{"id": "d2", "note": "c"}\n'
    ),
    "csv": lambda path: path.write_bytes(b"id,note\nd0,a\nd1,\xff\nd2,c\n"),
    "parquet": damaged_parquet,
}
"""For each format, how to write three records, the second of which has a cell that cannot be read: bytes that are no UTF-8, the
error of a formula."""


def null_of_damaged_cell(kind: str, form: Form, folder: Path) -> list[str]:
    """The record of a cell that cannot be read is quarantined, or the file is refused. The cell is never null or a text."""
    path = folder / f"a{form.format.suffixes[0]}"
    DAMAGED_CELLS[kind](path)
    try:
        found = read(form.format.bind(file_parts([path], folder), NOTED))
    except (SchemaError, SourceError):
        return []
    is_right = [row["note"] for row in found.rows] == ["a", "c"] and len(found.rejects) == 1
    return [] if is_right else [f"{found.rows} kept, {len(found.rejects)} rejected"]


Check = Callable[[Form, Path], list[str]]
CHECKS: list[Check] = [lost_chunks, hidden_wrong_values, accepted_duplicates, misread_names, other_records, false_types]


def test_every_format_has_a_file_with_a_damaged_cell() -> None:
    assert set(DAMAGED_CELLS) == set(FORMATS)


@pytest.mark.parametrize("kind", DAMAGED_CELLS)
def test_a_cell_that_cannot_be_read_is_no_null(kind: str, tmp_path: Path) -> None:
    assert null_of_damaged_cell(kind, form_of(kind), tmp_path) == []


@pytest.mark.parametrize("kind", ["ndjson", "csv"])
def test_a_format_that_makes_a_damaged_cell_null_is_found(kind: str, tmp_path: Path) -> None:
    assert null_of_damaged_cell(kind, Form(changed(kind, without_rejects), WRITERS[kind]), tmp_path)


def test_every_format_can_be_written_here() -> None:
    assert set(WRITERS) == set(FORMATS)


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
@pytest.mark.parametrize("kind", WRITERS)
def test_files_do_not_contradict_a_statement(kind: str, check: Check, tmp_path: Path) -> None:
    assert check(form_of(kind), tmp_path) == []


@pytest.mark.parametrize("kind", WRITERS)
def test_fifteen_thousand_rows_are_several_chunks(kind: str, tmp_path: Path) -> None:
    rows = [[f"d{number}", number, "x" * 1_200] for number in range(15_000)]
    assert read(open_file(form_of(kind), tmp_path, NAMED, ["id", "n", "padding"], rows)).chunks > 1


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_the_format_from_outside_states_its_facts_rightly(check: Check, tmp_path: Path) -> None:
    assert check(Form(TABS, write_tabs), tmp_path) == []


@dataclass(frozen=True, slots=True)
class ChangedPart(WrappingPart):
    """A part whose chunks are changed."""

    change: Callable[[Iterator[Chunk]], Iterator[Chunk]]

    def pieces(self) -> Sequence[SourcePart]:
        """The part itself."""
        return (self,)

    def read(self) -> Iterator[Chunk]:
        """The changed chunks."""
        return self.change(self.part.read())


def changed(kind: str, change: Callable[[Iterator[Chunk]], Iterator[Chunk]]) -> SourceFormat:
    """A format whose chunks are changed."""
    shipped = FORMATS[kind]

    def bind(parts: Sequence[FilePart], request: SourceRequest) -> FileSource:
        source = shipped.bind(parts, request)
        return FileSource(source.schema, [ChangedPart(part, change) for part in source.parts])

    return replace(shipped, bind=bind)


def first_only(chunks: Iterator[Chunk]) -> Iterator[Chunk]:
    yield next(chunks)


def without_rejects(chunks: Iterator[Chunk]) -> Iterator[Chunk]:
    """The rejected records as records of nulls."""
    for chunk in chunks:
        nulls = pa.RecordBatch.from_pylist([{"id": "d1"}] * len(chunk.rejects), chunk.records.schema)
        yield replace(chunk, records=pa.concat_batches([chunk.records, nulls]), rejects=())


def unescaped(chunks: Iterator[Chunk]) -> Iterator[Chunk]:
    """Rejects whose pointers are not escaped."""
    for chunk in chunks:
        fields = [(reject.field or "").replace("~1", "/").replace("~0", "~") for reject in chunk.rejects]
        yield replace(
            chunk, rejects=[replace(reject, field=field) for reject, field in zip(chunk.rejects, fields, strict=True)]
        )


def of_one(chunks: Iterator[Chunk]) -> Iterator[Chunk]:
    """Records whose numbers are all 1."""
    for chunk in chunks:
        index = chunk.records.schema.get_field_index("n")
        ones = pa.array([1] * chunk.records.num_rows, chunk.records.schema.field(index).type)
        yield replace(chunk, records=chunk.records.set_column(index, chunk.records.schema.field(index), ones))


WRONG: dict[str, tuple[str, Callable[[], SourceFormat], Check]] = {
    "stops after its first chunk (parquet)": ("parquet", lambda: changed("parquet", first_only), lost_chunks),
    "stops after its first chunk (csv)": ("csv", lambda: changed("csv", first_only), lost_chunks),
    "a wrong value becomes null": ("csv", lambda: changed("csv", without_rejects), hidden_wrong_values),
    "a wrong field in quarantine": ("csv", lambda: changed("csv", unescaped), misread_names),
    "other values": ("parquet", lambda: changed("parquet", of_one), other_records),
    "text is said to have types": ("csv", lambda: replace(FORMATS["csv"], has_types=True), false_types),
    "types are said to be text": ("parquet", lambda: replace(FORMATS["parquet"], has_types=False), false_types),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_format_is_found(name: str, tmp_path: Path) -> None:
    kind, make, check = WRONG[name]
    assert check(Form(make(), WRITERS[kind]), tmp_path)


def warning(chunks: Iterator[Chunk]) -> Iterator[Chunk]:
    """The chunks, each after a warning with a value, as a library gives them."""
    for chunk in chunks:
        warnings.warn(f"Cell C3 has the value {CANARY}", UserWarning, stacklevel=1)
        yield chunk


@pytest.mark.parametrize("kind", WRITERS)
def test_a_warning_of_a_library_is_counted_and_its_text_is_not_shown(
    kind: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    form = Form(changed(kind, warning), WRITERS[kind])
    with caplog.at_level(logging.WARNING), warnings.catch_warnings(record=True) as shown:
        warnings.simplefilter("always")
        found = read(open_file(form, tmp_path, NAMED, ["id", "n"], [["d0", 1], ["d1", 2]]))
        assert [str(each.message) for each in shown] == []
        warnings.warn("of the caller", UserWarning, stacklevel=1)
    assert [str(each.message) for each in shown] == ["of the caller"]
    assert found.read == 2
    assert [getattr(record, "code", None) for record in caplog.records] == ["W057"]
    assert CANARY not in caplog.text


def test_a_warning_while_the_consumer_works_is_shown(tmp_path: Path) -> None:
    with warnings.catch_warnings(record=True) as shown:
        warnings.simplefilter("always")
        source = open_file(form_of("csv"), tmp_path, NAMED, ["id", "n"], [["d0", 1]])
        for _ in source.parts[0].read():
            warnings.warn("of the caller", UserWarning, stacklevel=1)
    assert [str(each.message) for each in shown] == ["of the caller"]


def test_a_run_shows_no_text_of_a_warning(
    project: Project,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setitem(FORMATS, "ndjson", changed("ndjson", warning))
    project.policy()
    project.pipeline(aggregates=None)
    project.records(events(30))
    with caplog.at_level(logging.WARNING), warnings.catch_warnings(record=True) as shown:
        warnings.simplefilter("always")
        assert project.run().rows.read == 30
    printed = capsys.readouterr()
    assert CANARY not in printed.err + printed.out + caplog.text + "".join(str(each.message) for each in shown)
    assert "W057" in {getattr(record, "code", None) for record in caplog.records}


def without_package() -> Iterator[int]:
    yield 1
    raise ConfigurationError("`excel` requires the package openpyxl", hint="Install minimize with its extra `excel`.")


def test_a_missing_package_is_not_a_damaged_file() -> None:
    items = replace_errors(without_package(), SourceError("a.xlsx is damaged"), "a.xlsx")
    assert next(items) == 1
    with pytest.raises(ConfigurationError, match="requires the package openpyxl"):
        next(items)


def broken() -> Iterator[int]:
    yield 1
    raise ValueError(CANARY)


def test_the_error_of_a_library_is_a_damaged_file_without_its_text() -> None:
    items = replace_errors(broken(), SourceError("a.xlsx is damaged"), "a.xlsx")
    assert next(items) == 1
    with pytest.raises(SourceError, match="is damaged") as caught:
        next(items)
    assert CANARY not in repr((caught.value, caught.value.__cause__, caught.value.__context__))


def logging_rows(chunks: Iterator[Chunk]) -> Iterator[Chunk]:
    """The chunks, each after a log message with a value, as a library writes them."""
    for chunk in chunks:
        logging.getLogger("openpyxl.reader").warning("Cell C3 has the value %s", CANARY, exc_info=ValueError(CANARY))
        yield chunk


@pytest.mark.parametrize("kind", WRITERS)
def test_a_log_message_of_a_library_is_counted_and_its_text_is_not_shown(
    kind: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    form = Form(changed(kind, logging_rows), WRITERS[kind])
    with caplog.at_level(logging.WARNING):
        assert read(open_file(form, tmp_path, NAMED, ["id", "n"], [["d0", 1]])).read == 1
        logging.getLogger("openpyxl.reader").warning("of the caller")
    assert CANARY not in caplog.text
    assert [getattr(record, "code", record.name) for record in caplog.records] == [
        "openpyxl.reader",
        "W057",
        "openpyxl.reader",
    ]
    assert caplog.records[-1].message == "of the caller"


class WarningStream:
    """A table of another library, which warns and logs with a value when it is opened and while it is read."""

    def __init__(self, table: pa.Table) -> None:
        self._table = table

    def __arrow_c_stream__(self, requested: object = None) -> object:
        warnings.warn(f"Cell C3 has the value {CANARY}", UserWarning, stacklevel=1)
        logging.getLogger("another.library").error("Cell C3 has the value %s", CANARY)
        return self._table.__arrow_c_stream__(requested)


def test_data_in_memory_shows_no_text_of_a_library(project: Project, caplog: pytest.LogCaptureFixture) -> None:
    project.policy()
    data = table(events(5))
    with caplog.at_level(logging.WARNING), warnings.catch_warnings(record=True) as shown:
        warnings.simplefilter("always")
        result = minimize.apply(
            project.folder / "policy.yaml",
            WarningStream(data),
            settings=project.folder / "settings.csv",
            keys=project.keys,
        )
    assert result.num_rows == 5
    assert CANARY not in caplog.text + "".join(str(each.message) for each in shown)
    (counted,) = (record for record in caplog.records if getattr(record, "code", None) == "W057")
    assert counted.getMessage().startswith("data in memory: a library gave 2 warnings")
