"""Chains of techniques over a column: a single chain, chains by case, changed values, and counts of the outcomes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import reduce

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from minimize.arrow.dictionaries import decode_dictionary, value_type
from minimize.arrow.hashing import number_buffer
from minimize.plan.model import CaseBranch
from minimize.records import FieldCounts
from minimize.techniques import Context, Technique, TechniqueResult, TechniqueStep, treat, type_family

RowIndices = npt.NDArray[np.int64]


def run_chain(steps: Sequence[Technique], values: pa.Array, context: Context) -> TechniqueResult:
    """Apply the steps in order. A value that a step cannot treat is null from then on."""
    if len(steps) == 1:
        return treat(steps[0], values, context)
    untreated: pa.BooleanArray | None = None
    for step in steps:
        treated = treat(step, values, context)
        values, untreated = treated.values, _any_mask(untreated, treated.untreated)
    return TechniqueResult(values, untreated)


def run_branches(
    chains: Sequence[Sequence[Technique] | None],
    cases: pa.Int8Array | None,
    values: pa.Array,
    context: Context,
    output_type: pa.DataType,
) -> TechniqueResult:
    """Apply to each value the chain of its case; a chain of None drops the value.

    `cases` is the index of the chain for each value, -1 for the last, or None if there is only one chain.
    """
    if cases is None or len(chains) == 1:
        chain = chains[-1]
        return _dropped(len(values), output_type) if chain is None else run_chain(chain, values, context)
    parts = [_case_rows(cases, index, len(chains)) for index in range(len(chains))]
    treated_parts = [
        _dropped(rows.size, output_type) if chain is None else _run_rows(chain, rows, values, context)
        for chain, rows in zip(chains, parts, strict=True)
    ]
    return _merge_parts(parts, treated_parts)


def resolve_chain(steps: Sequence[TechniqueStep], settled: Technique | None) -> list[Technique]:
    """The chain with the settled technique in place of the tally step; without one, the chain up to that step."""
    chain: list[Technique] = []
    for step in steps:
        if isinstance(step, Technique):
            chain.append(step)
        elif settled is not None:
            chain.append(settled)
        else:
            break
    return chain


def is_tally_step(step: TechniqueStep) -> bool:
    """Whether a step needs all rows before it can treat any."""
    return not isinstance(step, Technique)


def dropped_by_case(branches: Sequence[CaseBranch], cases: pa.Int8Array | None) -> pa.BooleanArray | None:
    """Mask of the values that the deciding case drops; None if no case drops any."""
    last = len(branches) - 1
    dropping = [-1 if index == last else index for index, branch in enumerate(branches) if branch.steps is None]
    return None if cases is None or not dropping else pc.is_in(cases, value_set=pa.array(dropping, pa.int8()))


def _dropped(rows: int, output_type: pa.DataType) -> TechniqueResult:
    return TechniqueResult(pa.nulls(rows, output_type))


def _case_rows(cases: pa.Int8Array, index: int, chains: int) -> RowIndices:
    case = -1 if index == chains - 1 else index
    return np.flatnonzero(cases.to_numpy(zero_copy_only=False) == case)


def _run_rows(chain: Sequence[Technique], rows: RowIndices, values: pa.Array, context: Context) -> TechniqueResult:
    taken = pa.array(rows)
    columns: Mapping[str, pa.Array] = {key: column.take(taken) for key, column in context.columns.items()}
    time = None if context.time is None else context.time.take(taken)
    return run_chain(chain, values.take(taken), replace(context, columns=columns, time=time))


def _merge_parts(parts: Sequence[RowIndices], treated: Sequence[TechniqueResult]) -> TechniqueResult:
    """The parts combined in the order of the rows."""
    order = pa.array(np.argsort(np.concatenate(parts), kind="stable"))
    untreated = [_mask_or_false(part.untreated, rows.size) for part, rows in zip(treated, parts, strict=True)]
    return TechniqueResult(
        pa.concat_arrays(_align_dictionaries([part.values for part in treated])).take(order),
        pa.concat_arrays(untreated).take(order),
    )


def _align_dictionaries(arrays: Sequence[pa.Array]) -> Sequence[pa.Array]:
    """All arrays dictionary-encoded with the same index width, or none of them."""
    if not any(pa.types.is_dictionary(array.type) for array in arrays):
        return arrays
    return [_encode_dictionary(array) for array in arrays]


def _encode_dictionary(array: pa.Array) -> pa.DictionaryArray:
    if not pa.types.is_dictionary(array.type):
        return array.dictionary_encode()
    return array.cast(pa.dictionary(pa.int32(), array.type.value_type))


def _mask_or_false(mask: pa.BooleanArray | None, length: int) -> pa.BooleanArray:
    return pa.repeat(pa.scalar(False), length) if mask is None else mask


def _any_mask(*masks: pa.BooleanArray | None) -> pa.BooleanArray | None:
    present_masks = [mask for mask in masks if mask is not None]
    return reduce(pc.or_, present_masks) if present_masks else None


def count_changes(values: pa.Array, out: TechniqueResult, among_rows: pa.BooleanArray | None) -> int:
    """The number of values (under the mask, if given) that were changed, as the technique reports or by comparison."""
    if values is out.values:
        return 0
    if out.changed is not None:
        return out.changed
    if among_rows is None and _are_plain_words(values, out.values):
        return int(np.count_nonzero(number_buffer(values, np.int64) != number_buffer(out.values, np.int64)))
    mask = _changed_mask(values, out)
    count: int = mask.true_count if among_rows is None else pc.and_(mask, among_rows).true_count
    return count


def _are_plain_words(values: pa.Array, others: pa.Array) -> bool:
    """Whether both are 64-bit integers or times of one type without nulls."""
    type_ = values.type
    wide = pa.types.is_int64(type_) or pa.types.is_timestamp(type_)
    return bool(wide and type_ == others.type and not values.null_count and not others.null_count)


def _changed_mask(values: pa.Array, out: TechniqueResult) -> pa.BooleanArray:
    """Mask of changed values, by the entries of the original dictionary if the result of each is known."""
    if out.entries is None or not pa.types.is_dictionary(values.type):
        return changed_values(values, out.values)
    entries = changed_values(values.dictionary, out.entries)
    if not entries.true_count:
        return _nothing_changed(values)
    if entries.true_count == len(entries):
        return values.is_valid()
    return entries.take(values.indices).fill_null(False)


def changed_values(raw: pa.Array, released: pa.Array) -> pa.BooleanArray:
    """Per value whether it was changed. An original null is not; a value released as null, or as another type, is.

    >>> changed_values(pa.array(["a", "b", None]), pa.array(["a", None, None])).to_pylist()
    [False, True, False]
    """
    if raw is released:
        return _nothing_changed(raw)
    if not _are_comparable(raw.type, released.type):
        return raw.is_valid()
    if pa.types.is_dictionary(raw.type):
        return _changed_entries(raw, released)
    return pc.and_(_values_differ(raw, decode_dictionary(released)).fill_null(True), raw.is_valid())


def _changed_entries(raw: pa.DictionaryArray, released: pa.Array) -> pa.BooleanArray:
    """Both columns as codes of the original dictionary's entries."""
    out = released if pa.types.is_dictionary(released.type) else released.dictionary_encode()
    entries = raw.dictionary
    before = pc.index_in(entries, value_set=entries).take(raw.indices)
    after = pc.index_in(out.dictionary.cast(entries.type), value_set=entries).take(out.indices)
    return pc.and_(pc.not_equal(before, after).fill_null(True), raw.is_valid())


def _values_differ(raw: pa.Array, released: pa.Array) -> pa.BooleanArray:
    """Per pair whether the values differ; null if either is null."""
    if pa.types.is_struct(raw.type):
        return _structs_differ(raw, released)
    if pa.types.is_nested(raw.type):
        return _nothing_changed(raw) if raw.equals(released) else pa.repeat(pa.scalar(True), len(raw))
    if pa.types.is_float16(raw.type):
        return _values_differ(raw.cast(pa.float32()), released.cast(pa.float32()))
    if pa.types.is_floating(raw.type):
        same = pc.and_(pc.is_nan(raw), pc.is_nan(released))
        return pc.and_not(pc.not_equal(raw, released), same)
    return pc.not_equal(raw, released.cast(raw.type))


def _structs_differ(raw: pa.StructArray, released: pa.StructArray) -> pa.BooleanArray:
    if len(raw.type.fields) != len(released.type.fields):
        return raw.is_valid()
    pairs = zip(raw.flatten(), released.flatten(), strict=True)
    return reduce(pc.or_, (_children_differ(raw_child, released_child) for raw_child, released_child in pairs))


def _children_differ(raw: pa.Array, released: pa.Array) -> pa.BooleanArray:
    if not _are_comparable(raw.type, released.type):
        return pa.repeat(pa.scalar(True), len(raw))
    return pc.or_(_values_differ(raw, released).fill_null(False), pc.xor(raw.is_null(), released.is_null()))


def _are_comparable(first: pa.DataType, second: pa.DataType) -> bool:
    """Whether values of both types can be equal: the same type, text or bytes of different width, or structs."""
    same_family = type_family(first) == type_family(second)
    return value_type(first) == value_type(second) or (
        same_family and type_family(first) in ("string", "binary", "struct")
    )


def _nothing_changed(raw: pa.Array) -> pa.BooleanArray:
    return pa.repeat(pa.scalar(False), len(raw))


def count_outcomes(
    raw: pa.Array,
    values: pa.Array,
    closed: pa.BooleanArray | None,
    out: TechniqueResult | None,
    dropped: pa.BooleanArray | None = None,
    *,
    replaced: bool = False,
) -> FieldCounts:
    """Count each non-null value as gated, dropped, unparsable, changed or unchanged.

    Takes the values as read, the same without the closed ones, the result for those, and the mask of those that the deciding case
    drops. With `replaced`, every value is replaced by a different one, so none is compared.
    """
    if closed is None and dropped is None and (out is None or out.untreated is None):
        present = len(raw) - raw.null_count
        if out is None:
            return FieldCounts(present)
        return FieldCounts(present, present if replaced else count_changes(values, out, None))
    present = raw.is_valid()
    gated = _count_both(present, closed)
    passed = present if closed is None else pc.and_not(present, closed)
    if out is None:
        return FieldCounts(present.true_count, gated=gated)
    lost = _count_both(passed, dropped)
    kept = passed if dropped is None else pc.and_not(passed, dropped)
    unparsable = _count_both(kept, out.untreated)
    treated = kept if out.untreated is None else pc.and_not(kept, out.untreated)
    changed_count = treated.true_count if replaced else count_changes(values, out, treated)
    return FieldCounts(present.true_count, changed_count, gated, unparsable, lost)


def _count_both(mask: pa.BooleanArray, other_mask: pa.BooleanArray | None) -> int:
    return 0 if other_mask is None else pc.and_(mask, other_mask).true_count
