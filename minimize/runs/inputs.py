"""Inputs of a run.

Its pipeline, settings, and erasures, corrections and consents; the files of its source, their masked names, and bound
sources.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pyarrow as pa

from minimize.arrow.dictionaries import value_type
from minimize.consent import Consents
from minimize.errors import ConfigurationError, Finding, LedgerError, SchemaError, SourceError
from minimize.keys import Keyring
from minimize.keys.keyring import SUBJECT_KEY
from minimize.ledger import find_ledger
from minimize.output.folder import PIPELINE_FILE
from minimize.output.partitions import reject_long_partitions
from minimize.plan import request
from minimize.plan.bind import ExaminedPlan, examine
from minimize.policy.faults import FaultList
from minimize.policy.fields import is_dropped, steps_of
from minimize.policy.load import load_pipeline, normalize_path
from minimize.policy.model import Pipeline
from minimize.policy.yaml_nodes import parse_yaml
from minimize.receipts import Receipt, RunOrigin
from minimize.runs.batch_dates import BatchDate, SkippedDate, reads_source, sort_dates
from minimize.runs.erasure_list import stored_erasures
from minimize.runs.sender import NO_CONSENTS, load_consents
from minimize.settings import SettingsRows, load_settings
from minimize.settings.erasures import RecordedErasures
from minimize.sources import FORMATS, declared_schema
from minimize.sources.base import PositionUnit, Source
from minimize.sources.file_discovery import (
    DATE_PLACEHOLDER,
    NameMask,
    SourceFiles,
    displayed_name,
    find_files,
    parse_hive_folder,
    split_pattern,
)
from minimize.stages.future_time import reject_future
from minimize.stores import Location, LocationLike, ObjectPath, PathText, is_uri, location_options
from minimize.techniques.patterns import find_pattern
from minimize.techniques.redact import ALL_PATTERNS, has_hit

if TYPE_CHECKING:
    from minimize.ledger.ledger import Ledger
    from minimize.ledger.subjects import LifecycleEvent, RecordedCorrection

LEDGER_SETTINGS: Final = "ledger"
"""What a pipeline says instead of a path, where its settings stand in the ledger."""


def load_pipeline_settings(
    settings: Any,
    job: Pipeline,
    keys: Keyring | None = None,
    output: LocationLike | None = None,
    ledger: PathText | None = None,
) -> SettingsRows | None:
    """The settings that count; None where nothing names any: every feature is off.

    Takes what was given instead of the pipeline's (a path, a table, `ledger`), the keyring, the output folder that may hold the
    ledger, and the ledger that was given. Raises PolicyError, LedgerError, and KeyringError where a key that subjects are told
    by is not there.
    """
    said = job.settings if settings is None else settings
    if said is None:
        return None
    if isinstance(said, str) and said == LEDGER_SETTINGS:
        return _settings_from_ledger(ledger, job, keys, output)
    return load_settings(normalize_path(job.folder / said) if settings is None else said).with_folding(
        job.policy.folding
    )


def _settings_from_ledger(
    ledger: PathText | None, job: Pipeline, keys: Keyring | None, output: LocationLike | None
) -> SettingsRows:
    from minimize.ledger.ledger import open_ledger
    from minimize.settings.tokenized import load_ledger_settings

    with open_ledger(find_ledger(ledger, start=job.folder, output=job.target(output))) as book:
        return load_ledger_settings(book, keys).with_folding(job.policy.folding)


def record_origin(job: Pipeline, input: Any, settings: Any, output: Location) -> RunOrigin | None:
    """Where the files of a run lie, relative to its output folder, as far as the output does not tell by itself.

    The pipeline, where it is not the one near the output; what was given instead of its source and its settings. A path that
    may hold a value (a partition in it, or something that a `redact` pattern hits) is not written down. None where nothing is.
    """
    near = job.path is None or nearest_pipeline_file(output, job.pipeline) == Path(os.path.abspath(job.path))
    origin = RunOrigin(
        None if near else _relative_place(job.path, output),
        _relative_place(input, output),
        _relative_place(settings, output),
    )
    return None if origin == RunOrigin() else origin


def find_pipeline(output: Location, receipt: Receipt, explicit: PathText | None) -> Pipeline:
    """The pipeline of an output as it is today: as given, as its receipt says, else the one near by.

    Raises ConfigurationError where it is not found or is another.
    """
    written = origin_place(output, None if receipt.origin is None else receipt.origin.pipeline)
    path = (
        explicit
        if explicit is not None
        else nearest_pipeline_file(output, receipt.pipeline)
        if written is None
        else written
    )
    if path is None or (explicit is None and not Path(path).exists()):
        message = f"where the pipeline {receipt.pipeline} lies is not known"
        raise ConfigurationError(message, hint="say it: --pipeline PIPELINE")
    job = load_pipeline(Path(path))
    if job.pipeline != receipt.pipeline:
        message = f"the pipeline is called {job.pipeline}, and the output is one of {receipt.pipeline}"
        raise ConfigurationError(message, hint="--pipeline PIPELINE names the one that it was made by")
    return job


def nearest_pipeline_file(output: Location, name: str) -> Path | None:
    """The pipeline of this name that is nearest upwards from an output folder, from the current one where that is in a bucket;
    each folder's `pipelines/` counts.
    """
    folders = parent_folders(output)
    files = (
        path for each in folders for path in (each / PIPELINE_FILE, *sorted(each.glob(f"pipelines/*/{PIPELINE_FILE}")))
    )
    return next((path for path in files if path.is_file() and _pipeline_name(path) == name), None)


def origin_place(output: Location, written: str | None) -> Path | str | None:
    """The place that a receipt wrote down: a path, or the URI of an object store."""
    if written is None or is_uri(written):
        return written
    return None if isinstance(output, ObjectPath) else Path(os.path.normpath(output.absolute() / written))


def origin_settings(output: Location, origin: RunOrigin) -> str | Path | None:
    """The settings that a run was given instead of the pipeline's: a path, a URI, or `ledger`."""
    return LEDGER_SETTINGS if origin.settings == LEDGER_SETTINGS else origin_place(output, origin.settings)


def parent_folders(output: Location) -> Sequence[Path]:
    """The folders above an output; of one in a bucket the current folder and those above that."""
    here = Path.cwd()
    return [here, *here.parents] if isinstance(output, ObjectPath) else Path(os.path.abspath(output)).parents


def _pipeline_name(path: Path) -> Any:
    with suppress(OSError, UnicodeDecodeError):
        root = parse_yaml(path.read_text("utf-8-sig"), FaultList())
        name = None if root is None else root.get("pipeline")
        return None if name is None else name.value
    return None


def _relative_place(place: Any, output: Location) -> str | None:
    if not isinstance(place, str | PathLike):  # data in memory has no place
        return None
    if place == LEDGER_SETTINGS:
        return LEDGER_SETTINGS
    if isinstance(place, str) and is_uri(place):
        written = os.fspath(place)
        parts = written.partition("?")[0].split("/")[3:]
    elif isinstance(output, ObjectPath):  # a path on one machine tells nothing to another
        return None
    else:
        written = Path(os.path.relpath(Path(os.fspath(place)).absolute(), output.absolute())).as_posix()
        parts = [part for part in written.split("/") if part != ".."]
    return None if any("=" in part or has_hit(part.replace("{date}", "")) for part in parts) else written


def pipeline_from(pipeline: Pipeline | PathText) -> Pipeline:
    """The pipeline, loaded where a path is given."""
    if isinstance(pipeline, Pipeline):
        return pipeline
    if not isinstance(pipeline, str | PathLike):
        raise ConfigurationError(
            f"a {type(pipeline).__name__} is no pipeline", hint="give a pipeline or the path of one"
        )
    return load_pipeline(Path(pipeline))


_MASKED: Final = re.compile(r"(?:\]|=)#(?:[0-9a-f]{16}|\?)\Z")
_DATE_TEXT: Final = re.compile(r"\d{4}-\d{2}-\d{2}")


@dataclass(frozen=True, slots=True)
class PathMask:
    """Shows folders and files by their names, but for two kinds.

    A Hive partition is shown as `key=#hash`, unless its field is plain and no `redact` pattern hits the value. Any other name
    that a pattern hits is shown as `[email]#hash`, with the hash of the exact path. Names that differ are shown differently;
    without a key a question mark stands for each hash.
    """

    key: bytes = field(repr=False)
    plain: Collection[str] = ()

    def __call__(self, part: str, path: str) -> str:
        """What to show of the last part of a path."""
        partition = parse_hive_folder(part)
        if partition is None:
            hit = _matching_pattern(part)
            return part if hit is None else f"[{hit}]#{self._hash(path)}"
        name, value = partition
        if name in self.plain and _matching_pattern(value) is None:
            return part
        return f"{name}=#{self._hash(f'{name}={value}')}"

    @property
    def ranking_salt(self) -> bytes:
        """What undeclared names are hashed with. Workers get it; the key does not follow from it."""
        return hmac.new(self.key, b"undeclared names", hashlib.sha256).digest() if self.key else b""

    def mask_recorded(self, name: str) -> str:
        """A name that a receipt recorded, as it is shown today: earlier versions showed some that a pattern hits."""
        parts = name.split("/")
        paths = ("/".join(parts[: depth + 1]) for depth in range(len(parts)))
        return "/".join(
            part if _MASKED.search(part) else self(part, path) for part, path in zip(parts, paths, strict=True)
        )

    def _hash(self, text: str) -> str:
        data = text.encode("utf-8", "surrogateescape")
        return hmac.new(self.key, data, hashlib.sha256).hexdigest()[:16] if self.key else "?"


def _matching_pattern(name: str) -> str | None:
    """The first pattern that finds something in a name; its dates are not looked at."""
    text = _DATE_TEXT.sub(" ", name)
    return next((pattern for pattern in ALL_PATTERNS if find_pattern(text, pattern)), None)


def path_mask(job: Pipeline, keyring: Keyring | None) -> PathMask:
    """How the names of the source's files are shown."""
    key = b"" if keyring is None else keyring.subkey(SUBJECT_KEY, "paths")
    return PathMask(key, frozenset(name for name, field in job.policy.fields.items() if field.role == "plain"))


def find_input_files(job: Pipeline, replacement: PathText | None, only: BatchDate) -> SourceFiles:
    """The files of the pipeline's source, or of what stands in for it.

    What stands in for it is a pattern, a file, or a folder: laid out as the source's root is, else all that lies in it. Where
    the source has `{date}`, a path that says none is one batch, whose date is given.
    """
    if replacement is None:
        return find_files(job.source.path, job.folder)
    if not isinstance(replacement, str | PathLike):
        raise ConfigurationError("the input is not a path", hint="`minimize.apply` takes data in memory")
    path, rest = str(replacement), split_pattern(job.source.path, job.folder)[1]
    if not path:
        raise ConfigurationError("the input has no path", hint="name a file, a folder or a pattern")
    root, wild = split_pattern(path, Path.cwd())
    if not wild and not root.exists():
        raise ConfigurationError("there is no file or folder at the input's path", hint="is it written right?")
    if rest and not wild and root.is_dir():
        below = find_files(f"{root}/{rest}{location_options(root)}", Path.cwd())
        if any(below.files.values()):
            return below
    found = find_files(path, Path.cwd())
    return found if DATE_PLACEHOLDER in path or DATE_PLACEHOLDER not in rest else _as_one_batch(found, only)


def _as_one_batch(found: SourceFiles, only: BatchDate) -> SourceFiles:
    files = found.files.get(None, ())
    if files and only is None:
        raise ConfigurationError(
            "the pipeline works by date, and the input says none", hint="give --date, or a {date} path"
        )
    return SourceFiles(found.root, {only: files}, found.name_pattern)


def missing_source(job: Pipeline, replacement: PathText | None, chain: Sequence[Receipt]) -> list[SkippedDate]:
    """That the folder of the source is gone, from which this output was made before."""
    path, base = (job.source.path, job.folder) if replacement is None else (str(replacement), Path.cwd())
    root = split_pattern(path, base)[0]
    if isinstance(root, ObjectPath) or root.exists() or not any(map(reads_source, chain)):
        return []
    hint = "is it mounted? bring it back, and run again"
    return [SkippedDate(None, "no_source", "E100", f"the folder of the source is gone: {path}", hint)]


def open_sources(
    job: Pipeline, found: SourceFiles, shown: NameMask, also: Collection[str] = (), *, at: datetime
) -> dict[BatchDate, Source]:
    """A bound source per batch date that has files; `also` are fields that are read to know whose records they are.

    Records whose event time lies too far after `at` are rejected.

    Raises SchemaError where a file does not fit the policy.
    """
    asked = replace(request(job.policy, job.purpose, job, also), salt=shown.ranking_salt)
    days = [when for when in sort_dates(found.files) if found.files[when]]
    bound = FORMATS[job.source.format]
    sources = {when: bound(found.files[when], found.root, asked, shown=shown) for when in days}
    unit: PositionUnit = "byte" if job.source.format == "ndjson" else "row"
    named = _unchanged_folder_fields(job)
    return {
        when: reject_future(reject_long_partitions(source, named, unit), job.policy, at)
        for when, source in sources.items()
    }


def _unchanged_folder_fields(job: Pipeline) -> list[str]:
    """The fields whose values name folders as they come in."""
    keys = () if job.records is None else job.records.partition_by
    fields = [field for key in keys if (field := job.policy.fields.get(key)) is not None and not field.from_]
    kept = [field for field in fields if all(step.name == "keep" for step in steps_of(field))]
    return [field.pointer.top for field in kept if field.pointer.is_flat and not is_dropped(field)]


def open_readable_sources(
    job: Pipeline, found: SourceFiles, shown: NameMask, also: Collection[str], *, at: datetime
) -> tuple[dict[BatchDate, Source], list[SkippedDate]]:
    """A bound source per batch date whose files can be opened, and the other dates.

    Raises SchemaError where a file does not fit the policy.
    """
    sources: dict[BatchDate, Source] = {}
    unreadable: list[SkippedDate] = []
    for when in sort_dates(found.files):
        try:
            sources |= open_sources(job, replace(found, files={when: found.files[when]}), shown, also, at=at)
        except SourceError as error:
            names = [displayed_name(path, found.root, shown) for path in found.files[when]]
            unreadable.append(SkippedDate.unreadable(when, error, names))
    return sources, unreadable


def examine_sources(job: Pipeline, sources: Mapping[BatchDate, Source]) -> ExaminedPlan:
    """The one plan of all batch dates, with what stands against it; where there are none, of the types that the policy names.

    Raises SchemaError where two dates have different types.
    """
    if not sources:
        declared = declared_schema(request(job.policy, job.purpose, job))
        return examine(job.policy, declared, purpose=job.purpose, pipeline=job)
    first, *others = sources.values()
    for other in others:
        _check_same_types(first.schema, other.schema)
    return examine(job.policy, first.schema, purpose=job.purpose, pipeline=job)


def _check_same_types(first: pa.Schema, other: pa.Schema) -> None:
    differing = [
        name
        for name in first.names
        if name not in other.names or value_type(first.field(name).type) != value_type(other.field(name).type)
    ]
    if differing:
        findings = [Finding("S010", "has another type on another batch date", field=name) for name in differing]
        raise SchemaError("the batch dates disagree about their columns", findings=findings, hint="run them one by one")


@dataclass(frozen=True, slots=True)
class SubjectActs:
    """Who is gone, what was put right, and who agreed to what a third party sends, as the ledger told when it was asked."""

    erased: RecordedErasures = field(default_factory=RecordedErasures)
    corrected: tuple[RecordedCorrection, ...] = field(default=(), repr=False)
    consents: Consents | None = field(default=None, repr=False)
    """None for records of our own, and where there is no ledger."""


def load_subject_acts(job: Pipeline, keys: Keyring, output: Location, ledger: PathText | None) -> SubjectActs:
    """What the ledger of a run has, and the erasure list that is stored with its output. Raises LedgerError, OutputError."""
    from minimize.ledger.ledger import open_ledger

    address, listed = find_ledger(ledger, start=job.folder, output=output), stored_erasures(output, keys)
    if not address.exists:
        return SubjectActs(RecordedErasures((), keys, listed))
    with open_ledger(address) as book:
        return _read_subject_acts(book, job, keys, listed)


def first_read_times(chain: Iterable[Receipt], shown: NameMask) -> dict[str, datetime]:
    """When each file of the input was first read, by its name as it is shown today: the earlier of both times of the first
    receipt that names it."""
    found: dict[str, datetime] = {}
    for receipt in chain:
        for each in receipt.inputs:
            read = min(receipt.at, receipt.finished)
            name = shown.mask_recorded(each.path)
            found[name] = min(read, found.get(name, read))
    return found


def check_acts_unchanged(ledger: Ledger, job: Pipeline, acts: SubjectActs) -> None:
    """Raises LedgerError where the ledger was told of somebody since the run began: what was made may hold him."""
    now = _read_subject_acts(ledger, job, acts.erased.keys)
    if (now.erased.rows, now.corrected) != (acts.erased.rows, acts.corrected):
        message = "the ledger was told of people who are gone, or of corrections, while the run went on; nothing was published"
        raise LedgerError(message, hint="run it again")
    if (now.consents or NO_CONSENTS).acts != (acts.consents or NO_CONSENTS).acts:
        raise LedgerError("consents were recorded while the run went on; nothing was published", hint="run it again")


def _read_subject_acts(
    ledger: Ledger, job: Pipeline, keys: Keyring | None, listed: Iterable[LifecycleEvent] = ()
) -> SubjectActs:
    from minimize.ledger import subjects

    erased, corrected = (
        RecordedErasures.from_ledger(ledger, keys, listed),
        tuple(subjects.read_corrections(ledger)),
    )
    return SubjectActs(erased, corrected, load_consents(job, ledger))
