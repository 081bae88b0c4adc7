"""Inputs of a run.

The pipeline and its settings; erasures, corrections and consents; the source's files, their masked names, and bound sources.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import re
import secrets
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pyarrow as pa

from minimize.arrow.dictionaries import value_type
from minimize.consent import Consents
from minimize.datasets.erasure_list import StoredErasures
from minimize.errors import (
    ConfigurationError,
    Finding,
    LedgerError,
    SchemaError,
    SourceError,
)
from minimize.keys import Keyring
from minimize.keys.keyring import SUBJECT_KEY
from minimize.ledger.subject_kinds import CORRECTION, LifecycleEvent, RecordedCorrection
from minimize.output.folder import has_runs, read_receipts
from minimize.patterns import find_pattern
from minimize.plan import Plan, request
from minimize.plan.aggregates import aggregate_fault
from minimize.plan.bind import ExaminedPlan, examine
from minimize.plan.checks import field_fault, plan_refusal
from minimize.plan.model import unencrypted_identified_columns
from minimize.policy.fields import all_fields_named, is_dropped, steps_of
from minimize.policy.pipeline import Pipeline
from minimize.receipts import Receipt, RunOrigin
from minimize.runs.batch_dates import BatchDate, SkippedDate, reads_source, sort_dates
from minimize.runs.deciding_function import NO_CONSENTS, load_consents
from minimize.settings import SettingsRows
from minimize.settings.erasures import RecordedErasures
from minimize.sources import FORMATS, declared_schema
from minimize.sources.base import Source
from minimize.sources.file_discovery import NameMask, SourceFiles, displayed_name, find_files, parse_hive_folder
from minimize.sources.files import batch_parts
from minimize.stages.record_limits import reject_future, reject_long_partitions, reject_without_region
from minimize.stores import (
    Location,
    ObjectPath,
    PathText,
    is_uri,
    location_options,
)
from minimize.stores.path_patterns import DATE_PLACEHOLDER, split_pattern
from minimize.techniques.redact import ALL_PATTERNS, has_hit
from minimize.text import TERMINAL_NAMES
from minimize.verification.aggregates import MEASURE_RULES
from minimize.verification.rules import RULES
from minimize.workspace import Workspace

if TYPE_CHECKING:
    from minimize.ledger.ledger import Ledger
from minimize.datasets.pipelines import LEDGER_SETTINGS, is_same_path, nearest_pipeline_file, recorded_pipeline_file


def record_origin(job: Pipeline, input: Any, settings: Any, output: Location) -> RunOrigin | None:
    """The paths of a run's files, relative to its output folder, if they cannot be found from the output.

    These are the pipeline's path unless it is the one near the output, and the paths that replaced its source and settings. A
    path that may contain a value (a partition, a match of a `redact` pattern, or one input file whose name a receipt hashes) is
    not recorded. None if there is nothing to record.
    """
    origin = RunOrigin(
        None if job.path is None else _pipeline_origin(job.path, job.pipeline, output),
        None if _has_masked_name(input) else _relative_place(input, output),
        _relative_place(settings, output),
    )
    return None if origin == RunOrigin() else origin


def _pipeline_origin(file: Path, name: str, output: Location) -> str | None:
    """The path of a pipeline file for the receipt; None if it is the one near the output.

    The pipeline at the place in the last receipt keeps that path. A run through a link to its folder does not make the link the
    place of the pipeline: another folder could replace it later.
    """
    last = (read_receipts(output) if has_runs(output) else ())[-1:]
    for receipt in last:
        recorded = recorded_pipeline_file(output, receipt)
        if recorded is not None and is_same_path(recorded, file):
            return None if receipt.origin is None else receipt.origin.pipeline
    nearest = nearest_pipeline_file(output, name)
    return None if nearest is not None and is_same_path(nearest, file) else _relative_place(file, output)


def _relative_place(place: Any, output: Location) -> str | None:
    if not isinstance(place, str | PathLike):  # data in memory has no path
        return None
    if place == LEDGER_SETTINGS:
        return LEDGER_SETTINGS
    if isinstance(place, str) and is_uri(place):
        written = os.fspath(place)
        parts = written.partition("?")[0].split("/")[3:]
    elif isinstance(output, ObjectPath):  # a path of one machine has no meaning on another
        return None
    else:
        written = Path(os.path.relpath(Path(os.fspath(place)).absolute(), output.absolute())).as_posix()
        parts = [part for part in written.split("/") if part != ".."]
    return None if any("=" in part or has_hit(part.replace("{date}", "")) for part in parts) else written


_MASKED: Final = re.compile(r"(?:\[[^\]]+\]|[^=]+=)?#(?:[0-9a-f]{16}|\?)(?:\.[A-Za-z0-9]+)*")
_DATE_TEXT: Final = re.compile(r"\d{4}-\d{2}-\d{2}")
_DAY_TEXT: Final = re.compile(
    r"(?<!\d)\d{4}-?(?:0[1-9]|1[0-2])-?(?:0[1-9]|[12]\d|3[01])"
    r"(?:[T_-]?(?:[01]\d|2[0-3])[-:]?[0-5]\d(?:[-:]?[0-5]\d)?Z?)?(?!\d)"
)
"""A calendar day, with or without a time of day."""
_ENDINGS: Final = re.compile(
    r"(?:\.(?:ndjson|jsonl|json|csv|tsv|txt|parquet|pq|gz|gzip|zst|zstd|bz2|xz|lz4|br|snappy))*\Z", re.IGNORECASE
)
_WILD: Final = re.compile(r"[*?{\[]")
_MOST_DIGITS: Final = 8
"""Longer numbers are telephone numbers, account numbers and the like."""
_FILE_WORDS: Final = frozenset(
    {
        *("part", "data", "file", "chunk", "batch", "block", "split", "shard", "segment", "of", "hour", "day"),
        *("events", "records", "rows", "log", "logs", "export", "dump", "input", "output", "sample", "late"),
    }
)
"""Words with which programs name files. Another word would change recorded names: a run would not recognize files it has read."""
_PROCESS_KEY: Final = secrets.token_bytes(32)
"""Hashes names where there is no keyring, so that a message about a file differs from one about another file."""


@dataclass(frozen=True, slots=True)
class PathMask:
    """The names of folders and files as receipts, quarantine and messages record them.

    A part of a path is recorded unchanged if it consists of dates, numbers of at most eight digits, one letter, or words with
    which programs name files: `2026-11-24/part-00000.ndjson.gz`. Any other name is recorded as `#hash` with its ending:
    `#4f9d0c2b6a1e8835.ndjson.gz`. A name that a `redact` pattern matches is recorded as `[email]#hash`. A Hive partition is
    recorded as `key=#hash`, unless its field is plain and no pattern matches the value. The hashes are keyed: nobody can test a
    guess without the keyring. Different names are recorded differently. Without a key, nothing is recorded: a question mark
    replaces the hash of a partition or a matching name, and other hashes are of this process only.
    """

    key: bytes = field(repr=False)
    plain: Collection[str] = ()

    def __call__(self, name: str) -> str:
        """The recorded form of a name relative to the source's root. A terminal shows the name on disk, where it may."""
        return self._mask_parts(name, ())

    @property
    def ranking_salt(self) -> bytes:
        """The key with which undeclared names are hashed. It is sent to workers; the keyring's key cannot be derived from it."""
        return hmac.new(self.key, b"undeclared names", hashlib.sha256).digest() if self.key else b""

    def mask_recorded(self, name: str) -> str:
        """The current recorded form of a name in a receipt. Earlier versions recorded more names unchanged."""
        return self._mask_parts(name, [part for part in name.split("/") if _MASKED.fullmatch(part)])

    def _mask_parts(self, name: str, already_masked: Collection[str]) -> str:
        recorded: list[str] = []
        parts = name.split("/")
        for depth, part in enumerate(parts):
            path = "/".join(parts[: depth + 1])
            recorded.append(part if part in already_masked else self._mask(part, path, recorded))
        return "/".join(recorded)

    def _mask(self, part: str, path: str, above: Sequence[str]) -> str:
        partition = parse_hive_folder(part)
        if partition is not None:
            name, value = partition
            if name in self.plain and _matching_pattern(value) is None:
                return part
            return f"{name}=#{self._hash(f'{name}={value}')}"
        hit = _matching_pattern(part)
        if hit is not None:
            return f"[{hit}]#{self._hash(path)}"
        stem, ending = _split_ending(part)
        if _identifies_nobody(stem):
            return part
        token = f"#{_keyed_hash(self.key or _PROCESS_KEY, '/'.join((*above, part)))}"  # an earlier receipt may only have `above`
        TERMINAL_NAMES.add(token, stem)
        return f"{token}{ending}"

    def _hash(self, text: str) -> str:
        return _keyed_hash(self.key, text) if self.key else "?"


def _keyed_hash(key: bytes, text: str) -> str:
    return hmac.new(key, text.encode("utf-8", "surrogateescape"), hashlib.sha256).hexdigest()[:16]


def _has_masked_name(place: Any) -> bool:
    """Whether a path names one file whose name a receipt hashes."""
    name = str(place).partition("?")[0].rpartition("/")[2] if isinstance(place, str | PathLike) else ""
    stem, ending = _split_ending(name)
    return bool(ending) and not _WILD.search(stem) and not _identifies_nobody(stem)


def _split_ending(part: str) -> tuple[str, str]:
    """A name without its endings, and the endings that name a format or a compression: `.ndjson.gz`."""
    match = _ENDINGS.search(part)
    ending = "" if match is None else match[0]
    return part.removesuffix(ending), ending


def _identifies_nobody(stem: str) -> bool:
    """Whether a name without its ending consists of dates, short numbers and words with which programs name files.

    >>> [_identifies_nobody(stem) for stem in ("2026-11-24", "part-00000", "events_20261124T0930", "a")]
    [True, True, True, True]
    >>> [_identifies_nobody(stem) for stem in ("B-007", "ann", "4915112345678")]
    [False, False, False]
    """
    if len(stem) == 1 and stem.isascii() and stem.isalpha():
        return True
    words = [word for word in re.split(r"[-_.+ ]", _DAY_TEXT.sub("-", stem)) if word]
    numbers = [word for word in words if word.isascii() and word.isdecimal()]
    others = (word.lower() for word in words if word not in numbers)
    return sum(map(len, numbers)) <= _MOST_DIGITS and all(word in _FILE_WORDS for word in others)


def _matching_pattern(name: str) -> str | None:
    """The first pattern that matches a name. Dates in the name are ignored."""
    text = _DATE_TEXT.sub(" ", name)
    return next((pattern for pattern in ALL_PATTERNS if find_pattern(text, pattern)), None)


def path_mask(job: Pipeline, keyring: Keyring | None) -> PathMask:
    """The mask for the names of the source's files."""
    key = b"" if keyring is None else keyring.subkey(SUBJECT_KEY, "paths", _first_version(keyring))
    return PathMask(key, frozenset(name for name, field in job.policy.fields.items() if field.role == "plain"))


def _first_version(keyring: Keyring) -> int:
    """The oldest version of the subject key, which is never destroyed: with a newer one, a run would not recognize its files."""
    return min(each.version for each in keyring.listing() if each.name == SUBJECT_KEY)


def find_input_files(job: Pipeline, replacement: PathText | None, only: BatchDate) -> SourceFiles:
    """The files of the pipeline's source, or of the input that replaces it.

    The replacement is a pattern, a file or a folder. A folder is read with the layout of the source's root if it has files in
    this layout; otherwise all of its files are read. If the source has `{date}` and the path does not, the files are one batch of
    the date that is passed.
    """
    if replacement is None:
        return find_files(job.source.path, job.folder)
    if not isinstance(replacement, str | PathLike):
        raise ConfigurationError("the input is not a path", hint="Use `minimize.apply` for data in memory.")
    path, layout = str(replacement), split_pattern(job.source.path, job.folder)[1]
    if not path:
        raise ConfigurationError("the path of the input is empty", hint="Pass a file, a folder or a pattern.")
    root, wild = split_pattern(path, Path.cwd())
    if not wild and not root.exists():
        raise ConfigurationError("the file or folder of the input does not exist", hint="Check the path.")
    if layout and not wild and root.is_dir():
        below = find_files(f"{root}/{layout}{location_options(root)}", Path.cwd())
        if any(below.files.values()):
            return below
    source_files = find_files(path, Path.cwd())
    return (
        source_files
        if DATE_PLACEHOLDER in path or DATE_PLACEHOLDER not in layout
        else _as_one_batch(source_files, only)
    )


def _as_one_batch(source_files: SourceFiles, only: BatchDate) -> SourceFiles:
    files = source_files.files.get(None, ())
    if files and only is None:
        raise ConfigurationError(
            "the pipeline needs a date, but the input has none", hint="Pass --date, or a path with {date}."
        )
    return SourceFiles(source_files.root, {only: files}, source_files.name_pattern)


def missing_source(
    job: Pipeline, replacement: PathText | None, all_files: SourceFiles, chain: Sequence[Receipt], *, whole: bool
) -> list[SkippedDate]:
    """A skipped date, if the folder of the source is missing, or is a file although the path continues below it.

    If the `whole` source was selected, also if it has no file although this output was made from it, as if it is not mounted.
    """
    path, base = (job.source.path, job.folder) if replacement is None else (str(replacement), Path.cwd())
    root, layout = split_pattern(path, base)
    if isinstance(root, ObjectPath):
        return []
    why = "does not exist" if not root.exists() else "is a file" if layout and root.is_file() else ""
    if not why and whole and not any(all_files.files.values()) and any(map(reads_source, chain)):
        why = "has no files, but this output was made from it"
    hint = "Check that it is mounted, restore it, and run again."
    return [SkippedDate(None, "no_source", "E100", f"the folder of the source {why}: {path}", hint)] if why else []


def subject_names(people: SubjectActs, settings: SettingsRows | None) -> frozenset[str | None]:
    """The names by which erasures and settings name subjects: fields and identities, and None for ids of every identity."""
    return people.erased.names | (frozenset() if settings is None else settings.fields)


def open_sources(
    job: Pipeline, source_files: SourceFiles, shown: NameMask, names: Collection[str | None] = (), *, at: datetime
) -> dict[BatchDate, Source]:
    """A bound source per batch date with files. The fields that hold ids of these names are read to find subjects.

    Records whose event time is too long after `at` are rejected. Raises SchemaError if a file does not match the policy.
    """
    naming = all_fields_named(job.policy, names)
    source_request = replace(request(job.policy, job.purpose, job, naming), salt=shown.ranking_salt)
    days = [when for when in sort_dates(source_files.files) if source_files.files[when]]
    format_ = FORMATS[job.source.format]
    sources = {when: format_.bind(batch_parts(source_files, when, shown), source_request) for when in days}
    named = _unchanged_folder_fields(job)
    return {
        when: reject_future(
            reject_without_region(reject_long_partitions(source, named, format_.unit), job), job.policy, at
        )
        for when, source in sources.items()
    }


def _unchanged_folder_fields(job: Pipeline) -> list[str]:
    """The fields whose unchanged values name folders."""
    keys = () if job.records is None else job.records.partition_by
    fields = [field for key in keys if (field := job.policy.fields.get(key)) is not None and not field.from_]
    kept = [field for field in fields if all(step.changes_nothing for step in steps_of(field))]
    return [field.pointer.top for field in kept if field.pointer.is_flat and not is_dropped(field)]


def open_readable_sources(
    job: Pipeline, source_files: SourceFiles, shown: NameMask, names: Collection[str | None], *, at: datetime
) -> tuple[dict[BatchDate, Source], list[SkippedDate]]:
    """A bound source per batch date whose files can be opened, and the other dates.

    Raises SchemaError if a file does not match the policy.
    """
    sources: dict[BatchDate, Source] = {}
    unreadable: list[SkippedDate] = []
    for when in sort_dates(source_files.files):
        try:
            sources |= open_sources(
                job, replace(source_files, files={when: source_files.files[when]}), shown, names, at=at
            )
        except SourceError as error:
            files = [displayed_name(path, source_files.root, shown) for path in source_files.files[when]]
            unreadable.append(SkippedDate.unreadable(when, error, files))
    return sources, unreadable


def check_source_unchanged(source: Source) -> None:
    """Raises SourceError if a file has changed since it was first seen. Computes the digests that reading did not."""
    for part in source.parts:
        _ = part.digest


def examine_sources(job: Pipeline, sources: Mapping[BatchDate, Source]) -> ExaminedPlan:
    """The plan of all batch dates, with its faults. Without batch dates, it uses the types that the policy names.

    Raises SchemaError if two dates have different types.
    """
    if not sources:
        return examine_job(job, declared_schema(request(job.policy, job.purpose, job)))
    first, *others = sources.values()
    for source in others:
        _check_same_types(first.schema, source.schema)
    return examine_job(job, first.schema)


def examine_job(job: Pipeline, source: pa.Schema) -> ExaminedPlan:
    """The plan of a run for a source with this schema, with its faults and refusals.

    A technique or measure that `verify` refuses is a fault. It is refused to write identified columns unencrypted without an
    `encrypt` line.
    """
    examined = examine(job.policy, source, purpose=job.purpose, pipeline=job)
    unchecked = (*_techniques_without_rule(examined.plan), *_measures_without_rule(job))
    unencrypted = _unencrypted_columns(examined.plan)
    return replace(examined, faults=(*examined.faults, *unchecked), refused=(*examined.refused, *unencrypted))


def _unencrypted_columns(plan: Plan) -> Iterator[Finding]:
    """R009: identified columns would be written unencrypted, and no `encrypt` line says so."""
    columns = unencrypted_identified_columns(plan)
    if columns:
        message = f"identified columns would be written unencrypted: {', '.join(columns)}"
        hint = (
            "Write `encrypt: identified` in minimize.yaml or in `records` of the pipeline; or write `encrypt: off` to leave them "
            "unencrypted."
        )
        yield plan_refusal(plan, "R009", message, hint, at=("records",))


def _techniques_without_rule(plan: Plan) -> Iterator[Finding]:
    for planned in plan.fields.values():
        for name in dict.fromkeys(step.name for step in (*planned.steps, *planned.field.in_aggregates)):
            if name not in RULES:
                message = f"`verify` has no rule for `{name}` and would refuse the output"
                yield field_fault(
                    plan.policy,
                    planned.field,
                    "P124",
                    message,
                    "Add a rule to `RULES` in minimize/verification/rules/__init__.py.",
                )


def _measures_without_rule(job: Pipeline) -> Iterator[Finding]:
    for name, model in job.aggregates.items():
        for word in dict.fromkeys(measure.name for measure in model.measures.values()):
            if word not in MEASURE_RULES:
                message = f"`verify` has no rule for `{word}` and would refuse the output"
                hint = "Add a rule to `MEASURE_RULES` in minimize/verification/aggregates.py."
                yield aggregate_fault(job, name, "P124", message, hint, at="measures")


def _check_same_types(first: pa.Schema, second: pa.Schema) -> None:
    differing = [
        name
        for name in first.names
        if name not in second.names or value_type(first.field(name).type) != value_type(second.field(name).type)
    ]
    if differing:
        findings = [Finding("S010", "has different types on different batch dates", field=name) for name in differing]
        raise SchemaError(
            "the batch dates have columns of different types", findings=findings, hint="Run each date alone."
        )


@dataclass(frozen=True, slots=True)
class SubjectActs:
    """Erasures, corrections and consents to received data, as the ledger had them when it was read."""

    erased: RecordedErasures = field(default_factory=RecordedErasures)
    corrected: tuple[RecordedCorrection, ...] = field(default=(), repr=False)
    consents: Consents | None = field(default=None, repr=False)
    """None for the organization's own records, and without a ledger."""


def load_subject_acts(workspace: Workspace) -> SubjectActs:
    """Erasures, corrections and consents in the ledger, and the erasure list stored with the output. Raises LedgerError,
    OutputError."""
    keys = workspace.keyring()
    listed = StoredErasures(workspace.target, keys).read()
    if not workspace.address.exists:
        return SubjectActs(RecordedErasures((), keys, listed))
    with workspace.open_ledger() as ledger:
        return _read_subject_acts(ledger, workspace.job, listed)


def first_read_times(chain: Iterable[Receipt], shown: NameMask) -> dict[str, datetime]:
    """The time when each file of the input was first read, by its current shown name: the earlier of the two times of the first
    receipt that names it."""
    times_by_name: dict[str, datetime] = {}
    for receipt in chain:
        for input_file in receipt.inputs:
            read = min(receipt.at, receipt.finished)
            name = shown.mask_recorded(input_file.path)
            times_by_name[name] = min(read, times_by_name.get(name, read))
    return times_by_name


def check_acts_unchanged(ledger: Ledger, job: Pipeline, acts: SubjectActs) -> None:
    """Raises LedgerError if an erasure, correction, consent or contract was recorded since the run began: the staged files may
    contain the subject."""
    now = _read_subject_acts(ledger, job)
    if (now.erased.rows, now.corrected) != (acts.erased.rows, acts.corrected):
        message = "a deletion or correction was recorded during this run; nothing was published"
        raise LedgerError(message, hint="Run again.")
    if (now.consents or NO_CONSENTS) != (acts.consents or NO_CONSENTS):
        message = "consents or contracts were recorded during this run; nothing was published"
        raise LedgerError(message, hint="Run again.")


def _read_subject_acts(ledger: Ledger, job: Pipeline, listed: Iterable[LifecycleEvent] = ()) -> SubjectActs:

    erased = RecordedErasures.from_ledger(ledger, listed)
    return SubjectActs(erased, tuple(ledger.find(CORRECTION)), load_consents(job, ledger))
