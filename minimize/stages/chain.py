"""A chain of steps over a column, and several chains over the rows that each of them decides about."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import reduce

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from minimize.plan.model import Branch
from minimize.techniques import Context, Step, Technique, Treated, treat

Rows = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Branched:
    """What branches gave: the values, where one could not be treated, and where one was dropped.

    `changed` and `entries` say what a technique of its own knows about changes (see `Treated`).
    """

    values: pa.Array
    untreated: pa.BooleanArray | None = None
    dropped: pa.BooleanArray | None = None
    changed: int | None = None
    entries: pa.Array | None = None


def run_chain(steps: Sequence[Technique], values: pa.Array, context: Context) -> Treated:
    """The steps one after the other; a value that one of them could not treat is null from there on."""
    if len(steps) == 1:
        return treat(steps[0], values, context)
    untreated: pa.BooleanArray | None = None
    for step in steps:
        treated = treat(step, values, context)
        values, untreated = treated.values, _either(untreated, treated.untreated)
    return Treated(values, untreated)


def run_branches(
    chains: Sequence[Sequence[Technique] | None],
    cases: pa.Int8Array | None,
    values: pa.Array,
    context: Context,
    gives: pa.DataType,
) -> Branched:
    """Each value through the chain of the case that decides about it; None for a chain drops the value.

    Takes as `cases` the index of the chain for each value, -1 for the last, or None where there is but one.
    """
    if cases is None or len(chains) == 1:
        chain = chains[-1]
        if chain is None:
            return Branched(pa.nulls(len(values), gives), dropped=pa.repeat(pa.scalar(True), len(values)))
        treated = run_chain(chain, values, context)
        return Branched(treated.values, treated.untreated, None, treated.changed, treated.entries)
    parts = [_rows(cases, index, len(chains)) for index in range(len(chains))]
    treated_parts = [
        Treated(pa.nulls(rows.size, gives)) if chain is None else _some(chain, rows, values, context)
        for chain, rows in zip(chains, parts, strict=True)
    ]
    return _joined(chains, parts, treated_parts)


def technique_chain(steps: Sequence[Step], settled: Technique | None) -> list[Technique]:
    """The chain with what a tally settled into in place of the step that needed it; up to that step where nothing did."""
    chain: list[Technique] = []
    for step in steps:
        if isinstance(step, Technique):
            chain.append(step)
        elif settled is not None:
            chain.append(settled)
        else:
            break
    return chain


def is_tally(step: Step) -> bool:
    """Whether a step must see everything before it can treat anything."""
    return not isinstance(step, Technique)


def dropped_by_case(branches: Sequence[Branch], cases: pa.Int8Array | None) -> pa.BooleanArray | None:
    """Where the deciding case drops the value; None where there are no cases."""
    if cases is None:
        return None
    last = len(branches) - 1
    dropping = [-1 if index == last else index for index, branch in enumerate(branches) if branch.steps is None]
    return pc.is_in(cases, value_set=pa.array(dropping, pa.int8()))


def _rows(cases: pa.Int8Array, index: int, chains: int) -> Rows:
    wanted = -1 if index == chains - 1 else index
    return np.flatnonzero(cases.to_numpy(zero_copy_only=False) == wanted)


def _some(chain: Sequence[Technique], rows: Rows, values: pa.Array, context: Context) -> Treated:
    taken = pa.array(rows)
    columns: Mapping[str, pa.Array] = {key: column.take(taken) for key, column in context.columns.items()}
    time = None if context.time is None else context.time.take(taken)
    return run_chain(chain, values.take(taken), replace(context, columns=columns, time=time))


def _joined(chains: Sequence[object], parts: Sequence[Rows], treated: Sequence[Treated]) -> Branched:
    """The parts put together again, in the order of the rows."""
    order = pa.array(np.argsort(np.concatenate(parts), kind="stable"))
    untreated = [_mask(part.untreated, rows.size) for part, rows in zip(treated, parts, strict=True)]
    dropped = [np.full(rows.size, chain is None) for chain, rows in zip(chains, parts, strict=True)]
    return Branched(
        pa.concat_arrays(_alike([part.values for part in treated])).take(order),
        pa.concat_arrays(untreated).take(order),
        pa.array(np.concatenate(dropped)).take(order),
    )


def _alike(arrays: Sequence[pa.Array]) -> Sequence[pa.Array]:
    """All of them dictionary-encoded with the same width of index, or none."""
    if not any(pa.types.is_dictionary(array.type) for array in arrays):
        return arrays
    return [_encoded(array) for array in arrays]


def _encoded(array: pa.Array) -> pa.DictionaryArray:
    if not pa.types.is_dictionary(array.type):
        return array.dictionary_encode()
    return array.cast(pa.dictionary(pa.int32(), array.type.value_type))


def _mask(mask: pa.BooleanArray | None, length: int) -> pa.BooleanArray:
    return pa.repeat(pa.scalar(False), length) if mask is None else mask


def _either(*masks: pa.BooleanArray | None) -> pa.BooleanArray | None:
    found = [mask for mask in masks if mask is not None]
    return reduce(pc.or_, found) if found else None
