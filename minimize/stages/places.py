"""Where things stand in a batch: the place of a field's leaf, the lists around it, and rows taken out of every part."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from minimize.nested import leaf, rows_of
from minimize.plan.model import FieldPlan, Plan
from minimize.pointer import Pointer
from minimize.stage import Batch

RECORD = Pointer(())
"""The place of a record itself: below no list."""


def place_of(field: FieldPlan) -> Pointer:
    """The raw leaf that has one value for each value of the field: itself, or the innermost of its inputs."""
    return field.place


def container(star: Pointer) -> Pointer:
    """The list or map whose elements a pointer that ends in a star names.

    >>> str(container(Pointer.parse("/apps/*")))
    '/apps'
    """
    return Pointer(star.parts[:-1])


def kept_rows(batch: Batch, keep: npt.NDArray[np.bool_], plan: Plan) -> Batch:
    """The batch with only these records, in every part that has been made so far."""
    if keep.all():
        return batch
    places = {key: place_of(field) for key, field in plan.fields.items()}

    def leaves(values: pa.Array, place: Pointer) -> pa.Array:
        rows = rows_of(leaf(batch.raw, place), batch.raw.num_rows)
        return values.filter(pa.array(keep[rows]))

    return batch.with_(
        raw=batch.raw.filter(pa.array(keep)),
        hollow={star: leaves(mask, container(Pointer.parse(star))) for star, mask in batch.hollow.items()},
        **{
            part: {key: leaves(values, places[key]) for key, values in getattr(batch, part).items()}
            for part in ("closed", "cases", "released", "measured", "ranks")
        },
    )
