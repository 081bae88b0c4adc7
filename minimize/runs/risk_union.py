"""The bound on disclosure risk over all dates in force: those that a run publishes, and those that it leaves as they are.

A class of several dates has at least the persons and the different sensitive values that it has on one of them. So measures that
hold on each date hold for all dates together, unless they compare a class with all records (`t`, `delta`, `beta`), or a date was
published without the bound. Only then are files read.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa

from minimize.arrow.dictionaries import decode_dictionary, value_type
from minimize.arrow.nested import leaf, leaf_type
from minimize.datasets.released_bound import ReleasedBound
from minimize.disclosure_risk.combinations import classes_as_they_are
from minimize.disclosure_risk.measures import RISK_MEASURES
from minimize.disclosure_risk.requirement import Baseline
from minimize.keys import Kms
from minimize.output.folder import batch_date_of
from minimize.output.publish import Staging
from minimize.output.stored_file import StoredFile, open_stored_file
from minimize.plan import Plan
from minimize.plan.model import RiskPlan
from minimize.receipts import ReceiptFile, RiskEntry, files_in_force
from minimize.receipts.chain import effective_receipts
from minimize.records import PIPELINE_FILE, RECORDS, WrittenFile
from minimize.runs.batch_dates import reads_source


@dataclass(frozen=True, slots=True)
class DatesInForce:
    """The records that are in force after a run: its staged files, and the files of dates that it does not replace."""

    plan: Plan
    staging: Staging = field(repr=False)
    written: Sequence[WrittenFile]
    kms: Kms | None = field(default=None, repr=False)

    def missed(self) -> list[str]:
        """The measures that all dates together miss."""
        risk = self.plan.risk
        others = list(self._other_files())
        if risk is None or not (others or self._has_several_dates()) or self._holds_by_receipts(risk, others):
            return []
        bound = ReleasedBound.of_columns(
            risk.model, self.plan.policy, {key: field_plan.pointer for key, field_plan in self.plan.fields.items()}
        )
        other_types = {
            key for stored in self._stored_files(others) for key in self._keys_of_other_type(bound, stored.whole)
        }
        if other_types:
            return [f"{', '.join(sorted(other_types))} (of another type on another date)"]
        tally = bound.tally()
        for stored in self._stored_files(others):
            for batch in stored.batches():
                tally.observe(bound.columns(batch, bound.pointers, self._present_values(bound, batch)))
        combinations = tally.settle()
        classes = classes_as_they_are(combinations)
        return risk.requirement.missed(classes, Baseline.of_combinations(combinations))

    def _other_files(self) -> Iterator[ReceiptFile]:
        replaced = set(self.staging.current_files())
        for file in files_in_force(self.staging.output.receipts()).get(RECORDS, ()):
            if file.path not in replaced and file.rows:
                yield file

    def _has_several_dates(self) -> bool:
        return len({batch_date_of(file.path) for file in self.written if file.rows}) > 1

    def _holds_by_receipts(self, risk: RiskPlan, others: Sequence[ReceiptFile]) -> bool:
        """Whether the receipts of the other dates state figures, under the same bound, that settle the question."""
        thresholds = risk.requirement.thresholds
        if not all(RISK_MEASURES[name].holds_in_unions for name in thresholds):
            return False
        entries = self._entries_of_same_bound()
        return all(
            _states(entries.get(batch_date_of(file.path) or ""), name, threshold)
            for file in others
            for name, threshold in thresholds.items()
        )

    def _entries_of_same_bound(self) -> dict[str, RiskEntry]:
        """The risk that the last run of each date stated under the present policy and pipeline. A later removal keeps it."""
        job = self.plan.pipeline
        entries: dict[str, RiskEntry] = {}
        for receipt in effective_receipts(self.staging.output.receipts()):
            if not reads_source(receipt):
                continue
            is_same = (
                job is not None
                and receipt.risk is not None
                and (receipt.policy.digest, receipt.files.get(PIPELINE_FILE)) == (job.policy.digest, job.digest)
            )
            stated = receipt.risk if is_same else None
            for date in receipt.dates or ("",):
                entries.pop(date, None)
                if stated is not None:
                    entries[date] = (stated.dates or {}).get(date, stated)
        return entries

    def _stored_files(self, others: Sequence[ReceiptFile]) -> Iterator[StoredFile]:
        for written in self.written:
            yield open_stored_file(self.staging.root, written.path, self.kms)
        for file in others:
            yield open_stored_file(self.staging.output.folder, file.path, self.kms)

    def _keys_of_other_type(self, bound: ReleasedBound, schema: pa.Schema) -> Iterator[str]:
        for key, pointer in bound.pointers.items():
            if pointer.top in schema.names and value_type(leaf_type(schema, pointer)) != self.plan.fields[key].gives:
                yield key

    def _present_values(self, bound: ReleasedBound, batch: pa.RecordBatch) -> dict[str, pa.Array]:
        """The values of each column. A column that an older file lacks is null."""
        values = {}
        for key, pointer in bound.pointers.items():
            if pointer.top in batch.schema.names:
                values[key] = decode_dictionary(leaf(batch, pointer).values)
            else:
                values[key] = pa.nulls(batch.num_rows, self.plan.fields[key].gives)
        return values


def _states(entry: RiskEntry | None, name: str, threshold: object) -> bool:
    if entry is None:
        return False
    figure = {"k": entry.k, "l": entry.l, **(entry.measures or {})}.get(name)
    return figure is not None and bool(RISK_MEASURES[name].holds(np.array([figure], np.float64), threshold).all())
