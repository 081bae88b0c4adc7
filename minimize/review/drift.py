"""Schema drift (`minimize drift`): the data that arrives, compared with the policy and with earlier receipts.

In this order: changes and their report, likely renames, changes of declared fields, the command. A report contains
names and counts, never a value.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from difflib import SequenceMatcher
from typing import Any, Final, Literal

from minimize.arrow.pointers import STAR, Pointer
from minimize.arrow.types import CONTAINER_TYPES
from minimize.datasets.pipelines import pipeline_from
from minimize.datasets.reader import load_receipts
from minimize.drafting import draft_text, drafted_field
from minimize.errors import ConfigurationError, Severity, call_redacted
from minimize.forms.yaml_nodes import key_text
from minimize.keys import find_keyring
from minimize.output.folder import has_runs
from minimize.plan.request import declared_prefixes, mask_undeclared, needed_fields, request
from minimize.policy.model import Field, Policy
from minimize.policy.pipeline import Pipeline
from minimize.receipts import Receipt
from minimize.receipts.chain import READING_KINDS
from minimize.records import UndeclaredCount
from minimize.results import FAILING_SEVERITIES, OMIT_IF_EMPTY, OMIT_IF_NONE, JsonResult, json_member, json_object
from minimize.review.drift_observation import ArrivedData, UnlistedValues, listed_values, observe_files
from minimize.runs.batch_dates import BatchDate, DateSelection, date_text, select_dates
from minimize.runs.inputs import find_input_files, path_mask
from minimize.sources import FORMATS
from minimize.sources.file_discovery import SourceFiles
from minimize.stores import Location, PathText
from minimize.text import count_noun
from minimize.workspace import Workspace

DriftKind = Literal["new", "renamed", "retyped", "nested", "unlisted", "gone"]
DRIFT_CODES: Mapping[DriftKind, str] = {
    "new": "D001",
    "renamed": "D002",
    "retyped": "D003",
    "nested": "D004",
    "unlisted": "D005",
    "gone": "D006",
}

_SIGNS: Final[Mapping[DriftKind, str]] = {
    "new": "+",
    "renamed": ">",
    "retyped": "~",
    "nested": "~",
    "unlisted": "?",
    "gone": "-",
}


@dataclass(frozen=True, slots=True)
class DriftChange(JsonResult):
    """One difference between the policy and the data that arrives."""

    kind: DriftKind
    path: Pointer = field(metadata=json_member("field", convert=str))
    """The path, masked if it could contain a value."""
    severity: Severity
    message: str
    records: int
    """Number of affected records of the date."""
    key: str | None = None
    before: str | None = field(default=None, metadata=OMIT_IF_NONE)
    """The policy's path of a renamed or differently nested field."""
    was: str | None = field(default=None, metadata=OMIT_IF_NONE)
    """The old type, in the terms of the policy."""
    is_: str | None = field(default=None, metadata=OMIT_IF_NONE)
    """The new type, in the terms of the policy."""
    values: int | None = field(default=None, metadata=OMIT_IF_NONE)
    """Number of distinct values that are not listed."""
    since: str | None = field(default=None, metadata=OMIT_IF_NONE)
    """The earliest date whose receipt has the path."""
    line: int | None = field(default=None, metadata=OMIT_IF_NONE)
    """Line of the field in the policy file."""
    edit: str = field(default="", metadata=OMIT_IF_EMPTY)
    """Suggested line of YAML for the policy."""
    json_names = "code kind severity path before was is_ records values since line message edit"

    @property
    def code(self) -> str:
        """The stable code of its kind."""
        return DRIFT_CODES[self.kind]

    def __str__(self) -> str:
        name = str(self.path) if self.before is None else f"{self.before} → {self.path}"
        types = self.is_ if self.was in (None, self.is_) else f"{self.was} → {self.is_}"
        return f"{_SIGNS[self.kind]} {self.code} {name}{f' ({types})' if self.is_ else ''}: {self.message}"


@dataclass(frozen=True, slots=True)
class DriftReport:
    """Drift on the compared dates."""

    pipeline: str
    policy: str
    version: int
    dates: tuple[str, ...]
    records: int
    changes: Sequence[DriftChange]
    unknown: Mapping[str, Sequence[Mapping[str, Any]]]
    """Number of records with an undeclared path, by path (masked as in receipts) and receipt."""
    fail_on: str = "error"
    """The severity of a change from which on the check fails."""

    @property
    def exit_code(self) -> int:
        """1 if the check fails."""
        return int(any(change.severity in FAILING_SEVERITIES[self.fail_on] for change in self.changes))

    @property
    def matters(self) -> bool:
        """Whether a change causes lost or refused data."""
        return any(change.severity == "error" for change in self.changes)

    @property
    def edit(self) -> str:
        """All suggested edits as one YAML part of a policy; empty if there are none."""
        lines = [change.edit for change in self.changes if change.edit]
        return "fields:\n" + "\n".join(lines) + "\n" if lines else ""

    def to_json(self) -> dict[str, Any]:
        """The report as `drift --json` prints it."""
        policy = {"name": self.policy, "version": self.version}
        body = {"pipeline": self.pipeline, "policy": policy, "dates": self.dates, "records": self.records}
        return json_object({**body, "drift": self.changes, "unknown": self.unknown, "edit": self.edit})

    def lines(self) -> Iterator[str]:
        """The changes, the suggested edits, and undeclared paths of earlier runs."""
        dates = f" of {', '.join(self.dates)}" if self.dates else ""
        yield f"{self.policy} version {self.version}, {count_noun(self.records, 'record')}{dates}"
        yield from map(str, self.changes) if self.changes else ("no drift",)
        if self.edit:
            yield from ("", "proposed policy rules:", *self.edit.splitlines())
        yield from [""] if self.unknown else []
        for path, runs in self.unknown.items():
            counts = ", ".join(f"{each['records']:,} ({' '.join(each['dates']) or 'all'})" for each in runs)
            yield f"undeclared in earlier runs: {path} {counts}"


LEAST_LIKENESS: Final = 0.6
"""Minimum similarity of two names (0 to 1), compared without case and punctuation."""
_COMPATIBLE_TYPES: Final = ({"integer", "double"}, {"string", "timestamp", "date", "binary"}, {"struct", "map"})


def pair_renames(
    fields: Iterable[tuple[str, Pointer, str]],
    new: Iterable[DriftChange],
    lost: Callable[[str], bool],
) -> dict[str, DriftChange]:
    """The most similar new path for each declared field that is missing. Each path is used for one field only.

    Takes the declared fields (key, path, type), the new paths that may be shown, and a test for missing fields.
    """
    missing = [(key, pointer, word) for key, pointer, word in fields if lost(key)]
    pairs = sorted(
        ((likeness(pointer, word, change), key, change) for key, pointer, word in missing for change in new),
        key=lambda pair: (-pair[0], pair[1], str(pair[2].path)),
    )
    change_by_key: dict[str, DriftChange] = {}
    for score, key, change in pairs:
        if score >= LEAST_LIKENESS and key not in change_by_key and change not in change_by_key.values():
            change_by_key[key] = change
    return change_by_key


def likeness(pointer: Pointer, word: str, change: DriftChange) -> float:
    """Similarity of a declared path and a new one; 0 if their parents or types differ."""
    if pointer.parts[:-1] != change.path.parts[:-1] or not _are_compatible(word, change.is_):
        return 0.0
    declared_name, new_name = (_plain_name(str(each.parts[-1])) for each in (pointer, change.path))
    inside = min(len(declared_name), len(new_name)) > 2 and (declared_name in new_name or new_name in declared_name)
    return max(SequenceMatcher(None, declared_name, new_name).ratio(), 0.8 if inside else 0.0)


def _are_compatible(declared_type: str, new_type: str | None) -> bool:
    return (
        new_type is None
        or declared_type == new_type
        or any({declared_type.partition("(")[0], new_type.partition("(")[0]} <= kind for kind in _COMPATIBLE_TYPES)
    )


def _plain_name(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())


TEXT_LIKE_TYPES: Final = frozenset({"string", "timestamp", "date", "binary"})
"""Types whose values are text in a file without types."""
DEFAULT_REFUSED_SHARE: Final = 0.01
"""Share of records that may be refused for one field's type, if the pipeline sets no limit."""

RETYPED_SHARE: Final = 0.5
"""Share of records with another type from which on the field has changed its type. Fewer are faulty records of that field."""


@dataclass(frozen=True, slots=True)
class DriftComparison:
    """The inputs of a comparison."""

    policy: Policy
    arrived: ArrivedData
    """Observations of the data."""
    counted: Mapping[str, int]
    """The number of values in the last receipt, by field."""
    needed: Collection[str]
    """Fields that the plan reads."""
    must: Collection[str]
    """Fields without which a record is refused."""
    limit: float = DEFAULT_REFUSED_SHARE
    """Share of refused records above which a change is an error."""

    def is_gone(self, field: Field) -> bool:
        """Whether no data arrives for a field."""
        arrived = self.arrived
        return not arrived.carried[field.key] and not arrived.refused[field.key] and not arrived.types_at(field.pointer)

    def matters(self, key: str) -> Severity:
        """Severity of a field that does not arrive."""
        return "error" if key in self.needed or key in self.must else "warning"


def changes_of_declared(comparison: DriftComparison) -> Iterator[DriftChange]:
    """Drift of the declared fields, in the policy's order."""
    for declared in comparison.policy.fields.values():
        if not declared.from_ and not declared.pointer.is_keys and comparison.arrived.records:
            yield from _changes_of_field(declared, comparison)


def undeclared_paths(policy: Policy, arrived_data: ArrivedData) -> dict[Pointer, tuple[bool, UndeclaredCount]]:
    """Undeclared paths, masked as in reports: whether the path is shown in full, and its count of records."""
    known = declared_prefixes(field.pointer for field in policy.fields.values())
    count_by_path: dict[Pointer, tuple[bool, UndeclaredCount]] = {}
    for pointer, carried in arrived_data.undeclared.items():
        shown = mask_undeclared(pointer, carried, known)
        whole, before = count_by_path.get(shown, (True, UndeclaredCount(0)))
        count_by_path[shown] = (whole and shown == pointer, before + carried)
    return count_by_path


def arrived_type(arrived_data: ArrivedData, pointer: Pointer) -> str | None:
    """The policy's type of the data at a path; None if the types differ or the format has none."""
    words = set(arrived_data.types_at(pointer)) if arrived_data.has_types else set[str]()
    if words == {"integer", "double"}:
        return "double"
    if len(words) > 1 and words <= TEXT_LIKE_TYPES:
        return "string"
    return words.pop() if len(words) == 1 else None


def _changes_of_field(field: Field, comparison: DriftComparison) -> Iterator[DriftChange]:
    arrived_data = comparison.arrived
    bent = _nesting_difference(field, arrived_data)
    if arrived_data.refused[field.key] or (
        arrived_data.retyped[field.key] and (bent or arrived_data.types_at(field.pointer))
    ):
        yield _type_change(field, comparison) if bent is None else _nesting_change(field, comparison, *bent)
    elif comparison.is_gone(field) and (
        comparison.counted.get(field.key) or field.key in comparison.must or arrived_data.absent[field.key]
    ):
        yield _absence(field, comparison)
    listed = arrived_data.unlisted.get(field.key)
    if listed is not None and listed.values:
        yield _unlisted_change(field, arrived_data, listed)


def _type_change(field: Field, comparison: DriftComparison) -> DriftChange:
    word = _undeclared_type(field, comparison.arrived)
    share = comparison.arrived.refused[field.key] / comparison.arrived.records
    message, edit = f"{_affected_text(field, comparison.arrived)} a type other than the declared one", ""
    if not comparison.arrived.retyped[field.key] and share < RETYPED_SHARE:
        message += f" ({_small_share_text(share)})"
        edit = (
            f"  # {field.key}: keep the type; correct the few other values in the source, or leave them in quarantine"
        )
    elif word is not None:
        edit = f"  {key_text(field.pointer)}: {{type: {word}}}  # was {field.type}; keep the other keys"
    return DriftChange(
        kind="retyped",
        path=field.pointer,
        severity=_severity(field, comparison),
        message=message,
        records=comparison.arrived.refused[field.key],
        key=field.key,
        was=field.type,
        is_=word,
        line=field.line,
        edit=edit,
    )


def _nesting_change(field: Field, comparison: DriftComparison, depth: int, was: str, is_: str) -> DriftChange:
    return DriftChange(
        kind="nested",
        path=field.pointer,
        severity=_severity(field, comparison),
        message=f"{_affected_text(field, comparison.arrived)} it nested differently",
        records=comparison.arrived.refused[field.key],
        key=field.key,
        was=was,
        is_=is_,
        line=field.line,
        edit=_nesting_edit(field, depth, was, is_),
    )


def _absence(field: Field, comparison: DriftComparison) -> DriftChange:
    absent = comparison.arrived.absent[field.key]
    message = "no record contains it" + (f", and files lack the column: {absent}" if absent else "")
    edit = f"  # {field.key}: it does not arrive; set `optional: true`, or remove the field"
    severity: Severity = "error" if absent else comparison.matters(field.key)
    return DriftChange(
        kind="gone",
        path=field.pointer,
        severity=severity,
        message=message,
        records=0,
        key=field.key,
        was=field.type,
        line=field.line,
        edit=edit,
    )


def _unlisted_change(field: Field, arrived_data: ArrivedData, listed: UnlistedValues) -> DriftChange:
    count = len(listed.values)
    message = f"values that are not listed: {count:,}, in {listed.records:,} of {arrived_data.records:,} records"
    edit = f"  # {field.key}: list the new values, or set `otherwise` for them"
    change = DriftChange(
        kind="unlisted",
        path=field.pointer,
        severity="warning",
        message=message,
        records=listed.records,
        key=field.key,
        values=count,
    )
    return replace(change, line=field.line, edit=edit)


def _affected_text(field: Field, arrived_data: ArrivedData) -> str:
    """Subject and verb of a message: number of affected records, or of whole files."""
    refused = arrived_data.refused[field.key]
    return (
        f"{refused:,} of {arrived_data.records:,} records have"
        if refused
        else f"{arrived_data.retyped[field.key]} file(s) have"
    )


def _small_share_text(share: float) -> str:
    """A share below one half, with two digits.

    >>> [_small_share_text(share) for share in (85 / 199_963, 1 / 30, 1e-6)]
    ['0.043%', '3.3%', 'under 0.01%']
    """
    return "under 0.01%" if share < 1e-4 else f"{100 * share:.2g}%"


def _severity(field: Field, comparison: DriftComparison) -> Severity:
    """Severity of a type change: a file of another type stops the run; single records are refused up to the limit."""
    whole = bool(comparison.arrived.retyped[field.key])
    return (
        "error"
        if whole or comparison.arrived.refused[field.key] / comparison.arrived.records > comparison.limit
        else "warning"
    )


def _nesting_difference(field: Field, arrived_data: ArrivedData) -> tuple[int, str, str] | None:
    """First position on a field's path with another container than declared: depth, declared type, actual type."""
    parts = field.pointer.parts
    for depth in range(1, len(parts)):
        fine = ("list", "map") if parts[depth] is STAR else ("struct", "map")
        other_types = [word for word in arrived_data.types_at(Pointer(parts[:depth])) if word not in fine]
        if other_types:
            return depth, fine[0], other_types[0]
    nests = [
        word
        for word in arrived_data.types_at(field.pointer)
        if word in CONTAINER_TYPES and word not in _interchangeable_types(field.type)
    ]
    return (len(parts), field.type, nests[0]) if nests else None


def _interchangeable_types(word: str) -> tuple[str, ...]:
    return ("struct", "map") if word in ("struct", "map") else (word,)


def _nesting_edit(field: Field, depth: int, was: str, is_: str) -> str:
    """Suggested line with the field's new path, if a list became an object or the other way round."""
    parts = field.pointer.parts
    if (was, is_) == ("list", "struct"):
        place = Pointer((*parts[:depth], *parts[depth + 1 :]))
    elif is_ == "list":
        place = Pointer((*parts[:depth], STAR, *parts[depth:]))
    else:
        return f"  # {field.key}: now {is_}, was {was}; declare the parts that you need"
    return f"  {key_text(place)}: {{type: {field.type}}}  # was {field.key}; keep the other keys"


def _undeclared_type(field: Field, arrived_data: ArrivedData) -> str | None:
    """Type of the values that differ from the declared type, if the first records show one."""
    fine = {"double": {"double", "integer"}, "string": TEXT_LIKE_TYPES}.get(field.type, {field.type})
    others = [word for word in arrived_data.types_at(field.pointer) if word not in fine]
    return others[0] if others else None


def detect_drift(
    pipeline: Pipeline | PathText,
    *,
    date: date | str | None = None,
    input: PathText | None = None,
    output: PathText | None = None,
    keys: Any = None,
    fail_on: str = "error",
) -> DriftReport:
    """Compare the data that arrives with the policy and with the last runs.

    Takes the pipeline and a batch date (default: the newest one found). Optional: source, output folder (for its receipts) and
    keyring in place of the pipeline's. Only the names of hive partitions need a keyring.
    The report has names, types and counts. A name is masked if it could be a value, and no value is included.
    Raises SourceError for files that cannot be read, ConfigurationError if no file matches.
    """
    job = pipeline_from(pipeline)
    if has_runs(job.target(output)):
        shown = () if output is None else (output,)
        Workspace(output=output, pipeline=job, keys=keys, shown=shown).require("run/read")
    selection = DateSelection.from_options(date)
    source_files = select_dates(find_input_files(job, input, selection.only), selection)
    day = _newest_date(source_files)
    if not source_files.files.get(day):
        location = job.source.path if input is None else str(input)
        raise ConfigurationError(
            f"no file matches {location}{_date_suffix(selection.only)}", hint="Pass another --date, or --input PATH."
        )
    chain = _receipts_of(job.target(output))
    return replace(call_redacted(lambda: _drift_report(job, day, source_files, chain, keys)), fail_on=fail_on)


def _date_suffix(day: BatchDate) -> str:
    return "" if day is None else f" for {day}"


def _newest_date(source_files: SourceFiles) -> BatchDate:
    return max((when for when, files in source_files.files.items() if when is not None and files), default=None)


def _drift_report(
    job: Pipeline, day: BatchDate, source_files: SourceFiles, chain: Sequence[Receipt], keys: Any
) -> DriftReport:
    policy = job.policy
    shown = path_mask(job, find_keyring(keys, job.config))
    source_request = replace(request(policy, job.purpose, job), salt=shown.ranking_salt)
    arrived_data = observe_files(
        source_files.files[day],
        source_files.root,
        FORMATS[job.source.format],
        source_request,
        listed_values(policy),
        shown,
    )
    last = next((receipt for receipt in reversed(chain) if receipt.kind in READING_KINDS), None)
    comparison = DriftComparison(
        policy=policy,
        arrived=arrived_data,
        counted={} if last is None else {key: each.values or 0 for key, each in last.fields.items()},
        needed=needed_fields(policy, job.purpose, job),
        must=frozenset(each.key for each in source_request.fields if each.required),
        limit=DEFAULT_REFUSED_SHARE if job.quarantine.warning_share is None else job.quarantine.warning_share,
    )
    changes = tuple(_with_first_date(change, chain) for change in _all_changes(comparison))
    name = date_text(day)
    dates = () if name is None else (name,)
    return DriftReport(
        pipeline=job.pipeline,
        policy=policy.policy,
        version=policy.version,
        dates=dates,
        records=arrived_data.records,
        changes=changes,
        unknown=undeclared_over_time(chain),
    )


def _all_changes(comparison: DriftComparison) -> Iterator[DriftChange]:
    """All changes: renames first, then other changes of declared fields, then other new paths."""
    new = list(_new_fields(comparison))
    arriving = (each for each in comparison.policy.fields.values() if not each.from_ and not each.pointer.is_keys)
    fields = [(each.key, each.pointer, each.type) for each in arriving]
    named = [change for change in new if change.edit]
    pairs = pair_renames(fields, named, lambda key: comparison.is_gone(comparison.policy.fields[key]))
    for key, change in pairs.items():
        yield _as_rename(comparison, key, change)
    yield from (
        change for change in changes_of_declared(comparison) if not (change.kind == "gone" and change.key in pairs)
    )
    taken = {change.path for change in pairs.values()}
    yield from (change for change in new if change.path not in taken)


def _new_fields(comparison: DriftComparison) -> Iterator[DriftChange]:
    for path, (whole, carried) in sorted(
        undeclared_paths(comparison.policy, comparison.arrived).items(), key=lambda entry: str(entry[0])
    ):
        word = arrived_type(comparison.arrived, path) if whole else None
        message = f"not declared, so dropped from {carried.records:,} of {comparison.arrived.records:,} records"
        if not whole:
            counts = f"{count_noun(carried.records, 'time')} from {count_noun(comparison.arrived.records, 'record')}"
            message = f"not declared, with names that are masked: dropped {counts}"
        edit = draft_text([drafted_field(path, word or "string")]) if whole else ""
        yield DriftChange("new", path, "warning", message, carried.records, is_=word, edit=edit)


def _as_rename(comparison: DriftComparison, key: str, change: DriftChange) -> DriftChange:
    field = comparison.policy.fields[key]
    body = change.edit.partition("  #")[0]
    return replace(
        change,
        kind="renamed",
        severity=comparison.matters(key),
        message=f"probably renamed from {key}, which no record contains",
        key=key,
        before=key,
        was=field.type,
        line=field.line,
        edit=f"{body}  # was {key}: copy the role and technique of that field",
    )


def undeclared_over_time(chain: Iterable[Receipt]) -> dict[str, list[dict[str, Any]]]:
    """Per undeclared path in the receipts: number of records with it, by run, the oldest first."""
    runs_by_path: dict[str, list[dict[str, Any]]] = {}
    for receipt in chain:
        for path, records in receipt.undeclared.items() if receipt.kind in READING_KINDS else ():
            run = {"run_id": receipt.run_id, "dates": list(receipt.dates), "records": records}
            runs_by_path.setdefault(path, []).append(run)
    return dict(sorted(runs_by_path.items()))


def _with_first_date(change: DriftChange, chain: Sequence[Receipt]) -> DriftChange:
    dates = [day for receipt in chain if str(change.path) in receipt.undeclared for day in receipt.dates]
    return replace(change, since=min(dates)) if dates else change


def _receipts_of(output: Location) -> tuple[Receipt, ...]:
    return load_receipts(output) if has_runs(output) else ()
