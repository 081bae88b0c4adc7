"""Whether quarantine holds codes and pointers, and nothing else."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Set
from typing import Final

import pyarrow as pa
import pyarrow.parquet as pq

from minimize.errors import Finding
from minimize.pointer import Pointer
from minimize.verification.codes import found
from minimize.verification.evidence import QUARANTINE, Evidence, Run, Standing
from minimize.verification.files import readable

_COLUMNS: Final = (
    ("run_id", pa.string()),
    ("source", pa.string()),
    ("position", pa.int64()),
    ("unit", pa.string()),
    ("field", pa.string()),
    ("code", pa.string()),
)
_CODES: Final = frozenset(
    {
        "malformed",
        "wrong_type",
        "missing_field",
        "forbidden_field",
        "bad_time",
        "too_large",
        "too_long",
        "future_time",
    }
)


def check_quarantine(evidence: Evidence) -> Iterator[Finding]:
    """V050 to V052, for every quarantine file in force."""
    counted: dict[str, Counter[str]] = {}
    for standing in evidence.standing:
        file = readable(evidence, standing) if standing.name == QUARANTINE else None
        if file is None:
            continue
        yield from _check(standing, file)
        if "code" in file.schema_arrow.names:
            codes = Counter(file.read(["code"])["code"].to_pylist())
            counted[standing.run.place] = counted.get(standing.run.place, Counter()) + codes
    in_force = {each.file.path for each in evidence.standing if each.name == QUARANTINE}
    for run in evidence.runs:
        yield from _balance(in_force, run, counted.get(run.place, Counter()))


def _check(standing: Standing, file: pq.ParquetFile) -> Iterator[Finding]:
    place = standing.file.path
    schema = file.schema_arrow
    if [(field.name, field.type) for field in schema] != [*_COLUMNS]:
        yield found("V050", "the columns are not the six of a quarantine", file=place)
        return
    table = file.read()
    for column, allowed in (
        ("run_id", {standing.run.receipt.run_id}),
        ("source", {each.path for each in standing.run.receipt.inputs}),
        ("unit", {"byte", "row"}),
        ("code", _CODES),
        ("field", {None, *_declared(standing.run)}),
    ):
        strange = sum(value not in allowed for value in set(table[column].to_pylist()))
        if strange:
            yield found(
                "V051", f"{strange} values that the receipt and the policy do not know", file=place, field=column
            )


def _balance(in_force: Set[str], run: Run, counted: Counter[str]) -> Iterator[Finding]:
    """V052: what the files hold by code, against the receipt, as long as all of them stand."""
    written = {file.path for file in run.receipt.quarantine.files}
    if written and written <= in_force and counted != Counter(run.receipt.quarantine.by_code):
        yield found("V052", "the codes are counted otherwise in the receipt", file=run.place)


def _declared(run: Run) -> set[str]:
    """Pointers that may stand in the column `field`: the policy's own words."""
    if run.policy is None:
        return set()
    forbidden = [each(key) for key in run.policy.never for each in (Pointer.parse, Pointer.forbidden)]
    pointers = {*run.policy.fields, *forbidden}
    return {str(pointer) for pointer in pointers}
