"""Check of the bound on disclosure risk: k, l and t of the records in force, computed again with Arrow's own grouping.

Persons are the distinct subjects as released. A released subject can be finer than the data subject (a pseudonym that is
rotated or made per tenant), so fewer persons than stated are an error, and more are not.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc

from minimize.arrow.pointers import Pointer
from minimize.errors import Finding
from minimize.verification.evidence import Evidence, EvidenceFile, EvidenceRun, new_finding
from minimize.verification.files import open_file
from minimize.verification.values import leaf_values

RECORDS: Final = "records"
_PERSON: Final = "person"
_TOLERANCE: Final = 1e-9


@dataclass(frozen=True, slots=True)
class BoundView:
    """The bound that a pipeline states, as far as it is checked."""

    quasi_identifiers: tuple[Pointer, ...]
    sensitive: tuple[Pointer, ...]
    require: Mapping[str, Any]
    counts_persons: bool

    @classmethod
    def of_run(cls, run: EvidenceRun) -> BoundView | None:
        """The bound of a run's pipeline; None if it has none."""
        records = (run.pipeline or {}).get("records")
        stated = records.get("risk") if isinstance(records, Mapping) else None
        if not isinstance(stated, Mapping):
            return None
        return cls(
            tuple(map(_pointer, stated.get("quasi_identifiers") or ())),
            tuple(map(_pointer, stated.get("sensitive") or ())),
            stated.get("require") or {},
            stated.get("counting", "persons") == "persons",
        )


def check_risk(evidence: Evidence) -> Iterator[Finding]:
    """V090: records in force miss the bound of the pipeline that wrote them, or a receipt states more than they have."""
    files = [file for file in evidence.files if file.name == RECORDS]
    for root, partition in groupby(files, key=lambda file: file.root):
        group = list(partition)
        bound = BoundView.of_run(group[-1].run)
        if bound is None:
            continue
        table = _read(evidence, bound, group)
        if table is None:
            continue
        figures = _measure(bound, table)
        yield from (new_finding("V090", message, file=root) for message in _misses(bound, figures))
        yield from (new_finding("V090", message, file=root) for message in _overstated(group, figures))


def _pointer(key: str) -> Pointer:
    return Pointer.parse(key) if key.startswith("/") else Pointer((key,))


def _read(evidence: Evidence, bound: BoundView, files: Sequence[EvidenceFile]) -> pa.Table | None:
    """The columns of the bound in all files of a date; None if a file cannot be read, which other checks report."""
    policy = files[-1].run.policy
    subject = None if policy is None or not bound.counts_persons else policy.subject
    tables = []
    for file_in_force in files:
        file = open_file(evidence, file_in_force)
        if file is None:
            return None
        for batch in file.iter_batches():
            columns = {str(pointer): _plain(batch, pointer) for pointer in (*bound.quasi_identifiers, *bound.sensitive)}
            columns[_PERSON] = (
                _plain(batch, subject)
                if subject is not None and subject.top in batch.schema.names
                else pa.nulls(batch.num_rows)
            )
            if any(column is None for column in columns.values()):
                return None
            tables.append(pa.table(columns))
    return pa.concat_tables(tables, promote_options="permissive") if tables else None


def _plain(batch: pa.RecordBatch, pointer: Pointer) -> pa.Array | None:
    """The values as Arrow groups them: a struct as text, a dictionary decoded."""
    if pointer.top not in batch.schema.names:
        return None
    values = leaf_values(batch, pointer).values
    if pa.types.is_dictionary(values.type):
        values = values.cast(values.type.value_type)
    if pa.types.is_struct(values.type):
        return pa.array([None if value is None else repr(value) for value in values.to_pylist()], pa.string())
    return pc.add(values, pa.scalar(0.0, values.type)) if pa.types.is_floating(values.type) else values


def _measure(bound: BoundView, table: pa.Table) -> dict[str, float]:
    """k, and with sensitive fields l and t, of the worst combination. Empty without records."""
    if not table.num_rows:
        return {}
    quasi = [str(pointer) for pointer in bound.quasi_identifiers]
    has_persons = table[_PERSON].null_count < table.num_rows
    if not has_persons:  # each record is a person of its own
        table = table.set_column(
            table.schema.get_field_index(_PERSON), _PERSON, pa.array(range(table.num_rows), pa.int64())
        )
    groups = table.group_by(quasi).aggregate([(_PERSON, "count_distinct", pc.CountOptions(mode="all"))])
    figures = {"k": float(pc.min(groups[f"{_PERSON}_count_distinct"]).as_py())}
    for pointer in bound.sensitive:
        name = str(pointer)
        values = table.group_by([*quasi, name]).aggregate([(_PERSON, "count_distinct", pc.CountOptions(mode="all"))])
        counts = values.group_by(quasi).aggregate(
            [(name, "count", pc.CountOptions(mode="all")), (f"{_PERSON}_count_distinct", "sum")]
        )
        diversity = float(pc.min(counts[f"{name}_count"]).as_py())
        figures["l"] = min(figures.get("l", diversity), diversity)
        figures["t"] = max(figures.get("t", 0.0), _distance(table, values, quasi, name))
    return figures


def _distance(table: pa.Table, values: pa.Table, quasi: Sequence[str], name: str) -> float:
    """The largest distance between the shares of a sensitive field in a combination and in all records, value by value."""
    overall = table.group_by([name]).aggregate([(_PERSON, "count_distinct", pc.CountOptions(mode="all"))])
    totals = dict(zip(overall[name].to_pylist(), overall[f"{_PERSON}_count_distinct"].to_pylist(), strict=True))
    everyone = sum(totals.values())
    classes: dict[tuple[Any, ...], list[tuple[Any, int]]] = {}
    for row in values.to_pylist():
        key = tuple(row[column] for column in quasi)
        classes.setdefault(key, []).append((row[name], row[f"{_PERSON}_count_distinct"]))
    distances = []
    for counted in classes.values():
        size = sum(count for _, count in counted)
        distances.append(sum(max(0.0, count / size - totals[value] / everyone) for value, count in counted))
    return float(max(distances))


def _misses(bound: BoundView, figures: Mapping[str, float]) -> Iterator[str]:
    """The measures that miss their threshold."""
    for name in ("k", "l"):
        least = bound.require.get(name)
        if isinstance(least, int | float) and figures.get(name, least) < least - _TOLERANCE:
            yield f"the records miss the bound of their pipeline: {name} is below its threshold"


def _overstated(files: Sequence[EvidenceFile], figures: Mapping[str, float]) -> Iterator[str]:
    """The measures whose figure in the receipt is safer than that of the files. Only for dates as their run wrote them.

    The distance t refers to all records before any was removed, so it is compared only if none was.
    """
    run = files[-1].run
    stated = run.receipt.risk
    written = {file.path for file in run.receipt.outputs[RECORDS].files} if RECORDS in run.receipt.outputs else set()
    if stated is None or {file.file.path for file in files} != {
        path for path in written if path.startswith(f"{files[0].root}/")
    }:
        return
    entry = (stated.dates or {}).get(files[0].date or "", stated)
    if entry.k is not None and figures.get("k", entry.k) < entry.k:
        yield "the receipt states more persons in the smallest combination than the files have"
    if entry.l is not None and figures.get("l", entry.l) < entry.l - _TOLERANCE:
        yield "the receipt states more sensitive values in a combination than the files have"
    is_same_table = not entry.suppressed and figures.get("k") == entry.k
    if entry.t is not None and is_same_table and figures.get("t", entry.t) > entry.t + _TOLERANCE:
        yield "the receipt states a smaller distance of sensitive values than the files have"
