"""Trial of single records in memory, and the steps that explain the outcome of one record.

Finds the lines of a file and applies the stages of a run record by record.
"""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final, Literal, Self

import pyarrow as pa
import pyarrow.compute as pc

from minimize.aggregates.noise import NoiseKey
from minimize.aggregates.rollups import rolled_up
from minimize.aggregates.tally import settle_tables
from minimize.arrow.interchange import decode_batch
from minimize.arrow.pointers import Pointer
from minimize.engines.base import Job, derive_row_key
from minimize.engines.local import share_batches
from minimize.engines.passes import aggregate_tallies, empty_dictionaries, run_stages, settle_stages
from minimize.keys import Keyring, new_keyring
from minimize.plan import request
from minimize.plan.bind import bind
from minimize.plan.model import FieldPlan
from minimize.policy.condition import Condition, LevelAtLeast, setting_atoms
from minimize.policy.describe import condition_text, treatment_text
from minimize.policy.fields import all_fields_named, gate_condition, steps_of
from minimize.policy.model import Policy
from minimize.policy.pipeline import Pipeline
from minimize.records import RECORDS, Batch, BatchCounts, FieldCounts, Stage
from minimize.results import JsonResult, json_member
from minimize.runs.deciding_function import consent_periods
from minimize.runs.inputs import SubjectActs, subject_names
from minimize.settings import SettingRow, SettingsRows
from minimize.settings.evaluation import LEVEL_SETTING, ExplainableSettings
from minimize.sources import FORMATS, SourceFormat
from minimize.sources.base import Source, SourcePart
from minimize.sources.files import FilePart, file_parts, open_stream
from minimize.stages.conditions import BatchFacts
from minimize.stages.corrections import find_corrections
from minimize.stages.generalize import Release
from minimize.stages.raw_values import field_place
from minimize.stages.record_limits import reject_future
from minimize.text import place_text
from minimize.times import time_text

StepVerdict = Literal["passes", "stops", "depends", "says"]
"""`passes` and `stops` decide about the value; with `depends` each record decides; `says` only informs."""
VERDICT_SIGNS: Final = {"passes": "✓", "stops": "✗", "depends": "?", "says": "·"}


@dataclass(frozen=True, slots=True)
class ExplanationStep(JsonResult):
    """One rule or setting, and its result."""

    what: str
    found: str
    verdict: StepVerdict = "says"
    file: str | None = None
    line: int | None = None
    rows: tuple[SettingRow, ...] = field(
        default=(), metadata=json_member(convert=lambda rows: [setting_row_json(row) for row in rows])
    )
    """The rows of settings that decide, without the names of tenant and subject."""

    def __str__(self) -> str:
        place = place_text(self.file, self.line)
        head = f"{VERDICT_SIGNS[self.verdict]} {self.what}: {self.found}" + (f"  ({place})" if place else "")
        return "\n".join([head, *(f"    {setting_row_text(row)}" for row in self.rows)])


def setting_row_json(row: SettingRow) -> dict[str, Any]:
    """A row of settings as JSON, without the names of tenant and subject."""
    return {
        "of": _row_owner(row),
        "setting": row.setting,
        "value": row.value,
        "holder": row.holder,
        "valid_from": time_text(row.valid_from),
        "recorded_at": time_text(row.recorded_at),
        "line": row.line,
    }


def setting_row_text(row: SettingRow) -> str:
    """A row of settings as text."""
    place = f" (line {row.line} of the settings)" if row.line is not None else ""
    when = f"from {time_text(row.valid_from)} on, recorded {time_text(row.recorded_at)}"
    return f"{row.setting} {row.value}, set by {row.holder} for {_row_owner(row)}, {when}{place}"


def _row_owner(row: SettingRow) -> str:
    return "the tenant" if row.subject is None else "the subject"


RECORD_REASONS: Final = {
    "erased": "the ledger records an erasure or a closing for its subject or tenant",
    "restricted": "the use of its subject's or tenant's records is restricted",
    "consent": "its tenant's consent did not cover the record both when it arrived and now",
    "retention": "its retention period has ended",
    "setting": "a setting that gates whole records is off",
    "condition": "a condition on whole records does not hold",
    "deduplicated": "another record of the same day is kept in its place",
}


@dataclass(frozen=True, slots=True)
class RecordExplanation:
    """Explanation of one field of one record of a trial."""

    trial: Trial
    tried: TriedRecord
    key: str
    settings: ExplainableSettings | None

    @property
    def field(self) -> FieldPlan:
        """The field in the plan."""
        return self.trial.job.plan.fields[self.key]

    def outcome(self) -> str:
        """The outcome in one or two words."""
        if self.tried.outcome != "leaves" or self.tried.behind is None:
            return f"record {self.tried.outcome}"
        if self.field.gives is None:
            return "dropped"
        return values_outcome(self.tried.behind.counts.fields.get(self.key, FieldCounts()))

    def steps(self) -> Iterator[ExplanationStep]:
        """The steps of the record, then those of the field's values."""
        yield self.whole()
        if self.tried.raw is not None and self.field.gives is not None:
            facts = BatchFacts(self.tried.raw, self.trial.job.plan.policy, self.trial.job.settings, self.trial.job.at)
            for key in (self.key, *self.field.field.from_):
                yield from self.gates(facts, key)
        if self.tried.behind is not None and self.field.gives is not None:
            yield from self.cases(self.tried.behind)
            yield self.values(self.tried.behind)

    def whole(self) -> ExplanationStep:
        """Outcome for the record as a whole."""
        if self.tried.outcome == "quarantined":
            where = f" at {self.tried.path}" if self.tried.path else ""
            return ExplanationStep("record", f"quarantined: {self.tried.reason}{where}", "stops")
        if self.tried.outcome == "leaves":
            return ExplanationStep("record", "it is released", "passes")
        return ExplanationStep(
            "record", f"{self.tried.outcome}: {RECORD_REASONS.get(str(self.tried.reason), self.tried.reason)}", "stops"
        )

    def gates(self, facts: BatchFacts, key: str) -> Iterator[ExplanationStep]:
        """One step per part of a field's gate, as the stage evaluates it."""
        what = "gate" if key == self.key else f"gate of {key}"
        for part in gate_condition(self.trial.job.plan.policy.fields[key]).parts:
            mask = facts.holds(part, field_place(self.field))
            yield ExplanationStep(
                what, f"{condition_text(part)}: {_share_text(mask)}", _mask_verdict(mask), rows=self.rows(part)
            )

    def rows(self, part: Condition) -> tuple[SettingRow, ...]:
        """The rows of settings in force at the time of the event and at the time of the run."""
        raw, policy = self.tried.raw, self.trial.job.plan.policy
        if self.settings is None or raw is None:
            return ()
        facts = BatchFacts(raw, policy, None, self.trial.job.at)
        tenant, subject = (_leaf_text(facts, name) for name in (policy.tenant, policy.subject))
        setting_names = [LEVEL_SETTING if isinstance(atom, LevelAtLeast) else atom.name for atom in setting_atoms(part)]
        if tenant is None:
            return ()
        others = sorted(self.settings.fields & policy.fields.keys())
        named = [(None, subject), *((name, text) for name in others if (text := _leaf_text(facts, name)) is not None)]
        rows_by_setting = (
            self.settings.deciding_rows(tenant, setting, when, text, policy.levels, name)
            for setting in setting_names
            for when in self._times(facts)
            for name, text in named
        )
        return tuple(dict.fromkeys(row for rows in rows_by_setting for row in rows))

    def _times(self, facts: BatchFacts) -> list[datetime]:
        times = facts.times()
        event = None if times is None else times.cast(pa.timestamp("us", "UTC"), safe=False)[0].as_py()
        return [self.trial.job.at] if event is None else [event, self.trial.job.at]

    def cases(self, behind: Batch) -> Iterator[ExplanationStep]:
        """One step for each case that decides about a value."""
        case_indices = behind.cases.get(self.key)
        if case_indices is None:
            return
        last = len(self.field.branches) - 1
        for index in dict.fromkeys(each if each >= 0 else last for each in case_indices.to_pylist()):
            branch = self.field.branches[index]
            name = "otherwise" if branch.when is None else f"case {index + 1} matches"
            verdict: StepVerdict = "stops" if branch.steps is None else "passes"
            yield ExplanationStep("case", f"{name}: {treatment_text(branch.steps or 'drop')}", verdict)

    def values(self, behind: Batch) -> ExplanationStep:
        """Counts of the outcomes of the field's values."""
        counts = behind.counts.fields.get(self.key, FieldCounts())
        kept_count = counts.values - counts.gated - counts.dropped - counts.unparsable
        parts = {
            "gated": counts.gated,
            "dropped by its case": counts.dropped,
            "could not be treated": counts.unparsable,
            "made coarser": counts.changed,
            "kept unchanged": kept_count - counts.changed,
        }
        text = ", ".join(f"{number} {name}" for name, number in parts.items() if number)
        return ExplanationStep(
            "values", text or "the record has no value in this field", "passes" if kept_count else "stops"
        )


def values_outcome(counts: FieldCounts) -> str:
    """The outcome that all values of a field share; else `mixed`."""
    if not counts.values:
        return "no value"
    kinds = {
        "gated": counts.gated,
        "dropped": counts.dropped,
        "unparsable": counts.unparsable,
        "transformed": counts.changed,
        "kept": counts.values - counts.gated - counts.dropped - counts.unparsable - counts.changed,
    }
    return next((name for name, number in kinds.items() if number == counts.values), "mixed")


def _share_text(mask: pa.BooleanArray) -> str:
    if len(mask) == 1:
        return "yes" if mask.true_count else "no"
    return f"yes for {mask.true_count} of {len(mask)} elements"


def _mask_verdict(mask: pa.BooleanArray) -> StepVerdict:
    return "stops" if not mask.true_count else "passes" if mask.true_count == len(mask) else "depends"


def _leaf_text(facts: BatchFacts, name: str | None) -> str | None:
    value = None if name is None else facts.leaf(Pointer.parse(name)).values[0].as_py()
    return None if value is None else str(value)


BOM: Final = b"\xef\xbb\xbf"
BLANK: Final = b" \t\r\n"
BLOCK_SIZE: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class LineIndex:
    """Line starts of a file, counted from 1, and which lines are not blank."""

    starts: Sequence[int]
    filled: Sequence[int]

    @classmethod
    def from_file(cls, path: Path) -> Self:
        """Index a file, which may be compressed, without keeping its text. Raises SourceError if it cannot be read."""
        starts, filled, position, is_blank = array("q", [0]), array("q"), 0, True
        with open_stream(FilePart(path, path.parent)) as stream:
            for block in iter(partial(stream.read, BLOCK_SIZE), b""):
                *whole, partial_line = (block.removeprefix(BOM) if position == 0 else block).split(b"\n")
                position += len(block) - len(partial_line) - sum(len(line) + 1 for line in whole)  # a byte order mark
                for line in whole:
                    if not (is_blank and not line.strip(BLANK)):
                        filled.append(len(starts))
                    position, is_blank = position + len(line) + 1, True
                    starts.append(position)
                position, is_blank = position + len(partial_line), is_blank and not partial_line.strip(BLANK)
        if not is_blank:
            filled.append(len(starts))
        return cls(starts, filled)

    def line_of(self, position: int) -> int:
        """The line that contains a byte."""
        return bisect_right(self.starts, position)


RecordOutcome = Literal["leaves", "quarantined", "gated", "deduplicated"]


@dataclass(frozen=True, slots=True)
class TriedRecord:
    """Outcome for one record: file and line, outcome, the reason if it is not released, and the path concerned."""

    file: Path
    line: int
    outcome: RecordOutcome
    reason: str | None = None
    path: str | None = None
    raw: pa.RecordBatch | None = field(default=None, repr=False)
    """The record as it arrived; None if it could not be parsed."""
    behind: Batch | None = field(default=None, repr=False)
    """The record after all stages."""


@dataclass(frozen=True, slots=True)
class Trial:
    """A plan bound to a time, settings and keys, with its stages, settled over the files of the trial."""

    job: Job
    source: Source
    files: Sequence[Path]
    stages: tuple[Stage, ...]
    release: Release | None
    format_: SourceFormat

    @classmethod
    def of(
        cls,
        pipeline: Pipeline,
        files: Sequence[Path],
        at: datetime,
        settings: SettingsRows | None,
        keys: Keyring,
        format_: SourceFormat | None = None,
        people: SubjectActs | None = None,
    ) -> Trial:
        """Prepare a trial over files of one format (default: the pipeline's).

        `people`: erasures, corrections and consents; None if they are not known.
        Raises the errors that a run raises before it reads.
        """
        known, format_ = people or SubjectActs(), format_ or FORMATS[pipeline.source.format]
        source = reject_future(
            _open_source(pipeline, files, format_, subject_names(known, settings)), pipeline.policy, at
        )
        plan = bind(pipeline.policy, source.schema, purpose=pipeline.purpose, pipeline=pipeline)
        effective_rows = None if settings is None else settings.effective_at(at)
        erasures, corrections = (
            known.erased.effective_at(at, pipeline.policy.future),
            find_corrections(known.corrected, pipeline.policy, at, keys),
        )
        agreed = consent_periods(pipeline, known.consents, at)
        job = Job(
            plan,
            at,
            keys,
            effective_rows,
            row_key=derive_row_key(keys),
            erased=erasures,
            corrected=corrections,
            consents=agreed,
        )
        stages = settle_stages(job, partial(share_batches, source))
        release = Release(plan, schema=job.records_schema, secret=job.row_key) if RECORDS in plan.outputs else None
        return cls(job=job, source=source, files=files, stages=stages, release=release, format_=format_)

    def tried(self) -> Iterator[TriedRecord]:
        """Outcomes of all records, by file and line."""
        for path, part in zip(self.files, self.source.parts, strict=True):
            yield from self._of_part(path, part)

    def rows(self, tried: Sequence[TriedRecord]) -> pa.Table:
        """Released rows of some records, in their order; empty if the pipeline writes no records."""
        if self.release is None:
            return pa.table({})
        batches = [
            decode_batch(self.release.columns(record.behind), self.job.records_schema)
            for record in tried
            if record.behind
        ]
        return pa.Table.from_batches(batches, schema=self.job.records_schema)

    def aggregates(self, tried: Sequence[TriedRecord]) -> dict[str, pa.Table]:
        """Aggregates of some records, by name. Aggregates with a late window are empty, because no day of them is complete."""
        late = {name: each.late for name, each in self.job.plan.aggregates.items() if each.late is not None}
        key = self.job.noise or NoiseKey.random()
        days = {name: each.event_days(self.job.at.date()) for name, each in late.items()}
        job = replace(self.job, noise=key, event_days=days)
        tallies = aggregate_tallies(job, empty_dictionaries(job))
        for record in tried:
            if record.behind is not None:
                for tally in tallies.values():
                    tally.observe(record.behind)
        tables = {name: each.table for name, each in settle_tables(tallies, key, job.date).items()}
        definitions = {name: each.definition for name, each in job.plan.aggregates.items()}
        rollups = {name: each for name, each in definitions.items() if each.rolls_up in tables}
        return tables | {name: rolled_up(tables[each.rolls_up or ""], each) for name, each in rollups.items()}

    def one(self, line: int) -> TriedRecord | None:
        """Outcome for the record in a line of the first file; None if the line has no record."""
        path = self.files[0]
        for bad, good in self._chunks(path, self.source.parts[0]):
            if line in bad or line in good:
                return bad.get(line) or self._one(path, line, good[line])
        return None

    def _of_part(self, path: Path, part: SourcePart) -> Iterator[TriedRecord]:
        for bad, good in self._chunks(path, part):
            record_by_line = bad | {line: self._one(path, line, raw) for line, raw in good.items()}
            yield from (record_by_line[line] for line in sorted(record_by_line))

    def _chunks(
        self, path: Path, part: SourcePart
    ) -> Iterator[tuple[dict[int, TriedRecord], dict[int, pa.RecordBatch]]]:
        """For each chunk, by line: records that cannot be processed, and those that can."""
        lines, read_count = LineIndex.from_file(path) if self.format_.unit == "byte" else None, 0
        for chunk in part.read():
            line_numbers = (
                range(read_count + 1, read_count + chunk.read + 1)
                if lines is None
                else lines.filled[read_count : read_count + chunk.read]
            )
            read_count += chunk.read
            rejects = [
                (reject.position + 1 if lines is None else lines.line_of(reject.position), reject)
                for reject in chunk.rejects
            ]
            bad = {line: TriedRecord(path, line, "quarantined", each.code, each.field) for line, each in rejects}
            rows = (chunk.records.slice(row, 1) for row in range(chunk.records.num_rows))
            yield bad, dict(zip((line for line in line_numbers if line not in bad), rows, strict=True))

    def _one(self, path: Path, line: int, raw: pa.RecordBatch) -> TriedRecord:
        behind = run_stages(self.stages, Batch(raw))
        raw = raw if self.job.corrected is None else self.job.corrected(raw)
        if behind.raw.num_rows:
            return TriedRecord(path, line, "leaves", raw=raw, behind=behind)
        fate, reason = _stage_outcome(behind.counts)
        return TriedRecord(path, line, fate, reason, raw=raw)


def _stage_outcome(counts: BatchCounts) -> tuple[RecordOutcome, str | None]:
    if counts.gated:
        return "gated", next(iter(counts.gated))
    return "deduplicated", "deduplicated"


def _open_source(
    pipeline: Pipeline, files: Sequence[Path], format_: SourceFormat, erased: Collection[str | None] = ()
) -> Source:
    root, also = files[0].parent if files else Path(), all_fields_named(pipeline.policy, erased)
    return format_.bind(file_parts(files, root), request(pipeline.policy, pipeline.purpose, pipeline, also))


def latest_event_time(
    pipeline: Pipeline, files: Sequence[Path], format_: SourceFormat, now: datetime
) -> datetime | None:
    """The latest event time of the records of some files; None if no record has one."""
    times = [
        time
        for part in _open_source(pipeline, files, format_).parts
        for time in _event_times(pipeline.policy, part, now)
    ]
    return max(times, default=None)


def _event_times(policy: Policy, part: SourcePart, now: datetime) -> Iterator[datetime]:
    for chunk in part.read():
        times = BatchFacts(chunk.records, policy, None, now).times()
        last = None if times is None else pc.max(times.cast(pa.timestamp("us", "UTC"), safe=False)).as_py()
        if last is not None:
            yield last


def trial_keyring(policy: Policy, now: datetime) -> Keyring:
    """A temporary keyring: new keys under the names that the policy uses. It is never stored."""
    names = {name for field in policy.fields.values() for step in steps_of(field) for name in step.key_names}
    with TemporaryDirectory(prefix="minimize-") as folder:
        return new_keyring(Path(folder) / "trial.keys", names, now=now)
