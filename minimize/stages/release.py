"""Release: the released columns of a batch, in the nested form of the records output, without hidden bytes."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property

import pyarrow as pa
import pyarrow.compute as pc

from minimize.arrow.nested import assemble
from minimize.arrow.pointers import Pointer
from minimize.arrow.scrub import scrub, scrub_columns
from minimize.plan.model import Plan
from minimize.records import Batch
from minimize.stages.chains import dropped_by_case


@dataclass(frozen=True)
class Release:
    """Converts batches to records of the output.

    schema  the output's schema with its metadata; by default the plan's
    secret  secret bytes that order the former items of a map
    """

    plan: Plan
    name: str = "records"
    schema: pa.Schema | None = None
    secret: bytes = field(default=b"", repr=False)

    @cached_property
    def flat(self) -> tuple[str, ...]:
        """The keys of the columns in their order if nothing is nested; otherwise none."""
        return _flat_keys(self.plan, self._schema)

    @property
    def _schema(self) -> pa.Schema:
        return self.plan.outputs[self.name].schema if self.schema is None else self.schema

    def columns(self, batch: Batch) -> pa.RecordBatch:
        """The released leaves of a batch as columns of the output's schema, scrubbed.

        A dictionary-encoded leaf stays so. An element of a list is removed if its gate or its case leaves nothing of it.
        """
        if self.flat:
            return self.flat_columns(batch.released[key] for key in self.flat)
        schema = self._schema
        pointers = {key: field.pointer for key, field in self.plan.fields.items()}
        released = {pointers[key]: values for key, values in batch.released.items()}
        gated_lists = {Pointer.parse(star): mask for star, mask in batch.gated_lists.items()}
        columns = assemble(batch.raw, released, self._withheld(batch), gated_lists, schema, self.secret)
        clean: pa.RecordBatch = scrub(columns, schema)
        return clean

    def flat_columns(self, released: Iterable[pa.Array], *, for_parquet: bool = False) -> pa.RecordBatch:
        """The output columns of released leaves in the order of `flat`, if nothing is nested, scrubbed by `scrub_columns`.

        Each leaf is released from memory once scrubbed.
        """
        schema = self._schema
        return scrub_columns(released, schema.names, schema, for_parquet=for_parquet)

    def _withheld(self, batch: Batch) -> dict[Pointer, pa.BooleanArray]:
        """Per released leaf, a mask of the values whose gate is closed or that the deciding case drops."""
        withheld = {}
        for key in batch.released:
            plan = self.plan.fields[key]
            masks = [batch.closed.get(key), dropped_by_case(plan.branches, batch.cases.get(key))]
            found = [mask for mask in masks if mask is not None]
            if found:
                withheld[plan.pointer] = found[0] if len(found) == 1 else pc.or_(*found)
        return withheld


def _flat_keys(plan: Plan, schema: pa.Schema) -> tuple[str, ...]:
    keys = {
        each.pointer.top: key for key, each in plan.fields.items() if each.gives is not None and each.pointer.is_flat
    }
    return tuple(keys[name] for name in schema.names) if set(schema.names) <= set(keys) else ()
