"""Receipt of a rewrite: the planned files, the result of their rewrite, and the receipt itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Final, TypeVar

from minimize.datasets.published_output import OutputFile
from minimize.datasets.writing_run import WritingRun
from minimize.keys.master_keys import is_master_key
from minimize.output.folder import RESTRICTED
from minimize.output.sink import index_files, master_keys_of, output_files
from minimize.receipts import (
    FieldReceipt,
    GatedRows,
    PolicyRef,
    Receipt,
    ReceiptKind,
    ReleaseEntry,
    RowCounts,
    WrittenOutput,
    sha256_text,
)
from minimize.records import RECORDS, BatchCounts, FieldCounts, FileRef, WrittenFile
from minimize.removal.verdict import BatchJudge, SuccessiveJudges
from minimize.runs import receipt_builder
from minimize.stages.risk_bound import RiskFigures
from minimize.times import Clock, utc_now

REMOVAL_REASONS: Final = ("setting", "condition", "retention", "erased", "consent", "restricted", "risk")


@dataclass(frozen=True, slots=True)
class PlannedFile:
    """A file in force that a rewrite changes."""

    file: OutputFile
    judge: BatchJudge | None = field(default=None, repr=False)
    """Decides on its batches; None if rows and values stay."""
    is_whole: bool = False
    """Whether the whole file is removed without being read."""
    gated: Mapping[str, int] = field(default_factory=dict)
    """Rows to remove, by reason."""
    is_counted: bool = field(default=True, kw_only=True)
    """Whether these rows are known before the file is rewritten."""
    retention: BatchJudge | None = field(default=None, repr=False, kw_only=True)
    """Removes what is past its retention from what `judge` leaves; None if `judge` does, or if nothing can be past it."""
    within_bound: BatchJudge | None = field(default=None, repr=False, kw_only=True)
    """Removes the same, and what it leaves in combinations that miss a bound on disclosure risk; None if nothing is."""
    risk: RiskFigures | None = field(default=None, repr=False, kw_only=True)
    """The measured disclosure risk of the records of its date after the rewrite, if a bound is measured there."""

    @property
    def rewrite_judge(self) -> BatchJudge | None:
        """Decides on everything that a rewrite removes from its batches."""
        if self.within_bound is not None:
            return self.within_bound
        return (
            self.judge if self.judge is None or self.retention is None else SuccessiveJudges(self.judge, self.retention)
        )

    @property
    def written_by(self) -> WritingRun:
        """The run that wrote it."""
        return self.file.written_by

    @property
    def name(self) -> str:
        """The output to which it belongs."""
        return self.file.name

    @property
    def date(self) -> str | None:
        """The batch date of its partition."""
        return self.file.date

    @property
    def rows(self) -> int:
        """The number of rows to remove."""
        return sum(self.gated.values())


Planned = TypeVar("Planned", bound=PlannedFile)


@dataclass(frozen=True, slots=True)
class RewriteResult:
    """Result of a rewrite, for its receipt."""

    written: Mapping[str, tuple[WrittenFile, ...]] = field(default_factory=dict)
    """The new files, by output name (including `quarantine` if its files were given)."""
    replaces: tuple[FileRef, ...] = ()
    """The files that they replace."""
    removes: tuple[FileRef, ...] = ()
    """The files of which no row remains."""
    read: int = 0
    """Rows of the given files."""
    counts: BatchCounts = field(default_factory=BatchCounts)
    """The counts of the stages."""
    gated: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    """The rows that were removed from each file that was read, by path and reason."""

    def __add__(self, result: RewriteResult) -> RewriteResult:
        names = {**self.written, **result.written}
        return RewriteResult(
            {name: (*self.written.get(name, ()), *result.written.get(name, ())) for name in names},
            (*self.replaces, *result.replaces),
            (*self.removes, *result.removes),
            self.read + result.read,
            self.counts + result.counts,
            {**self.gated, **result.gated},
        )

    def outcome(self, planned: Planned) -> Planned:
        """A planned file with the rows to remove, which were counted by its rewrite if they were not known before."""
        if planned.is_counted:
            return planned
        gated = self.gated[planned.file.path]
        return replace(planned, gated=gated, is_counted=True, is_whole=sum(gated.values()) == planned.file.entry.rows)


@dataclass(frozen=True, slots=True)
class RewriteReceipt:
    """What the receipt of a rewrite states about files that were written under one policy."""

    kind: ReceiptKind
    run_id: str
    started: datetime
    chain: Sequence[Receipt]
    files: Sequence[PlannedFile]
    at: datetime
    at_given: bool
    retention: PolicyRef | None
    """The policy that decided on the files; None if none did."""
    unchanged: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """The tables that keep their statistics although records of them are removed: dates by name."""
    clock: Clock = utc_now

    @property
    def has_records(self) -> bool:
        """Whether the run that wrote the files published records."""
        return RECORDS in self.files[0].written_by.receipt.outputs

    def build(self, result: RewriteResult, attachments: Mapping[str, bytes]) -> Receipt:
        """The receipt without a signature."""
        last, first = self.chain[-1], self.files[0].written_by.receipt
        return Receipt(
            kind=self.kind,
            run_id=self.run_id,
            sequence=last.sequence + 1,
            previous=last.digest,
            pipeline=first.pipeline,
            purpose=first.purpose,
            engine="local",
            at=self.at,
            at_given=self.at_given,
            started=self.started,
            finished=max(self.started, self.clock()),
            dates=tuple(sorted({each.date for each in self.files if each.date is not None})),
            policy=first.policy,
            plan=first.plan,
            keys=self._keys(result),
            versions=receipt_builder.software_versions(),
            rows=self._rows(result),
            gated_by=GatedRows.from_counts(self._reasons(result)),
            fields=self._fields(result.counts),
            outputs=self._outputs(result),
            replaces=result.replaces,
            removes=result.removes,
            restricted=output_files(result.written.get(RESTRICTED, ())) or None,
            retention=self.retention,
            stays=self.unchanged or None,
            from_="output" if self.kind == "retract" else None,
            files={name: sha256_text(content) for name, content in attachments.items()},
            origin=first.origin,
            region=first.region,
            risk=receipt_builder.risk_entry(
                {each.date or "": each.risk for each in self.files if each.risk is not None}
            ),
        )

    def _keys(self, result: RewriteResult) -> tuple[str, ...]:
        """The keys of the values in the files, then the encryption keys of the new files."""
        before = {key for file in self.files for key in file.written_by.receipt.keys if not is_master_key(key)}
        return (*sorted(before), *sorted(master_keys_of(file for files in result.written.values() for file in files)))

    @property
    def _followed(self) -> list[PlannedFile]:
        """The files that the receipt's row counts describe: records, or else those of the first aggregate."""
        records = [each for each in self.files if each.name == RECORDS]
        return records or [each for each in self.files if each.name == self.files[0].name]

    def _reasons(self, result: RewriteResult) -> dict[str, int]:
        gated = [result.outcome(each).gated for each in self._followed]
        return {reason: sum(each.get(reason, 0) for each in gated) for reason in REMOVAL_REASONS}

    def _rows(self, result: RewriteResult) -> RowCounts:
        """The balance. Of sealed files, only the records that leave the seal count."""
        read, gated = sum(each.file.entry.rows for each in self._followed), sum(self._reasons(result).values())
        if self.files[0].name == RESTRICTED:
            read = gated + sum(file.rows for file in result.written.get(RECORDS, ()))
        return RowCounts(read, read - gated, gated)

    def _outputs(self, result: RewriteResult) -> dict[str, WrittenOutput]:
        names = dict.fromkeys(each.file.content_name for each in self.files)
        return {name: self._output(name, result.written.get(name, ())) for name in names}

    def _output(self, name: str, written: Sequence[WrittenFile]) -> WrittenOutput:
        rewritten = [each for each in self.files if each.file.content_name == name]
        dates = {each.date or "" for each in rewritten if not each.is_whole}
        files, first = output_files(written), rewritten[0].written_by.receipt.outputs[name]
        return WrittenOutput(
            first.category,
            sum(file.rows for file in files),
            files=files,
            index=index_files(written) if name == RECORDS else None,
            days=self._days(name, dates),
            noise=first.noise if files else None,
            releases=self._releases(name, dates),
        )

    def _days(self, name: str, dates: set[str]) -> Mapping[str, Mapping[str, int]] | None:
        """The late event days of the rewritten files, from the earlier receipts."""
        days_by_run = (each.outputs[name].days or {} for each in self.chain if name in each.outputs)
        return {on: rows for days in days_by_run for on, rows in days.items() if on in dates} or None

    def _releases(self, name: str, dates: set[str]) -> Mapping[str, ReleaseEntry] | None:
        """The release of each date of the rewritten files: a table without its past groups has the same statistics."""
        releases = (each.outputs[name].releases or {} for each in self.chain if name in each.outputs)
        return {on: entry for by_date in releases for on, entry in by_date.items() if on in dates} or None

    def _fields(self, counts: BatchCounts) -> dict[str, FieldReceipt]:
        """Per field, the counts of all, changed and removed values in rewritten records that remain."""
        receipt_fields = self.files[0].written_by.receipt.fields
        return {key: _field_receipt(each, counts.fields.get(key)) for key, each in receipt_fields.items()}


def _field_receipt(receipt: FieldReceipt, counts: FieldCounts | None) -> FieldReceipt:
    if receipt.values is None and not receipt.is_sealed:
        return FieldReceipt(receipt.did, None, outputs=receipt.outputs)
    counts = counts or FieldCounts()
    return FieldReceipt(receipt.did, counts.values, counts.changed, counts.gated, outputs=receipt.outputs)
