"""How the outputs of a plan are encrypted at rest, and what stands in the way."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pyarrow as pa

from minimize.encryption.by_category import OPEN, category_of, unusable
from minimize.errors import Finding
from minimize.policy.pipeline import Encrypt

if TYPE_CHECKING:
    from minimize.plan.model import Plan

NONE = Encrypt(by="none")


def encrypt_of(plan: Plan, name: str) -> Encrypt:
    """What counts for an output: what the pipeline says, else what the house demands."""
    job = plan.pipeline
    if job is None:
        return NONE
    said = _said(plan, name)
    return Encrypt(by=job.demanded) if said is None else said


def closed_columns(plan: Plan, name: str) -> list[str]:
    """The columns of an output that are encrypted: those of its files that are not aggregated."""
    return [field.name for field in _in_files(plan, name)] if encrypt_of(plan, name).by == "by_category" else []


def encrypted_in_words(plan: Plan, name: str) -> str:
    """What a reader of the plan is told; nothing where the output is not encrypted."""
    encrypt = encrypt_of(plan, name)
    if encrypt.by == "none":
        return ""
    columns = closed_columns(plan, name)
    if not columns:
        return "encrypted by category: aggregated columns are open to everyone"
    per = f", for each {encrypt.per} their own" if encrypt.per else ""
    named = {category_of(field) for field in _in_files(plan, name)}
    keys = " and ".join(sorted(named))
    return f"encrypted by category ({keys} keys{per}): {', '.join(columns)}; `SELECT *` needs the keys"


def encryption_refusals(plan: Plan) -> Iterator[tuple[str, tuple[str, ...]]]:
    """The outputs that the pipeline leaves in the clear where the house wants them encrypted, and where it says so."""
    if plan.pipeline is None or plan.pipeline.demanded == "none":
        return
    for name in plan.outputs:
        said = _said(plan, name)
        if said is not None and said.by == "none":
            yield name, ("records", "encrypt") if name == "records" else ("aggregates", name, "encrypt")


def encryption_faults(plan: Plan) -> Iterator[Finding]:
    """P117: columns that would be encrypted, and whose names keep Arrow from it."""
    for name in plan.outputs:
        for field in _in_files(plan, name) if encrypt_of(plan, name).by == "by_category" else ():
            if unusable(field):
                path = None if plan.pipeline is None else plan.pipeline.path
                yield Finding(
                    "P117",
                    "a column cannot be encrypted by this name",
                    hint="no `,`, `;` or `:` in it or below it, and no space at its ends",
                    file=None if path is None else str(path),
                    field=field.name,
                )


def _said(plan: Plan, name: str) -> Encrypt | None:
    job = plan.pipeline
    if job is None or (name == "records" and job.records is None):
        return None
    if name == "records" and job.records is not None:
        return job.records.encrypt
    by = job.aggregates[name].encrypt
    return None if by is None else Encrypt(by=by)


def _in_files(plan: Plan, name: str) -> list[pa.Field]:
    """The columns that stand in files and are not open; those of partitions stand in the names of folders."""
    records = None if plan.pipeline is None else plan.pipeline.records
    folders = records.partition_by if name == "records" and records is not None else ()
    schema = plan.outputs[name].schema
    return [field for field in schema if field.name not in folders and category_of(field) != OPEN]
