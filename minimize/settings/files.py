"""Settings from CSV, Parquet or memory: read and checked. All faulty rows are reported at once, by file and line, never by value.

CSV is RFC 4180 with a header, in UTF-8. Parquet has the column names of that header. Each file of a folder is read and checked
alone. Data in memory is an Arrow table, a DataFrame, or anything with the Arrow PyCapsule interface. The errors of a single
setting that an administrator records follow at the end.

Settings as they were recorded: their rows, and the effective settings at the time of a run.
"""

from __future__ import annotations

import csv
import hashlib
import json
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import Any, Final, Self, TextIO

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from minimize.arrow.columns import column_microseconds
from minimize.arrow.dictionaries import value_type
from minimize.errors import Finding, PolicyError, describe_os_error
from minimize.identifiers import NO_FOLDING, CaseFolding, canonical_column, canonical_word, canonical_words
from minimize.keys.keyring import SUBJECT_KEY
from minimize.keys.parquet_footer import check_footer
from minimize.ledger.clock import effective_start
from minimize.ledger.subject_tokens import token_version
from minimize.pages import Table, html_fragment
from minimize.settings.evaluation import LEVEL_SETTING, ROW_SCHEMA, USER_HOLDER, EffectiveSettings, ExplainableSettings
from minimize.sources import header_hint, misspelt_columns
from minimize.stores import open_parquet_file
from minimize.text import count_noun
from minimize.times import EPOCH, epoch_microseconds, utc_now

_HOLDER_COLUMNS: Final = ("tenant_id", "subject", "setting", "holder", "field")
"""The columns that name what a row is about, and who decided it."""
_MICROSECOND: Final = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class SettingKind:
    """A setting with the value and the holder that set it, and the first line with them (None for data in memory)."""

    setting: str
    holder: str
    value: str
    line: int | None


@dataclass(frozen=True)
class SettingsRows:
    """Settings as they were recorded, in no particular order."""

    table: pa.Table = field(repr=False)
    """The rows, in the schema of settings; an empty subject is null."""
    lines: Sequence[int] | None = field(default=None, repr=False)
    """The line of each row in its file."""
    file: str | None = None
    """The file that was read."""
    noncanonical: Sequence[int] = ()
    """Indexes of the rows of which a name was not in canonical form; the table has the canonical form."""
    folding: CaseFolding = NO_FOLDING
    """Whether tenants and subjects are compared without regard to case."""
    levels: tuple[str, ...] = ()
    """The levels of the policy, lowest first."""
    read_at: datetime = field(default_factory=utc_now, compare=False, repr=False, kw_only=True)
    """The time at which the rows were read."""

    def __post_init__(self) -> None:
        if "field" not in self.table.column_names:
            column = pa.nulls(self.table.num_rows, pa.string())
            object.__setattr__(self, "table", self.table.append_column("field", column))  # a frozen dataclass

    def with_folding(self, folding: CaseFolding, levels: Sequence[str] = ()) -> Self:
        """The same rows, compared as a policy compares tenants, subjects and levels."""
        return replace(self, folding=folding, levels=tuple(levels))

    @cached_property
    def effective_table(self) -> pa.Table:
        """The rows with the times from which they count.

        These differ from the recorded ones for an opt-out that a clock ahead has recorded: it counts immediately after the
        earlier rows of its holder, unless a person stated a later day. An opt-out is an `off` or no higher level.
        """
        now, newest = self.read_at, pc.max(self.table["recorded_at"]).as_py()
        if newest is None or newest <= now:
            return self.table
        recorded = self.table["recorded_at"].to_pylist()
        starts, keys = self.table["valid_from"].to_pylist(), list(zip(*map(self._words, _HOLDER_COLUMNS), strict=True))
        last: dict[tuple[str | None, ...], datetime] = {}
        rows = range(len(recorded))
        order = rows if self.has_order else sorted(rows, key=lambda row: recorded[row])
        restricts = self._restricting_rows(order)
        for row in order:
            at = max(starts[row], recorded[row])
            if recorded[row] > now and restricts[row]:
                at = last.get(keys[row], EPOCH) + _MICROSECOND
                starts[row] = effective_start(starts[row], recorded[row], at)
                recorded[row] = at
            if at <= now:
                last[keys[row]] = max(at, last.get(keys[row], EPOCH))
        table = self.table
        for name, column in (("valid_from", starts), ("recorded_at", recorded)):
            place = table.schema.get_field_index(name)
            table = table.set_column(place, table.schema.field(name), pa.array(column, table.schema.field(name).type))
        return table

    def _words(self, name: str) -> list[str | None]:
        words: list[str | None] = self.table[name].to_pylist()
        return words

    @property
    def has_order(self) -> bool:
        """Whether the rows are in the order in which they were recorded."""
        return False

    def _restricting_rows(self, order: Sequence[int]) -> list[bool]:
        """For each row, whether it restricts compared with the row before it of the same holder."""
        ranks = {canonical_word(level): rank for rank, level in enumerate(self.levels)}
        values, keys = self._words("value"), list(zip(*map(self._words, _HOLDER_COLUMNS), strict=True))
        restricts, before = [value != "on" for value in values], dict[tuple[str | None, ...], int]()
        for row in order if LEVEL_SETTING in self._words("setting") else ():
            if keys[row][2] == LEVEL_SETTING:
                rank = ranks.get(str(values[row]), 0)
                restricts[row] = bool(ranks) and rank <= before.get(keys[row], 0)
                before[keys[row]] = rank
        return restricts

    @cached_property
    def fields(self) -> frozenset[str]:
        """The fields, other than a policy's subject, by which rows name their subjects."""
        return frozenset(name for name in self.table["field"].unique().to_pylist() if name is not None)

    def effective_at(self, run_at: datetime) -> ExplainableSettings:
        """The settings as known to a run at this time, without rows that were recorded later."""
        at = epoch_microseconds(run_at)
        if at >= self._last:
            return self._all_effective.as_of(at)
        if at not in self._earlier:
            self._earlier.clear()
            self._earlier[at] = self._effective_before(at)
        return self._earlier[at].as_of(at)

    @cached_property
    def _earlier(self) -> dict[int, EffectiveSettings]:
        """The settings as known at the last time that was asked for, if rows were recorded later."""
        return {}

    def _effective_before(self, at: int) -> EffectiveSettings:
        moment = pa.scalar(at, pa.int64()).cast(pa.timestamp("us", "UTC"))
        row_mask = pc.less_equal(self.effective_table["recorded_at"], moment)
        table = self.effective_table.filter(row_mask)
        lines = None if self.lines is None else pa.array(self.lines, pa.int64()).filter(row_mask.combine_chunks())
        digest = rows_digest(self.table.filter(row_mask))
        return EffectiveSettings(table.combine_chunks(), at, digest, lines, self.folding)

    @cached_property
    def _last(self) -> int:
        """The time when the last row was recorded. A later run knows all rows."""
        last = pc.max(self.effective_table["recorded_at"]).as_py()
        return 0 if last is None else epoch_microseconds(last)

    @cached_property
    def _all_effective(self) -> EffectiveSettings:
        lines = None if self.lines is None else pa.array(self.lines, pa.int64())
        return EffectiveSettings(self.effective_table.combine_chunks(), self._last, self.digest, lines, self.folding)

    @cached_property
    def digest(self) -> str:
        """`sha256:` over all rows in a canonical order."""
        return rows_digest(self.table)

    def lines_of(self, rows: Sequence[int]) -> list[int | None]:
        """The lines of rows; None for each if they were not read from one file."""
        return [None if self.lines is None else self.lines[row] for row in rows]

    def user_rows_of_tenants(self, settings: Collection[str]) -> list[int]:
        """The rows of the holder `user` that would turn one of these settings on for a whole tenant."""
        names = pa.array([canonical_word(name) for name in settings], pa.string())
        masks = [
            pc.equal(self.table["holder"], USER_HOLDER),
            pc.equal(self.table["value"], "on"),
            pc.is_null(self.table["subject"]),
            pc.is_in(self.table["setting"], value_set=names),
        ]
        return np.flatnonzero(np.logical_and.reduce([np.asarray(mask) for mask in masks])).tolist()

    def _repr_html_(self) -> str:
        """How often each setting was changed, and by how many tenants; without the settings of any single tenant."""
        keys = ["setting", "holder", "value"]
        moved = [("tenant_id", "count"), ("tenant_id", "count_distinct")]
        moves = (
            self.table.group_by(keys, use_threads=False).aggregate(moved).sort_by([(key, "ascending") for key in keys])
        )
        rows = [[str(cell) for cell in row.values()] for row in moves.to_pylist()]
        title = (
            f"collection settings{f' of {self.file}' if self.file else ''}: {count_noun(self.table.num_rows, 'row')}"
        )
        head = ("setting", "holder", "value", "rows", "tenants")
        return html_fragment(title, Table("changes of settings", head, rows, numbers=3))

    def kinds(self) -> tuple[SettingKind, ...]:
        """The distinct (setting, holder, value) with the first line of each, for lint."""
        lines = range(self.table.num_rows) if self.lines is None else self.lines
        table = self.table.select(["setting", "holder", "value"]).append_column("line", pa.array(lines, pa.int64()))
        first = table.group_by(["setting", "holder", "value"], use_threads=False).aggregate([("line", "min")])
        kinds = [SettingKind(row["setting"], row["holder"], row["value"], row["line_min"]) for row in first.to_pylist()]
        if self.lines is None:
            kinds = [SettingKind(kind.setting, kind.holder, kind.value, None) for kind in kinds]
        return tuple(sorted(kinds, key=lambda kind: (kind.setting, kind.holder, kind.value)))


def rows_digest(table: pa.Table) -> str:
    """`sha256:` over the rows in a canonical order and notation."""
    total = hashlib.sha256()
    for line in sorted(_canonical_lines(table)):
        total.update(line.encode() + b"\n")
    return f"sha256:{total.hexdigest()}"


def _canonical_lines(table: pa.Table) -> Iterator[str]:
    names = ROW_SCHEMA.names
    moments = {name: table[name].cast(pa.int64()) for name in ("valid_from", "recorded_at")}
    columns = [moments.get(name, table[name]).to_pylist() for name in names]
    rows = (row if row[-1] is not None else row[:-1] for row in zip(*columns, strict=True))  # without an empty `field`
    return (json.dumps(row, ensure_ascii=True) for row in rows)


_REQUIRED_COLUMNS = ("tenant_id", "setting", "holder")
_ID_COLUMNS = ("tenant_id", "subject")
_WORD_COLUMNS = ("setting", "value", "holder")
_OPTIONAL_COLUMNS = ("subject", "field")
_TIME_COLUMNS = ("valid_from", "recorded_at")


@dataclass(frozen=True, slots=True)
class UncheckedSettings:
    """Columns of text (or, for times, timestamps) as they were read; `lines` if they come from a text file."""

    table: pa.Table
    file: str | None = None
    lines: Sequence[int] | None = None
    tokens: bool = False
    """Whether subjects may be tokens of a ledger, which never match a record."""

    def place(self, row: int) -> tuple[int | None, str]:
        """The line of a row, or its number in words if there are no lines."""
        return (None, f"row {row + 1}: ") if self.lines is None else (self.lines[row], "")

    def fault(self, code: str, what: str, row: int | None = None, hint: str = "", field: str | None = None) -> Finding:
        """A finding about a row, or about the whole file."""
        line, where = (None, "") if row is None else self.place(row)
        return Finding(code, f"{where}{what}", hint=hint, file=self.file, line=line, field=field)


def check_rows(unchecked: UncheckedSettings) -> SettingsRows:
    """The checked rows. Raises PolicyError with every fault."""
    raise_faults(list(_column_faults(unchecked)), unchecked.file)
    texts = {name: _text_column(unchecked.table, name) for name in ROW_SCHEMA.names if name not in _TIME_COLUMNS}
    written = {name: texts[name] for name in (*_ID_COLUMNS, *_WORD_COLUMNS)}
    texts |= {
        name: canonical_words(words) if name in _WORD_COLUMNS else canonical_column(words, visible=True)
        for name, words in written.items()
    }
    texts["field"] = canonical_column(texts["field"])
    times = {name: _time_column(unchecked.table[name].combine_chunks()) for name in _TIME_COLUMNS}
    faults = [
        *_missing_values(unchecked, texts),
        *_blank_subjects(unchecked, written, texts),
        *_fields_without_subject(unchecked, texts),
        *_missing_times(unchecked, times),
        *_token_subjects(unchecked, texts),
    ]
    raise_faults(sorted(faults, key=lambda fault: fault.line or 0), unchecked.file)
    texts["value"] = pc.fill_null(texts["value"], "")
    columns = {**texts, **{name: column.cast(pa.timestamp("us", "UTC")) for name, column in times.items()}}
    table = pa.table([columns[name] for name in ROW_SCHEMA.names], schema=ROW_SCHEMA)
    differing = {
        row for name in written for row in _row_numbers(pc.not_equal(written[name], texts[name]).fill_null(False))
    }
    return SettingsRows(table, unchecked.lines, unchecked.file, sorted(differing))


def raise_faults(faults: Sequence[Finding], file: str | None) -> None:
    """Raises PolicyError if there are faults."""
    if faults:
        count = "a fault" if len(faults) == 1 else f"{len(faults)} faults"
        raise PolicyError(f"{count} in the settings{'' if file is None else f' {file}'}", findings=faults)


def _column_faults(unchecked: UncheckedSettings) -> Iterator[Finding]:
    names = unchecked.table.column_names
    for name in ROW_SCHEMA.names:
        if names.count(name) > 1 or (name not in names and name not in _OPTIONAL_COLUMNS):
            yield unchecked.fault("C002", f"the column {name} is missing or duplicated", field=name)
        elif (
            name in names
            and not _is_column_empty(unchecked, name)
            and not _is_readable_type(name, value_type(unchecked.table[name].type))
        ):
            yield unchecked.fault("C006", f"the column {name} has a type that is not allowed in settings", field=name)
    yield from _misspelt_columns(unchecked)


def _misspelt_columns(unchecked: UncheckedSettings) -> Iterator[Finding]:
    """Faults for columns that may be meant as another: without `subject`, a row of a subject is one of its tenant."""
    hint = header_hint(ROW_SCHEMA.names)
    for name, message in misspelt_columns(unchecked.table.column_names, ROW_SCHEMA.names):
        yield unchecked.fault("C002", message, hint=hint, field=name)


def _is_column_empty(unchecked: UncheckedSettings, name: str) -> bool:
    """Whether the whole column is empty, of any type: pandas reads an empty column as numbers."""
    return name not in _TIME_COLUMNS and unchecked.table[name].null_count == unchecked.table.num_rows


def _is_readable_type(name: str, type_: pa.DataType) -> bool:
    """Whether the type can be read. Numbers with a fraction cannot be names: 7.0 would be another subject than 7."""
    if pa.types.is_string(type_) or pa.types.is_large_string(type_) or pa.types.is_string_view(type_):
        return True
    if name in _TIME_COLUMNS:
        return bool(pa.types.is_timestamp(type_))
    return bool(pa.types.is_integer(type_) or pa.types.is_null(type_))


def _text_column(table: pa.Table, name: str) -> pa.Array:
    if name not in table.column_names:
        return pa.nulls(table.num_rows, pa.string())
    return table[name].combine_chunks().cast(pa.string())


def _time_column(column: pa.Array) -> pa.Array:
    """Times as microseconds, null without a time; text is ISO 8601 with an offset, a timestamp without zone is UTC."""
    if pa.types.is_timestamp(value_type(column.type)):
        return pa.array(column_microseconds(column), pa.int64(), mask=np.asarray(column.is_null()))
    encoded = column.cast(pa.string()).dictionary_encode()
    read = [_parse_time(text) for text in encoded.dictionary.to_pylist()]  # distinct texts only
    return pa.array(read, pa.int64()).take(encoded.indices)


def _parse_time(text: str) -> int | None:
    try:
        return epoch_microseconds(datetime.fromisoformat(text.strip()))
    except (ValueError, OverflowError):
        return None


def _missing_values(unchecked: UncheckedSettings, texts: dict[str, pa.Array]) -> Iterator[Finding]:
    for name in _REQUIRED_COLUMNS:
        for row in _row_numbers(pc.fill_null(pc.equal(texts[name], ""), True)):
            yield unchecked.fault("C003", f"{name} is empty", row, field=name)


def _blank_subjects(
    unchecked: UncheckedSettings, written: dict[str, pa.Array], texts: dict[str, pa.Array]
) -> Iterator[Finding]:
    """Faults for blank subjects. A subject that becomes empty would mean the whole tenant."""
    hint = "Write it without the character, or leave it empty for the whole tenant."
    blank = pc.and_(pc.not_equal(written["subject"], "").fill_null(False), texts["subject"].is_null())
    for row in _row_numbers(blank):
        yield unchecked.fault("C003", "the subject is blank or has an invisible character", row, hint, "subject")


def _fields_without_subject(unchecked: UncheckedSettings, texts: dict[str, pa.Array]) -> Iterator[Finding]:
    hint = "Leave `field` empty, or write the subject that this field names."
    for row in _row_numbers(pc.and_(texts["field"].is_valid(), texts["subject"].is_null())):
        yield unchecked.fault("C003", "a row names a field and no subject", row, hint, "field")


def _token_subjects(unchecked: UncheckedSettings, texts: dict[str, pa.Array]) -> Iterator[Finding]:
    """Faults for subjects that are tokens. An *off* of such a subject would match no record and have no effect."""
    if unchecked.tokens:
        return
    hint = "Run `minimize settings import` to import the file into a ledger."
    for row in _row_numbers(pc.fill_null(pc.starts_with(texts["subject"], f"{SUBJECT_KEY}/"), False)):
        if token_version(texts["subject"][row].as_py()) is not None:
            yield unchecked.fault("C007", "the subject is a token from a ledger", row, hint, "subject")


def _missing_times(unchecked: UncheckedSettings, times: dict[str, pa.Array]) -> Iterator[Finding]:
    for name in _TIME_COLUMNS:
        for row in _row_numbers(times[name].is_null()):
            hint = "Write it like 2026-11-24T08:00:00+00:00."
            yield unchecked.fault("C004", f"{name} is not an ISO 8601 time with an offset from UTC", row, hint, name)


def _row_numbers(where: pa.Array) -> list[int]:
    return [int(row) for row in np.flatnonzero(where.to_numpy(zero_copy_only=False))]


def unreadable_error(path: Path, kind: str, refused: OSError | None = None) -> PolicyError:
    """The error for a file that has another format than its name states, or that cannot be read. It contains none of the file's
    text."""
    finding = Finding("C001", f"the settings cannot be read as {kind}", file=str(path))
    if refused is not None and refused.errno:  # Arrow raises OSError without errno for a file that is not Parquet
        finding = Finding(
            "C001",
            f"the settings cannot be read: {describe_os_error(refused)[0]}",
            file=str(path),
            hint="Check its permissions.",
        )
    return PolicyError(f"cannot read the settings {path}", findings=[finding])


def read_csv(path: Path) -> UncheckedSettings:
    """The rows of a file. Raises PolicyError if it cannot be read, or if rows have more or fewer values than the header has
    names."""
    lines: list[tuple[int, list[str]]] | None = None
    refused: OSError | None = None
    try:
        with suppress(UnicodeDecodeError, csv.Error), path.open(encoding="utf-8-sig", newline="") as file:
            lines = list(_numbered_rows(file))
    except OSError as error:
        refused = error
    if lines is None:
        raise unreadable_error(path, "CSV in UTF-8", refused)
    header = lines[0][1] if lines else []
    body = lines[1:]
    raise_faults([_uneven_row(path, line) for line, row in body if len(row) != len(header)], str(path))
    columns = [pa.array([row[position] for _, row in body], pa.string()) for position in range(len(header))]
    return UncheckedSettings(pa.table(columns, names=header), str(path), [line for line, _ in body])


def _numbered_rows(file: TextIO) -> Iterator[tuple[int, list[str]]]:
    """The rows that are not blank, each with the line on which it begins."""
    reader, start = csv.reader(file, strict=True), 1
    for row in reader:
        if row:
            yield start, row
        start = reader.line_num + 1


def _uneven_row(path: Path, line: int) -> Finding:
    return Finding("C005", "a row has more or fewer values than the header has names", file=str(path), line=line)


def read_parquet(path: Path) -> UncheckedSettings:
    """The rows of a file. Raises PolicyError if it cannot be read."""
    table: pa.Table | None = None
    refused: OSError | None = None
    try:
        with suppress(pa.ArrowException):
            table = None if check_footer(path).masters else open_parquet_file(path).read()
    except OSError as error:
        refused = error
    if table is None:
        raise unreadable_error(path, "Parquet", refused)
    return UncheckedSettings(table, str(path))


def read_memory(data: Any) -> SettingsRows:
    """The rows of data in memory. Raises PolicyError with every fault, by row."""
    table = _as_table(data)
    if table is None:
        finding = Finding("C001", "the settings are not a path, a table or a DataFrame")
        raise PolicyError("cannot read the settings", findings=[finding])
    return check_rows(UncheckedSettings(table))


def _as_table(data: Any) -> pa.Table | None:
    try:
        if isinstance(data, pa.Table):
            return data
        if isinstance(data, pa.RecordBatchReader):
            return data.read_all()
        if isinstance(data, pa.RecordBatch):
            return pa.Table.from_batches([data])
        return pa.table(data)
    except (TypeError, ValueError, AttributeError, pa.ArrowException):
        return None


FORMATS: Final[dict[str, Callable[[Path], UncheckedSettings]]] = {
    ".csv": read_csv,
    ".parquet": read_parquet,
    ".pq": read_parquet,
}
"""The reader per suffix. A single file with any other suffix is read as CSV; in a folder it is refused."""


def read_file(path: Path, *, tokens: bool = False) -> SettingsRows:
    """The rows of a settings file, or of all files of a folder; with `tokens`, subjects may be tokens of a ledger.

    Raises PolicyError with every fault, by file and line.
    """
    if not path.exists():
        finding = Finding("C001", "the settings file does not exist", file=str(path), hint="Check the path.")
        raise PolicyError(f"cannot read the settings {path}", findings=[finding])
    if path.is_dir():
        return _read_folder(path, tokens)
    read = FORMATS.get(path.suffix.lower(), read_csv)
    return check_rows(replace(read(path), tokens=tokens))


def _read_folder(folder: Path, tokens: bool) -> SettingsRows:
    """The rows of every file below a folder. Each file has its own columns: a file without `subject` speaks of whole tenants."""
    paths = sorted(each for each in folder.rglob("*") if not each.is_dir())
    if not paths:  # no rows would mean that nobody turned anything off
        hint = "Check the path, or put the settings files into the folder."
        raise_faults([Finding("C001", "the settings folder has no files", file=str(folder), hint=hint)], str(folder))
    parts: list[SettingsRows] = []
    faults: list[Finding] = []
    for path in paths:
        try:
            parts.append(_read_part(path, tokens))
        except PolicyError as error:
            faults += error.findings
    raise_faults(faults, str(folder))
    starts = np.cumsum([0, *(part.table.num_rows for part in parts)]).tolist()
    differing = [start + row for start, part in zip(starts, parts, strict=False) for row in part.noncanonical]
    table = pa.concat_tables([part.table for part in parts]).combine_chunks()
    return SettingsRows(table, None, str(folder), differing)


def _read_part(path: Path, tokens: bool) -> SettingsRows:
    read = FORMATS.get(path.suffix.lower())
    if read is None:
        hint = "Move it out of the folder, or name it .csv or .parquet."
        raise PolicyError(
            "not a settings file", findings=[Finding("C001", "not a settings file", hint=hint, file=str(path))]
        )
    return check_rows(replace(read(path), tokens=tokens))


def missing_name_error(message: str = "a setting needs a tenant and a name", hint: str = "") -> PolicyError:
    """The error for a setting without tenant or name, or for a subject without a name."""
    return _setting_error("C003", message, hint)


def unknown_name_error(message: str, hint: str, file: str | None = None) -> PolicyError:
    """The error for an unknown name: the setting would have no effect."""
    return _setting_error("C008", message, hint, file)


def unknown_name_finding(message: str, hint: str, file: str | None, line: int | None) -> Finding:
    """The finding about a row with a name that no policy has, or with an unknown holder."""
    return Finding("C008", message, hint=hint, file=file, line=line)


def future_rows_error(lines: Sequence[int], file: str | None) -> PolicyError:
    """The error for rows that were recorded in the future."""
    what, hint = (
        "a row has a `recorded_at` in the future",
        "Correct `recorded_at`. Only `valid_from` may be in the future.",
    )
    findings = [Finding("C009", what, hint=hint, file=file, line=line) for line in lines]
    return PolicyError(f"{count_noun(len(lines), 'row')} recorded in the future", findings=findings)


def _setting_error(code: str, message: str, hint: str, file: str | None = None) -> PolicyError:
    return PolicyError(message, hint=hint, findings=[Finding(code, message, hint=hint, file=file)])
