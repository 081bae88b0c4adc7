"""Whether values look as they were declared: by the rules of techniques' definitions, for data that is not in an output yet.

A column is judged by the rule of its last step, every value of it: by the column where arithmetic tells at once, else each
distinct value. What was judged is remembered, within bounds.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import pyarrow as pa

from minimize.interned import Interned
from minimize.pointer import Pointer
from minimize.stores import Place as Folder
from minimize.verification.leaves import at, distinct, judged
from minimize.verification.policy import StepView
from minimize.verification.rules import Obeys, Place, Unchecked, chain_rule
from minimize.verification.rules.whole import Whole, whole_rule
from minimize.words import known_of

REMEMBERED: Final = 1 << 16
"""Values of a column that are remembered as judged."""


@dataclass(frozen=True, slots=True)
class Declared:
    """What a column was declared to be: the chains of which one has made each value, and where their files are."""

    chains: tuple[tuple[StepView, ...], ...]
    folder: Folder


@dataclass(slots=True)
class Forms:
    """Judges batches of one schema, column by column.

    unchecked  the columns for which a rule lacks something (a hierarchy's file)
    """

    judges: dict[str, _Column]
    unchecked: tuple[str, ...] = ()

    @classmethod
    def of(cls, schema: pa.Schema, declared: Mapping[str, Declared]) -> Forms:
        """The judges of the fields that were declared, by their keys; what is kept as it came needs none."""
        judges: dict[str, _Column] = {}
        lacking: list[str] = []
        for key, each in declared.items():
            pointer = Pointer.parse(key)
            if any(_says_nothing(chain) for chain in each.chains):
                continue
            type_ = _leaf_type(schema, pointer)
            try:
                rules = [chain_rule(chain, Place(type_, each.folder)) for chain in each.chains]
            except Unchecked:
                lacking.append(key)
                continue
            fast = whole_rule(each.chains[0], type_) if len(each.chains) == 1 else None
            judges[key] = _Column(pointer, rules, fast)
        return cls(judges, tuple(lacking))

    def misshapen(self, batch: pa.RecordBatch, encoded: Mapping[str, pa.Array]) -> list[str]:
        """The fields of which some value in this batch does not have the form that was declared.

        Takes beside the batch columns of it as they were before they were decoded, where they were encoded.
        """
        return [key for key, judge in self.judges.items() if not judge.obeys(batch, encoded.get(key))]


@dataclass(slots=True)
class _Column:
    pointer: Pointer
    rules: Sequence[Obeys]
    whole: Whole | None
    seen: set[Any] = field(default_factory=set, repr=False)
    texts: Interned | None = field(default=None, repr=False)
    good: pa.Array | None = field(default=None, repr=False)
    """The last dictionary of which every entry was good: of one that only grew the others are judged."""

    def obeys(self, batch: pa.RecordBatch, encoded: pa.Array | None) -> bool:
        """Whether every value that is there has the form of one of the rules."""
        if encoded is None or not self.pointer.is_flat or not pa.types.is_dictionary(encoded.type):
            return self._are_good(at(batch, self.pointer).values)
        if self._are_good(encoded.dictionary.slice(known_of(self.good, encoded.dictionary))):
            self.good = encoded.dictionary
            return True
        used = _used(encoded)  # an entry that no row has does not leave
        return (self.whole is not None and self.whole(used)) or self._are_good(self._new(used))

    def _are_good(self, values: pa.Array) -> bool:
        if self.whole is not None and self.whole(values):
            return True
        return all(map(self._judged, _each(values)))

    def _new(self, values: pa.Array) -> pa.Array:
        """The texts that were not looked at before, where the values are texts and not too many yet; else the values."""
        if values.type != pa.string() or not len(values):
            return values
        if self.texts is None or len(self.texts) > REMEMBERED:
            self.texts = Interned(pa.string())
        before = len(self.texts)
        codes = self.texts.codes(values)
        return values if before == 0 else values.filter(pa.array(codes >= before))

    def _judged(self, value: Any) -> bool:
        if value in self.seen:
            return True
        good = any(rule(value) for rule in self.rules)
        if good and len(self.seen) < REMEMBERED:
            self.seen.add(value)
        return good


def _says_nothing(chain: Sequence[StepView]) -> bool:
    return not chain or all(step.word in ("keep", "shift_dates") for step in chain)


def _used(encoded: pa.DictionaryArray) -> pa.Array:
    """The entries of a dictionary that some row has: others do not leave."""
    codes = np.asarray(encoded.indices.drop_null() if encoded.null_count else encoded.indices)
    found = np.flatnonzero(np.bincount(codes, minlength=len(encoded.dictionary)))
    return encoded.dictionary if len(found) == len(encoded.dictionary) else encoded.dictionary.take(pa.array(found))


def _each(values: pa.Array) -> list[Any]:
    """The values that differ, as rules judge them."""
    if pa.types.is_struct(values.type):
        return [value for (value,) in distinct([values])]
    return judged(values.unique().drop_null())


def _leaf_type(schema: pa.Schema, pointer: Pointer) -> pa.DataType:
    values = at(pa.RecordBatch.from_pylist([], schema), pointer).values
    return values.type
