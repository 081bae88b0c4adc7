"""Whether the files of records get an index by which subjects are found, and what stands in its way."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pyarrow as pa

from minimize.pointer import Pointer

if TYPE_CHECKING:
    from minimize.plan.model import FieldPlan, Plan


@dataclass(frozen=True, slots=True)
class Index:
    """The path of the column that is indexed, or None and why."""

    subject: Pointer | None
    why: str


def index_of(plan: Plan) -> Index:
    """What becomes of the index of a plan's records.

    It is made where the policy names a subject whose field is released as text, whole numbers or bytes, unless the pipeline
    says `records: {index: false}`.
    """
    reason = _against(plan)
    field = plan.fields.get(plan.policy.subject or "")
    if reason or field is None:
        return Index(None, f"no index: {reason}")
    return Index(field.pointer, f"an index by {field.key}, for the keyring's eyes only")


def _against(plan: Plan) -> str:
    records = None if plan.pipeline is None else plan.pipeline.records
    field = plan.fields.get(plan.policy.subject or "")
    if records is None or "records" not in plan.outputs:
        return "no records are written"
    if not records.index:
        return "the pipeline says so"
    if field is None:
        return "the policy names no subject"
    if field.gives is None:
        return f"{field.key} is not released"
    if field.key in records.partition_by:
        return f"the records of each {field.key} stand in a folder of their own"
    return "" if _has_form(field) else f"{field.key} is released as {field.gives}"


def _has_form(field: FieldPlan) -> bool:
    tests = (pa.types.is_string, pa.types.is_large_string, pa.types.is_integer, pa.types.is_binary)
    return any(test(field.gives) for test in (*tests, pa.types.is_large_binary))
