"""Execution of a removal plan: attachments and receipt, then the publication of rewritten and removed files.

There is one publication and one receipt for each policy and pipeline under which files were written. The receipt has counts
and no values.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Final

from minimize.arrow.batch import BatchCounts, FieldCounts
from minimize.errors import ConfigurationError, OutputError, RefusedError
from minimize.governance.published_outputs import RETENTION_PIPELINE_FILE, RETENTION_POLICY_FILE, WritingRun
from minimize.governance.retention.recompute_aggregates import AggregateRecomputation, RecomputedAggregate
from minimize.governance.retention.removal_decision import RewriteRequest
from minimize.governance.retention.removal_plan import DueFile, RemovalPlan
from minimize.governance.rewrite import ApplyVerdict, RewriteResult, StagePerFile, rewrite_files
from minimize.keys import Keyring
from minimize.keys.master_keys import is_master_key
from minimize.observability.destinations import NO_OBSERVABILITY
from minimize.output.folder import PIPELINE_FILE, POLICY_FILE, RECORDS
from minimize.output.publish import OpenOutput, Staging, open_output
from minimize.output.sink import index_files, master_keys_of, output_files, sketch_files
from minimize.policy.approval import policy_reference
from minimize.policy.model import Policy
from minimize.policy.pipeline import Pipeline
from minimize.receipts import (
    FieldReceipt,
    FileRef,
    GatedRows,
    Receipt,
    ReceiptFile,
    ReceiptKind,
    RowCounts,
    WrittenOutput,
    sha256_text,
)
from minimize.receipts import files_in_force as receipts_files_in_force
from minimize.receipts.chain import effective_receipts
from minimize.runs import receipt_builder
from minimize.runs.erasure_list import erasure_list_digest
from minimize.runs.guards import check_expiry_time, reference_clock
from minimize.runs.receipt_builder import RunContext
from minimize.runs.removal_inventory import RemovalInventory
from minimize.runs.runner import no_progress
from minimize.runs.session import record_missed_receipts, record_published, run_session
from minimize.stores import Location, PathText
from minimize.stores.durable_files import file_digest
from minimize.times import time_text

REMOVAL_REASONS: Final = ("setting", "condition", "retention", "erased", "consent")


def retention_attachments(today: Pipeline, written: WritingRun) -> dict[str, bytes]:
    """The bytes of today's policy, and of today's pipeline if aggregates have or had their own retention.

    Raises ConfigurationError if the files changed since they were loaded.
    """
    files = {RETENTION_POLICY_FILE: loaded_bytes(today.policy)}
    then = (written.pipeline.get("aggregates") or {}).values()
    if today.own_retentions or any(each.get("retention") for each in then):
        files |= {RETENTION_PIPELINE_FILE: loaded_bytes(today)}
    return files


def loaded_bytes(of: Policy | Pipeline) -> bytes:
    """The bytes of a policy or pipeline file. Raises ConfigurationError if the file changed since it was loaded."""
    if of.path is None or file_digest(of.path) != of.digest:
        name = POLICY_FILE if isinstance(of, Policy) else PIPELINE_FILE
        raise ConfigurationError(f"{name} was changed while this command was running", hint="Run the command again.")
    return of.path.read_bytes()


@dataclass(frozen=True, slots=True)
class RemovalReceiptBuilder:
    """Builds the receipt for files that were written under one policy."""

    chain: Sequence[Receipt]
    run_id: str
    group: tuple[DueFile, ...]
    plan: RemovalPlan
    today: Policy
    at_given: bool
    started: datetime
    kind: ReceiptKind = "expire"
    recomputed: tuple[RecomputedAggregate, ...] = ()

    def build(self, done: RewriteResult, attachments: Mapping[str, bytes]) -> Receipt:
        """The receipt without a signature."""
        last, first = self.chain[-1], self.group[0].written_by.receipt
        rows = self._rows()
        return Receipt(
            kind=self.kind,
            run_id=self.run_id,
            sequence=last.sequence + 1,
            previous=last.digest,
            pipeline=first.pipeline,
            purpose=first.purpose,
            engine="local",
            at=self.plan.as_of,
            at_given=self.at_given,
            started=self.started,
            finished=datetime.now(UTC),
            dates=tuple(sorted({each.date for each in self.group if each.date is not None})),
            policy=first.policy,
            plan=first.plan,
            keys=self._keys(done),
            versions=receipt_builder.software_versions(),
            rows=rows,
            gated_by=GatedRows.from_counts(self._reasons()),
            fields=self._fields(done.counts),
            outputs=self._outputs(done),
            replaces=done.replaces,
            removes=done.removes,
            retention=policy_reference(self.today),
            stays=self._stays() or None,
            from_="output" if self.kind == "retract" else None,
            files={name: sha256_text(content) for name, content in attachments.items()},
            origin=first.origin,
        )

    def _keys(self, done: RewriteResult) -> tuple[str, ...]:
        """The keys of the values in the files, then the encryption keys of the new files."""
        before = {key for each in self.group for key in each.written_by.receipt.keys if not is_master_key(key)}
        return (*sorted(before), *sorted(master_keys_of(each for files in done.written.values() for each in files)))

    @property
    def _followed(self) -> list[DueFile]:
        """The files that the receipt's row counts describe: records, or else those of the first aggregate."""
        records = [each for each in self.group if each.name == RECORDS]
        return records or [each for each in self.group if each.name == self.group[0].name]

    def _reasons(self) -> dict[str, int]:
        return {reason: sum(each.gated.get(reason, 0) for each in self._followed) for reason in REMOVAL_REASONS}

    def _rows(self) -> RowCounts:
        read, gated = sum(each.file.rows for each in self._followed), sum(self._reasons().values())
        return RowCounts(read, read - gated, gated)

    def _outputs(self, done: RewriteResult) -> dict[str, WrittenOutput]:
        found = {name: self._output(name, done) for name in dict.fromkeys(each.name for each in self.group)}
        names = dict.fromkeys(each.name for each in self.recomputed)
        return {**found, **{name: self._recomputed_output(name, done) for name in names}}

    def _recomputed_output(self, name: str, done: RewriteResult) -> WrittenOutput:
        """The entry for a recomputed aggregate."""
        files = output_files(done.written.get(name, ()))
        results = [each.guarded.result for each in self.recomputed if each.name == name]
        return WrittenOutput(
            "aggregated",
            sum(file.rows for file in files),
            groups_suppressed=sum(each.groups_suppressed for each in results),
            rows_suppressed=sum(each.rows_suppressed for each in results),
            groups_past=sum(each.groups_past for each in results) or None,
            rows_past=sum(each.rows_past for each in results) or None,
            deferred=sum(each.deferred for each in results),
            too_late=0,
            files=files,
            sketches=sketch_files(done.written.get(name, ())),
            days=self._days(name, {each.date or "" for each in self.recomputed if each.name == name}),
        )

    def _days(self, name: str, dates: set[str]) -> Mapping[str, Mapping[str, int]] | None:
        """The late event days of the rewritten files, from the earlier receipts."""
        days_by_run = (each.outputs[name].days or {} for each in self.chain if name in each.outputs)
        return {on: rows for days in days_by_run for on, rows in days.items() if on in dates} or None

    def _output(self, name: str, done: RewriteResult) -> WrittenOutput:
        written = done.written.get(name, ())
        files = output_files(written)
        category = next(each.written_by.receipt.outputs[name].category for each in self.group if each.name == name)
        index = index_files(written) if name == RECORDS else None
        days = self._days(name, {each.date or "" for each in self.group if each.name == name and not each.is_whole})
        return WrittenOutput(
            category,
            sum(file.rows for file in files),
            files=files,
            index=index,
            sketches=sketch_files(written),
            days=days,
        )

    def _fields(self, counts: BatchCounts) -> dict[str, FieldReceipt]:
        """Per field, the counts of all, changed and removed values in rewritten records that remain."""
        receipt_fields = self.group[0].written_by.receipt.fields
        return {key: _field_receipt(each, counts.fields.get(key)) for key, each in receipt_fields.items()}

    def _stays(self) -> dict[str, tuple[str, ...]]:
        dates = {each.date or "" for each in self.group if each.name == RECORDS}
        dates_made = {(each.name, each.date or "") for each in self.recomputed if not each.guarded.result.deferred}
        behind = self.plan.late_days
        found = {
            name: tuple(on for on in left if behind.get((name, on), {on}) & dates and (name, on) not in dates_made)
            for name, left in self.plan.aggregates_left.items()
        }
        return {name: left for name, left in found.items() if left}


def _field_receipt(receipt: FieldReceipt, counts: FieldCounts | None) -> FieldReceipt:
    if receipt.values is None:
        return FieldReceipt(receipt.did, None)
    found = counts or FieldCounts()
    return FieldReceipt(receipt.did, found.values, found.changed, found.gated)


log = logging.getLogger("minimize")


@dataclass(frozen=True, slots=True)
class PlanExecution:
    """Execution of an expiry or retraction."""

    request: RewriteRequest
    pipeline: Pipeline
    at_given: bool
    ledger: PathText | None = None
    fence: Location | None = None
    kind: ReceiptKind = "expire"
    allow_shrink: bool = True
    """Whether an implausible time is accepted."""

    @property
    def output(self) -> Location:
        """The output folder."""
        return self.request.output

    @property
    def keys(self) -> Keyring:
        """The keyring."""
        return self.request.keys

    def execute(self, plan: RemovalPlan) -> tuple[Receipt, ...]:
        """Executes the plan and returns one receipt for each policy and pipeline under which files were written."""
        groups: dict[tuple[object, ...], list[DueFile]] = {}
        for each in plan.due:
            groups.setdefault(each.written_by.rewrite_group, []).append(each)
        return tuple(self._group(plan, group) for group in groups.values())

    def _recomputed(
        self, chain: Sequence[Receipt], plan: RemovalPlan, group: Sequence[DueFile]
    ) -> Iterator[RecomputedAggregate]:
        reading = group[0].written_by.policies
        return AggregateRecomputation(
            request=self.request, pipeline=self.pipeline, chain=chain, plan=plan, policies=reading, ledger=self.ledger
        ).recompute(group)

    def _group(self, plan: RemovalPlan, group: Sequence[DueFile]) -> Receipt:
        # lineage and metrics describe runs only
        context = RunContext(self.kind, "local", datetime.now(UTC), no_progress, NO_OBSERVABILITY, ledger=self.ledger)
        with (
            run_session(self, context) as session,
            open_output(self.output, create=False, lease=session.head) as folder,
        ):
            record_missed_receipts(session, folder.receipts())
            if not self.allow_shrink:
                check_expiry_time(
                    self.request.as_of, folder.receipts(), reference_clock(session.ledger, self.output, context.started)
                )
            _check_as_of(self.request.as_of, folder, {each.date for each in group})
            attachments = {
                **group[0].written_by.attachments,
                **retention_attachments(self.pipeline, group[0].written_by),
            }
            inventory = RemovalInventory.for_files(
                self.output, folder.receipts(), [each.file.path for each in group], self.keys
            )
            made = tuple(self._recomputed(folder.receipts(), plan, group)) if self.kind in ("expire", "delete") else ()
            builder = RemovalReceiptBuilder(
                chain=folder.receipts(),
                run_id=session.run_id,
                group=tuple(group),
                plan=plan,
                today=self.pipeline.policy,
                at_given=self.at_given,
                started=context.started,
                kind=self.kind,
                recomputed=made,
            )

            def receipt(done: RewriteResult) -> Receipt:
                attachments.update(inventory.attachments())
                made = builder.build(done, attachments)
                erasures = erasure_list_digest(self.output)
                return replace(made, audit=session.head(), erasures=erasures).with_signature(self.keys)

            signed = _rewrite_group(folder, session.run_id, group, receipt, attachments, self.request, made, inventory)
            record_published(session, signed)
        _check_removed(self.output, signed)
        log.info("%d rows removed", signed.rows.gated, extra={"code": "I003", "run_id": signed.run_id})
        return signed


def _rewrite_group(
    folder: OpenOutput,
    run_id: str,
    group: Sequence[DueFile],
    receipt: Callable[[RewriteResult], Receipt],
    attachments: Mapping[str, bytes],
    request: RewriteRequest,
    recomputed: Sequence[RecomputedAggregate],
    inventory: RemovalInventory,
) -> Receipt:
    orders = {each.file.path: each.judge for each in group}
    return rewrite_files(
        folder,
        run_id,
        [each.file.path for each in group if not each.is_whole],
        StagePerFile(lambda file: ApplyVerdict(orders[file.path])),
        receipt,
        attachments,
        removes=[each.file.path for each in group if each.is_whole],
        keys=request.keys,
        kms=request.kms,
        also=lambda staging: _stage_recomputed(staging, recomputed),
        shown=inventory,
    )


def _stage_recomputed(staging: Staging, recomputed: Sequence[RecomputedAggregate]) -> RewriteResult:
    """Recomputed aggregates, with the files that they replace."""
    known = {path: file.digest for path, file in files_in_force(staging.output.receipts()).items()}
    done = RewriteResult()
    for each in recomputed:
        replaced, written = each.stage(staging)
        done += RewriteResult({each.name: tuple(written)}, tuple(FileRef(path, known[path]) for path in replaced))
    return done


def files_in_force(chain: Sequence[Receipt]) -> dict[str, ReceiptFile]:
    """The files in force, by path."""
    return {file.path: file for files in receipts_files_in_force(chain).values() for file in files}


def _check_as_of(at: datetime, folder: OpenOutput, dates: set[str | None]) -> None:
    """Refuses an earlier time than that of a receipt for the same dates."""
    for receipt in effective_receipts(folder.receipts()):
        if receipt.at > at and (not receipt.dates or None in dates or dates & set(receipt.dates)):
            message = (
                f"a later run ({receipt.run_id}) already covers these dates: "
                f"its time is {time_text(receipt.at)}, the requested time is {time_text(at)}"
            )
            raise RefusedError(message, hint="Pass a later --at.")


def _check_removed(output: Location, receipt: Receipt) -> None:
    """Raises OutputError if a replaced or removed file still exists."""
    left = [file.path for file in (*receipt.replaces, *receipt.removes) if (output / file.path).exists()]
    if left:
        raise OutputError(
            f"{len(left)} files still exist after their removal", hint="Run `minimize verify` to list them."
        )
