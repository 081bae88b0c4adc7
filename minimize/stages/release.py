"""Release: what may leave a batch, as the nested columns of the records output, without hidden bytes."""

from __future__ import annotations

from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from minimize.nested import assemble
from minimize.plan.model import Plan
from minimize.pointer import Pointer
from minimize.scrub import scrub
from minimize.stage import Batch
from minimize.stages.chain import dropped_by_case


@dataclass(frozen=True, slots=True)
class Release:
    """The way out of the pipeline for records.

    schema  the output's schema with its metadata; the plan's where none is given
    """

    plan: Plan
    name: str = "records"
    schema: pa.Schema | None = None

    def columns(self, batch: Batch) -> pa.RecordBatch:
        """The released leaves of a batch as columns of the output's schema, scrubbed.

        A leaf that is dictionary-encoded stays so. An element of a list goes where its gate or its case leaves nothing of it.
        """
        schema = self.plan.outputs[self.name].schema if self.schema is None else self.schema
        pointers = {key: field.pointer for key, field in self.plan.fields.items()}
        released = {pointers[key]: values for key, values in batch.released.items()}
        hollow = {Pointer.parse(star): mask for star, mask in batch.hollow.items()}
        columns: pa.RecordBatch = scrub(assemble(batch.raw, released, self._withheld(batch), hollow, schema), schema)
        return columns

    def _withheld(self, batch: Batch) -> dict[Pointer, pa.BooleanArray]:
        """Per released leaf where its gate is closed or the deciding case drops it."""
        withheld = {}
        for key in batch.released:
            field = self.plan.fields[key]
            masks = [batch.closed.get(key), dropped_by_case(field.branches, batch.cases.get(key))]
            found = [mask for mask in masks if mask is not None]
            if found:
                withheld[field.pointer] = found[0] if len(found) == 1 else pc.or_(*found)
        return withheld
