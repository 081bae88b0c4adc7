"""Resolve a run before it reads: encryption of outputs, masked file names, pipeline, keyring, settings, sources, plan.

Configuration is checked first, then refusals. Master keys are requested before anything is read.
"""

from __future__ import annotations

import hashlib
import hmac
import logging
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pyarrow as pa

from minimize.consent import ConsentPeriods
from minimize.errors import (
    ConfigurationError,
    Finding,
    KeyringError,
    LedgerError,
    PolicyError,
    SchemaError,
    SourceError,
)
from minimize.keys import Keyring, Kms, find_keyring, find_kms
from minimize.keys.master_keys import is_master_key
from minimize.keys.parquet_encryption import CategoryEncryption
from minimize.ledger import AuditEvent, Resource, current_actor, find_ledger
from minimize.output.folder import has_runs
from minimize.output.partitions import reject_long_partitions
from minimize.output.reader import load_receipts
from minimize.plan import Plan, request
from minimize.plan.bind import ExaminedPlan, examine
from minimize.plan.model import planned_encryption
from minimize.policy.fields import is_dropped, steps_of
from minimize.policy.load import load_pipeline
from minimize.policy.pipeline import Pipeline
from minimize.receipts import Receipt, RunOrigin
from minimize.runs.batch_dates import (
    PENDING_STATES,
    Arrival,
    BatchDate,
    DateSelection,
    SkippedDate,
    arrivals,
    check_run_time,
    error_for,
    lost_dates,
    reads_source,
)
from minimize.runs.erasures import SubjectActs, load_subject_acts
from minimize.runs.provenance import load_pipeline_settings, record_origin
from minimize.runs.sender import NO_CONSENTS, Sender, find_sender
from minimize.settings import SettingsRows
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
from minimize.spill import find_budget
from minimize.stages.corrections import find_corrections
from minimize.stages.future_time import reject_future
from minimize.stores import Location, LocationLike, ObjectPath, location_options
from minimize.techniques import value_type
from minimize.techniques.patterns import find_pattern
from minimize.techniques.redact import ALL_PATTERNS
from minimize.times import parse_time

if TYPE_CHECKING:
    from minimize.ledger.leases import RunSession

log = logging.getLogger("minimize")


def output_encryption(plan: Plan, name: str, kms: Kms) -> CategoryEncryption | None:
    """How the files of an output are encrypted; None where they stand in the clear."""
    encrypt = planned_encryption(plan, name)
    if encrypt.by == "none":
        return None
    found = CategoryEncryption.for_schema(kms, plan.outputs[name].schema, encrypt.per)
    return found if found.names else None


def check_master_keys(plan: Plan, kms: Kms) -> None:
    """Asks for the master keys that are not a tenant's own. Raises KeyringError where one is missing or destroyed."""
    for name in plan.outputs:
        encryption = output_encryption(plan, name, kms)
        if encryption is not None:
            encryption.check()


def audit_created_keys(session: RunSession, keyring: Keyring, since: datetime) -> None:
    """Tells the audit log of master keys that the run has made in the keyring, because its files wanted them."""
    from minimize.ledger.audit_log import append_event

    lines = Keyring.load(keyring.path).listing()
    made = [f"{line.name}/{line.version}" for line in lines if is_master_key(line.name) and line.created >= since]
    if not made:
        return
    event = AuditEvent(
        component="keys",
        category="configuration",
        activity="keys",
        operation="make",
        actor=current_actor(),
        time=since,
        correlation_id=session.run_id,
        resources=tuple(Resource(each, "master key", f"keys/{each}") for each in made),
    )
    try:
        session.ledger.write(lambda connection: append_event(connection, event, keyring))
    except LedgerError as error:
        log.warning(
            "master keys were made, and the ledger could not be told: %s", error.message, extra={"code": "W016"}
        )


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


@dataclass(frozen=True, slots=True)
class ResolvedRun:
    """Everything that stands before the first byte is read."""

    pipeline: Pipeline
    at: datetime
    at_given: bool
    now: datetime
    """When it was asked: consents, contract and list must hold then, too, where `at` is earlier."""
    keys: Keyring
    kms: Kms
    """Who keeps the master keys of encrypted outputs."""
    settings: SettingsRows | None
    subject_acts: SubjectActs
    """Who is gone, and what was put right, as the ledger tells."""
    output: Location
    sources: Mapping[BatchDate, Source]
    found: SourceFiles
    """The files of every batch date, also of those that are not asked for."""
    shown: NameMask
    fence: Location | None
    root: Location
    """The folder that the input lies in."""
    plan: Plan
    sender: Sender | None
    """The third party that sends the records; None for records of our own."""
    origin: RunOrigin | None
    memory: int
    """Bytes that tallies may take."""
    input_description: str
    """What there would have been to do, in words: the path of the input as it was written."""
    skipped: tuple[SkippedDate, ...] = ()
    """The batch dates that are left alone, and why."""
    pending: bool = False
    """Whether whatever arrived is to be done, date by date."""
    first_read: Mapping[str, datetime] = field(default_factory=dict, repr=False)
    """When each file was first read, as the receipts of the output tell."""

    def job_inputs(self, when: datetime) -> dict[str, Any]:
        """Settings, who is gone, what was put right and who agreed, as the job of a run at this time has them."""
        settings = None if self.settings is None else self.settings.effective_at(when)
        corrected = find_corrections(self.subject_acts.corrected, self.plan.policy, when, self.keys)
        erased = self.subject_acts.erased.effective_at(when, self.plan.policy.future, self.first_read)
        return {"settings": settings, "erased": erased, "corrected": corrected, "consents": self.consents(when)}

    def consents(self, when: datetime) -> ConsentPeriods | None:
        """When tenants agreed to what a third party sends, as a run at this time knows it; None for records of our own.

        What this run itself reads must be agreed to now, too; what an earlier one read is as it was known then.
        """
        if self.sender is None:
            return None
        now = self.now if when == self.at else None
        return self.sender.periods(self.subject_acts.consents or NO_CONSENTS, self.pipeline.policy, when, now)

    def without_dates(self, skipped: Sequence[SkippedDate]) -> ResolvedRun:
        """The same without these dates, which are left alone."""
        left = {each.day for each in skipped}
        rest = {when: source for when, source in self.sources.items() if when not in left}
        return replace(self, sources=rest, skipped=(*self.skipped, *skipped))

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to do: no input for any date asked."""
        return not self.sources


def resolve_run(
    pipeline: Pipeline | str | PathLike[str],
    *,
    selection: DateSelection,
    at: datetime | str | None,
    input: str | PathLike[str] | None,
    settings: Any,
    output: LocationLike | None,
    keys: Keyring | str | PathLike[str] | None,
    ledger: str | PathLike[str] | None = None,
    recipients: str | PathLike[str] | None = None,
    having: Collection[str] = (),
    rerun: bool = False,
) -> ResolvedRun:
    """Everything checked and bound, nothing read. Raises what is wrong: configuration first, then refusals.

    With `rerun` records are read once more that were received before: whether the third party may send them is not asked.
    """
    job = pipeline_from(pipeline)
    now, asked = datetime.now(UTC), parse_time(at, "at")
    keyring = _require_keyring(keys, job)
    sender = find_sender(job, asked or now, now=now, recipients=recipients, having=having, rerun=rerun)
    if sender is not None and not rerun:
        sender.check(job)
    memory = find_budget(job.folder)
    target = job.target(output)
    rows = load_pipeline_settings(settings, job, keyring, target, ledger)
    every, shown = find_input_files(job, input, selection.only), path_mask(job, keyring)
    found = select_dates(every, selection)
    chain = load_receipts(target) if (selection.pending or not any(found.files.values())) and has_runs(target) else ()
    arrived = arrivals(found, chain, shown) if selection.pending else {}
    people = load_subject_acts(job, keyring, target, ledger)
    wants = pending_only(found, arrived) if selection.pending else found
    sources, unreadable = open_readable_sources(job, wants, shown, people.erased.fields, at=asked or now)
    skipped = [*missing_source(job, input, chain), *unreadable]
    looked_at = _describe_input(job, input, selection)
    if not (skipped and skipped[0].reason == "no_source"):
        skipped += [each for each in lost_dates(arrived, chain) if each.day in selection]
        skipped += _date_without_files(selection, sources, looked_at) if not skipped else []
    if unreadable and not sources and not selection.pending:
        raise error_for(unreadable)
    examined = examine_sources(job, sources)
    plan = examined.require_sound()
    _check_released_columns(plan)
    for name in sorted(plan.keys):
        keyring.bytes_of(name)
    examined.require_allowed()
    if sender is not None and not rerun:
        sender.check_permitted(find_ledger(ledger, start=job.folder, output=target), keyring, now)
    check_run_time(asked, now, output is not None)
    kms = find_kms(keyring, job.folder, now=now)
    check_master_keys(plan, kms)
    return ResolvedRun(
        pipeline=job,
        at=asked or now,
        at_given=asked is not None,
        now=now,
        keys=keyring,
        kms=kms,
        settings=rows,
        subject_acts=people,
        output=target,
        sources=sources,
        found=every,
        shown=shown,
        fence=every.excluded_folder(target),
        root=every.root,
        plan=plan,
        sender=sender,
        origin=record_origin(job, input, settings, target),
        memory=memory,
        input_description=looked_at,
        skipped=tuple(sorted(skipped, key=lambda each: each.date)),
        pending=selection.pending,
    )


def _describe_input(job: Pipeline, input: str | PathLike[str] | None, selection: DateSelection) -> str:
    path, of = job.source.path if input is None else str(input), selection.description
    if selection.pending:
        return f"nothing arrived since the last run in {path}{of and f', {of}'}"
    return f"no file {of and f'{of} '}matches {path}"


def pipeline_from(pipeline: Pipeline | str | PathLike[str]) -> Pipeline:
    """The pipeline, loaded where a path is given."""
    if isinstance(pipeline, Pipeline):
        return pipeline
    if not isinstance(pipeline, str | PathLike):
        raise ConfigurationError(
            f"a {type(pipeline).__name__} is no pipeline", hint="give a pipeline or the path of one"
        )
    return load_pipeline(Path(pipeline))


def select_dates(found: SourceFiles, selection: DateSelection) -> SourceFiles:
    """The files of the dates that are wanted. Raises ConfigurationError where a date was named and the source has none."""
    if selection.by_date and not found.has_dates:
        raise ConfigurationError("a date was given, and the source has no {date}", hint="leave --date out")
    return replace(found, files={when: files for when, files in found.files.items() if when in selection})


def pending_only(found: SourceFiles, arrived: Mapping[BatchDate, Arrival]) -> SourceFiles:
    """The files of the dates that are pending."""
    days = {when for when, each in arrived.items() if each.state in PENDING_STATES}
    return replace(found, files={when: files for when, files in found.files.items() if when in days})


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


def _date_without_files(
    selection: DateSelection, sources: Mapping[BatchDate, Source], looked_at: str
) -> list[SkippedDate]:
    """That a date was asked for and has no files."""
    if selection.only is None or sources:
        return []
    return [SkippedDate(selection.only, "no_files", "E100", looked_at, "did they arrive, and is it the right date?")]


def missing_source(
    job: Pipeline, replacement: str | PathLike[str] | None, chain: Sequence[Receipt]
) -> list[SkippedDate]:
    """That the folder of the source is gone, from which this output was made before."""
    path, base = (job.source.path, job.folder) if replacement is None else (str(replacement), Path.cwd())
    root = split_pattern(path, base)[0]
    if isinstance(root, ObjectPath) or root.exists() or not any(map(reads_source, chain)):
        return []
    hint = "is it mounted? bring it back, and run again"
    return [SkippedDate(None, "no_source", "E100", f"the folder of the source is gone: {path}", hint)]


def path_mask(job: Pipeline, keyring: Keyring | None) -> PathMask:
    """How the names of the source's files are shown."""
    key = b"" if keyring is None else keyring.subkey("subject", "paths")
    return PathMask(key, frozenset(name for name, field in job.policy.fields.items() if field.role == "plain"))


def find_input_files(job: Pipeline, replacement: str | PathLike[str] | None, only: BatchDate) -> SourceFiles:
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


def date_text(day: BatchDate) -> str | None:
    """A batch date as folders name it."""
    return None if day is None else day.isoformat()


def sort_dates(days: Iterable[BatchDate]) -> list[BatchDate]:
    """Batch dates in order; the one of a source without dates stands alone."""
    return sorted(days, key=lambda each: each or date.min)


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


def _check_released_columns(plan: Plan) -> None:
    """A file without columns holds nothing, and few engines can read one. Raises PolicyError."""
    records = plan.outputs.get("records")
    if records is not None and not records.schema.names:
        hint = "give a field a technique other than `drop`" + (", or say `records: false`" if plan.aggregates else "")
        file = None if plan.policy.path is None else str(plan.policy.path)
        message = "every field is dropped, so that no record can be written"
        finding = Finding("P116", message, hint=hint, file=file, line=plan.policy.lines.get(("fields",)))
        raise PolicyError(message, hint=hint, findings=[finding])


def _require_keyring(keys: Keyring | str | PathLike[str] | None, job: Pipeline) -> Keyring:
    found = find_keyring(keys, job.folder)
    if found is None:
        hint = "make one with `minimize keys new FILE`, then --keys FILE or MINIMIZE_KEYS"
        raise KeyringError("no keyring, and every run signs its receipt", hint=hint)
    return found


def _check_same_types(first: pa.Schema, other: pa.Schema) -> None:
    differing = [
        name
        for name in first.names
        if name not in other.names or value_type(first.field(name).type) != value_type(other.field(name).type)
    ]
    if differing:
        findings = [Finding("S010", "has another type on another batch date", field=name) for name in differing]
        raise SchemaError("the batch dates disagree about their columns", findings=findings, hint="run them one by one")
