"""Settings as they are given, checked: every faulty row at once, by file and line, never by value."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from minimize.canonical import canonical
from minimize.errors import Finding, PolicyError
from minimize.ledger.tokens import KEY, version_in
from minimize.settings.base import SCHEMA
from minimize.settings.columns import moments
from minimize.settings.rows import SettingsRows, microseconds_of
from minimize.system import said

_MUST_BE = ("tenant_id", "setting", "holder")
_IDS = ("tenant_id", "subject")
_TIMES = ("valid_from", "recorded_at")


@dataclass(frozen=True, slots=True)
class Given:
    """Columns of text (or, for times, timestamps) as they were read; `lines` where they come from a text file."""

    table: pa.Table
    file: str | None = None
    lines: Sequence[int] | None = None
    tokens: bool = False
    """Whether subjects may be tokens of a ledger, which no record has."""

    def place(self, row: int) -> tuple[int | None, str]:
        """The line of a row, and words for it where there are no lines."""
        return (None, f"row {row + 1}: ") if self.lines is None else (self.lines[row], "")

    def fault(self, code: str, what: str, row: int | None = None, hint: str = "", field: str | None = None) -> Finding:
        """A finding about a row, or about the whole."""
        line, where = (None, "") if row is None else self.place(row)
        return Finding(code, f"{where}{what}", hint=hint, file=self.file, line=line, field=field)


def checked(given: Given) -> SettingsRows:
    """The rows. Raises PolicyError with every fault."""
    refuse(list(_wrong_columns(given)), given.file)
    texts = {name: _text(given.table, name) for name in SCHEMA.names if name not in _TIMES}
    written = {name: texts[name] for name in _IDS}
    texts |= {name: canonical(ids) for name, ids in written.items()}
    times = {name: _moments(given.table[name].combine_chunks()) for name in _TIMES}
    faults = [*_empty(given, texts), *_blank(given, written, texts), *_timeless(given, times), *_tokens(given, texts)]
    refuse(sorted(faults, key=lambda fault: fault.line or 0), given.file)
    texts["value"] = pc.fill_null(texts["value"], "")
    columns = {**texts, **{name: column.cast(pa.timestamp("us", "UTC")) for name, column in times.items()}}
    table = pa.table([columns[name] for name in SCHEMA.names], schema=SCHEMA)
    differing = {row for name in _IDS for row in _rows(pc.not_equal(written[name], texts[name]).fill_null(False))}
    return SettingsRows(table, given.lines, given.file, sorted(differing))


def refuse(faults: Sequence[Finding], file: str | None) -> None:
    """Raises PolicyError where there are faults."""
    if faults:
        count = "a fault" if len(faults) == 1 else f"{len(faults)} faults"
        raise PolicyError(f"{count} in the settings{'' if file is None else f' {file}'}", findings=faults)


def _wrong_columns(given: Given) -> Iterator[Finding]:
    names = given.table.column_names
    for name in SCHEMA.names:
        if names.count(name) > 1 or (name not in names and name != "subject"):
            yield given.fault("C002", f"settings have no column {name}, or several", field=name)
        elif name in names and not _is_empty(given, name) and not _is_readable(name, _plain(given.table[name].type)):
            yield given.fault("C006", f"the column {name} is of a type that settings do not have", field=name)


def _is_empty(given: Given, name: str) -> bool:
    """Whether nothing is said in the whole column, whatever its type: pandas reads it as numbers."""
    return name not in _TIMES and given.table[name].null_count == given.table.num_rows


def _is_readable(name: str, type_: pa.DataType) -> bool:
    """Numbers with a fraction are no names: 7.0 would be another subject than 7."""
    if pa.types.is_string(type_) or pa.types.is_large_string(type_) or pa.types.is_string_view(type_):
        return True
    if name in _TIMES:
        return bool(pa.types.is_timestamp(type_))
    return bool(pa.types.is_integer(type_) or pa.types.is_null(type_))


def _plain(type_: pa.DataType) -> pa.DataType:
    return type_.value_type if pa.types.is_dictionary(type_) else type_


def _text(table: pa.Table, name: str) -> pa.Array:
    if name not in table.column_names:
        return pa.nulls(table.num_rows, pa.string())
    return table[name].combine_chunks().cast(pa.string())


def _moments(column: pa.Array) -> pa.Array:
    """Times as microseconds, null where there is none; text is ISO 8601 with an offset, a timestamp without zone is UTC."""
    if pa.types.is_timestamp(_plain(column.type)):
        return pa.array(moments(column), pa.int64(), mask=np.asarray(column.is_null()))
    encoded = column.cast(pa.string()).dictionary_encode()
    read = [_moment(text) for text in encoded.dictionary.to_pylist()]  # distinct texts only
    return pa.array(read, pa.int64()).take(encoded.indices)


def _moment(text: str) -> int | None:
    try:
        return microseconds_of(datetime.fromisoformat(text.strip()))
    except (ValueError, OverflowError):
        return None


def _empty(given: Given, texts: dict[str, pa.Array]) -> Iterator[Finding]:
    for name in _MUST_BE:
        for row in _rows(pc.fill_null(pc.equal(texts[name], ""), True)):
            yield given.fault("C003", f"{name} is empty", row, field=name)


def _blank(given: Given, written: dict[str, pa.Array], texts: dict[str, pa.Array]) -> Iterator[Finding]:
    """A subject of which nothing is left would be the whole tenant."""
    hint = "leave it empty for the whole tenant"
    blank = pc.and_(pc.not_equal(written["subject"], "").fill_null(False), texts["subject"].is_null())
    for row in _rows(blank):
        yield given.fault("C003", "the subject is blank", row, hint, "subject")


def _tokens(given: Given, texts: dict[str, pa.Array]) -> Iterator[Finding]:
    """A subject's *off* that no record matches would be one that nobody obeys."""
    if given.tokens:
        return
    hint = "`minimize settings import` takes it into a ledger"
    for row in _rows(pc.fill_null(pc.starts_with(texts["subject"], f"{KEY}/"), False)):
        if version_in(texts["subject"][row].as_py()) is not None:
            yield given.fault("C007", "the subject is a token of a ledger", row, hint, "subject")


def _timeless(given: Given, times: dict[str, pa.Array]) -> Iterator[Finding]:
    for name in _TIMES:
        for row in _rows(times[name].is_null()):
            hint = "write it like 2026-11-24T08:00:00+00:00"
            yield given.fault("C004", f"{name} is no ISO 8601 time with an offset from UTC", row, hint, name)


def _rows(where: pa.Array) -> list[int]:
    return [int(row) for row in np.flatnonzero(where.to_numpy(zero_copy_only=False))]


def unreadable(path: Path, kind: str, refused: OSError | None = None) -> PolicyError:
    """The error of a file that is not what its name says, or that the system refused to read; without a word of it."""
    finding = Finding("C001", f"settings that cannot be read as {kind}", file=str(path))
    if refused is not None and refused.errno:  # Arrow raises OSError without a number for what is no Parquet
        finding = Finding(
            "C001", f"settings that cannot be read: {said(refused)[0]}", file=str(path), hint="may you read it?"
        )
    return PolicyError(f"cannot read the settings {path}", findings=[finding])
