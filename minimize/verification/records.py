"""Whether every value of a records output obeys the policy that its receipt carries."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import Final

import pyarrow as pa
import pyarrow.parquet as pq

from minimize.errors import Finding
from minimize.pointer import Pointer
from minimize.verification.codes import found
from minimize.verification.columns import check_category, check_columns, released
from minimize.verification.evidence import Evidence, Run, Standing
from minimize.verification.files import described, readable
from minimize.verification.ids import kept_ids, noncanonical
from minimize.verification.judge import Judge
from minimize.verification.leaves import at, outline
from minimize.verification.policy import PolicyView
from minimize.verification.rare import Rare, watched
from minimize.verification.retention import Retention
from minimize.verification.rules import Place
from minimize.verification.shown import Seen

RECORDS: Final = "records"
_BATCH: Final = 1 << 17


def check_records(evidence: Evidence) -> Iterator[Finding]:
    """V020 to V035 for every file of the records in force, partition by partition, under the run that wrote it."""
    files = [standing for standing in evidence.standing if standing.name == RECORDS]
    seen: dict[str, Seen] = {}
    for _, group in groupby(files, key=lambda each: (each.root, each.run.receipt.run_id)):
        partition = list(group)
        run = partition[0].run
        if run.policy is not None:
            judged = _Partition(evidence, run, run.policy)
            yield from judged.check(partition)
            seen.setdefault(run.receipt.run_id, Seen(run, run.policy)).add(len(partition) - judged.closed, judged.shown)
    for each in seen.values():
        yield from each.contradictions()


@dataclass(slots=True)
class _Partition:
    """The records of one date that one run wrote: one judge a field, as some rules need all values of a date."""

    evidence: Evidence
    run: Run
    policy: PolicyView
    judges: dict[Pointer, Judge] = field(default_factory=dict)
    rare: dict[Pointer, Rare] = field(default_factory=dict)
    shown: Counter[Pointer] = field(default_factory=Counter)
    closed: int = 0
    """Files whose values nobody could look at."""

    def check(self, files: Sequence[Standing]) -> Iterator[Finding]:
        """What is wrong with these files."""
        if self.run.is_first:  # what was rare is decided once, among all rows of a date
            kept = self.policy.subject in set(kept_ids(self.policy))
            self.rare = {view.pointer: Rare(step, kept=kept) for view, step in watched(self.policy)}
        for standing in files:
            schema, file = described(self.evidence, standing), readable(self.evidence, standing)
            if schema is not None:
                yield from self._schema(schema, standing)
            if file is not None:
                yield from self._values(file, standing.file.path)
            self.closed += file is None
        for pointer, each in self.rare.items():
            if each.count() and not self.closed:
                message = f"{each.count()} values of fewer subjects than `at_least`"
                yield found("V033", message, file=files[0].root, field=self.policy.fields[pointer].key)

    def _schema(self, schema: pa.Schema, standing: Standing) -> Iterator[Finding]:
        receipt, place = self.run.receipt, standing.file.path
        yield from check_columns(schema, standing.hive, self.policy, receipt, place)
        yield from check_category(receipt.outputs[RECORDS].category, schema, self.policy, place)
        for pointer, type_ in self._leaves(schema).items():
            if pointer not in self.judges:
                judge = Judge(self.policy.fields[pointer], self.policy, Place(type_, self.run.folder))
                self.judges[pointer] = judge
                yield from judge.unchecked(self.run.place)

    def _values(self, file: pq.ParquetFile, place: str) -> Iterator[Finding]:
        leaves = self._leaves(file.schema_arrow)
        retention = Retention(self.policy, self.run.retention or self.policy, self.run.receipt.at)
        past = ahead = 0
        outlived: Counter[Pointer] = Counter()
        ids, strange = leaves.keys() & set(kept_ids(self.policy)), Counter[Pointer]()
        subject = self.policy.subject if self.policy.subject in leaves else None
        for batch in file.iter_batches(_BATCH):
            past += retention.past(batch, leaves)
            ahead += retention.ahead(batch, leaves) if self.run.limits_future else 0
            outlived.update(retention.outlived(batch, leaves))
            for pointer in leaves:
                values = at(batch, pointer).values
                self.shown[pointer] += len(values) - values.null_count
                self.judges[pointer].see(batch, leaves)
            strange.update({pointer: noncanonical(at(batch, pointer).values) for pointer in ids})
            for pointer in leaves.keys() & self.rare.keys():
                self.rare[pointer].see(batch, pointer, subject)
        for pointer in leaves:
            yield from self.judges[pointer].told(place)
        if past:
            yield found("V035", f"{past} distinct times are past the policy's retention", file=place)
        if ahead:
            yield found("V037", f"{ahead} distinct times are later than the policy's `future` allows", file=place)
        for pointer, count in (+strange).items():
            message = f"{count} values that are not in their canonical form"
            yield found("V038", message, file=place, field=self.policy.fields[pointer].key)
        for pointer, count in outlived.items():
            message = f"{count} values are past the retention of their feature"
            yield found("V036", message, file=place, field=self.policy.fields[pointer].key)

    def _leaves(self, schema: pa.Schema) -> dict[Pointer, pa.DataType]:
        views = released(self.policy)
        return {pointer: type_ for pointer, type_ in outline(schema, views.keys()) if pointer in views}
