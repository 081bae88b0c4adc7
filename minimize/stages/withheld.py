"""What of a gated batch may be set aside on disk until everything was seen: the raw columns without what the gate closed."""

from __future__ import annotations

import pyarrow as pa

from minimize.nested import assemble, leaf, leaf_type, pruned
from minimize.plan.model import Plan
from minimize.pointer import Pointer
from minimize.stage import Batch
from minimize.stages.raw import without


def withheld(batch: Batch, plan: Plan) -> pa.RecordBatch:
    """The raw records with null for every value that the gate closed; the gate comes to the same masks over them.

    Takes a gated batch. Tenant, subject and event time stay as they are: settings are asked about them. So do containers of
    which somebody wants the presence or size.
    """
    closed = {plan.policy.fields[key].pointer: mask for key, mask in batch.closed.items()}
    for asked in (plan.policy.tenant, plan.policy.subject, plan.policy.time):
        closed.pop(Pointer.parse(asked or "_"), None)
    values = {
        pointer: without(leaf(batch.raw, pointer).values, closed.get(pointer))
        for pointer in _leaves(batch.raw.schema, plan)
    }
    return assemble(batch.raw, values, {}, {}, withheld_schema(batch.raw.schema, plan))


def withheld_schema(schema: pa.Schema, plan: Plan) -> pa.Schema:
    """The schema of what is set aside of records of this schema."""
    return pruned(schema, {pointer: leaf_type(schema, pointer) for pointer in _leaves(schema, plan)})


def _leaves(schema: pa.Schema, plan: Plan) -> list[Pointer]:
    """The declared places that these records have, outermost first where one stands in another."""
    there = [field.pointer for field in plan.policy.fields.values() if not field.from_ and _has(schema, field.pointer)]
    return [pointer for pointer in there if not any(pointer != other and pointer.within(other) for other in there)]


def _has(schema: pa.Schema, pointer: Pointer) -> bool:
    try:
        leaf_type(schema, pointer)
    except KeyError:
        return False
    return True
