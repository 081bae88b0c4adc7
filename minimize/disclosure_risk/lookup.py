"""Find the combination of each record of a batch among the combinations of a whole table."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from minimize.disclosure_risk.combinations import Combinations

_MAX_WORD = 2**62
"""The bound of the numbers that stand for several attributes at once."""
Places = npt.NDArray[np.int64]


class CombinationIndex:
    """The places of combinations. As many attributes as fit are compared as one 64-bit number.

    >>> from minimize.disclosure_risk.combinations import combinations_of
    >>> table = pa.table({"model": ["A", "B", "A"], "carrier": ["x", "x", None]})
    >>> CombinationIndex(combinations_of(table, ["model", "carrier"])).places(table.to_batches()[0]).tolist()
    [0, 2, 1]
    """

    def __init__(self, combinations: Combinations) -> None:
        self._names, self._dictionaries = combinations.names, combinations.dictionaries
        self._words: list[tuple[list[tuple[int, int]], Places]] = []
        self._size = len(combinations.codes)
        prefix, prefix_count = np.zeros(self._size, np.int64), 1
        attribute = 0
        while attribute < len(self._names):
            parts, extent = [], prefix_count
            while attribute < len(self._names) and extent * self._extent(attribute) < _MAX_WORD:
                extent *= self._extent(attribute)
                parts.append(attribute)
                attribute += 1
            factors = self._factors(parts)
            words = self._word(prefix, {part: combinations.codes[:, part] for part in parts}, factors)
            values, prefix = np.unique(words, return_inverse=True)
            prefix, prefix_count = prefix.astype(np.int64), len(values)
            self._words.append((factors, values))

    def places(self, batch: pa.RecordBatch) -> Places:
        """The index of each record's combination. Raises KeyError if a record has a combination that the table does not."""
        places = np.zeros(batch.num_rows, np.int64)
        is_known = True
        for factors, values in self._words:
            codes = {part: self._codes(batch.column(self._names[part]), part) for part, _ in factors}
            words = self._word(places, codes, factors)
            places = np.searchsorted(values, words)
            is_known = is_known and bool(
                all((part_codes >= 0).all() for part_codes in codes.values())
                and (places < len(values)).all()
                and (values[places] == words).all()
            )
            if not is_known:
                raise KeyError("a record has a combination that was not counted")
        return places

    def _extent(self, attribute: int) -> int:
        return max(1, len(self._dictionaries[attribute]))

    def _factors(self, parts: list[int]) -> list[tuple[int, int]]:
        """The factor of each attribute of a word; the last attribute has 1."""
        factors, factor = [], 1
        for part in reversed(parts):
            factors.append((part, factor))
            factor *= self._extent(part)
        return factors[::-1]

    def _word(
        self, prefix: Places, codes: Mapping[int, npt.NDArray[np.signedinteger]], factors: list[tuple[int, int]]
    ) -> Places:
        first_part, first_factor = factors[0]
        word = prefix * np.int64(first_factor * self._extent(first_part))
        for part, factor in factors:
            word = word + codes[part].astype(np.int64) * np.int64(factor)
        return word

    def _codes(self, values: pa.Array, attribute: int) -> npt.NDArray[np.int64]:
        """The code of each value in the attribute's dictionary, by distinct value; -1 for a value that it lacks."""
        dictionary = self._dictionaries[attribute]
        if not pa.types.is_dictionary(values.type):
            codes = pc.index_in(values.cast(dictionary.type), value_set=dictionary)
            return np.asarray(pc.fill_null(codes, -1), np.int64)
        entries = pc.fill_null(pc.index_in(values.dictionary.cast(dictionary.type), value_set=dictionary), -1)
        missing = pc.fill_null(pc.index_in(pa.nulls(1, dictionary.type), value_set=dictionary), -1)
        every_entry = np.append(entries.to_numpy(), missing.to_numpy()).astype(np.int64)
        indices = pc.fill_null(values.indices.cast(pa.int64()), len(entries)).to_numpy()
        return np.asarray(every_entry[indices], np.int64)
