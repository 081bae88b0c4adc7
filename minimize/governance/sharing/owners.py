"""Whose records leave: the distinct subjects of each tenant, as keyed tokens."""

from __future__ import annotations

from dataclasses import dataclass, field

import pyarrow as pa
import pyarrow.compute as pc

from minimize.keys import Keyring
from minimize.ledger.tokens import KEY, PURPOSE, digests_of

MANY = 4_194_304
"""Pairs that are gathered before they are made distinct together."""


@dataclass(slots=True)
class Owners:
    """The pairs of tenant and subject that were seen; what is printed of them is nothing."""

    pairs: list[pa.Table] = field(default_factory=list, repr=False)

    def take(self, tenants: pa.Array, subjects: pa.Array) -> None:
        """Takes in the tenants and subjects of some rows."""
        table = pa.table({"tenant": _text(tenants), "subject": _text(subjects)})
        self.pairs.append(_distinct(table))
        if sum(pairs.num_rows for pairs in self.pairs) > MANY:
            self.pairs = [_distinct(pa.concat_tables(self.pairs))]

    def digests(self, keys: Keyring) -> dict[str, bytes]:
        """Per tenant the digests of its subjects' tokens, ascending, one after the other."""
        if not self.pairs:
            return {}
        secret = keys.subkey(KEY, PURPOSE)
        whole = _distinct(pa.concat_tables(self.pairs)).sort_by("tenant")
        names = pc.run_end_encode(whole.column("tenant").combine_chunks())
        subjects, found, first = whole.column("subject"), {}, 0
        for tenant, end in zip(names.values.to_pylist(), names.run_ends.to_pylist(), strict=True):
            own = subjects.slice(first, end - first).to_pylist()
            found[tenant] = b"".join(sorted(digests_of(secret, tenant, own)))
            first = end
        return found


def _text(column: pa.Array) -> pa.Array:
    plain = column.dictionary_decode() if pa.types.is_dictionary(column.type) else column
    return plain.cast(pa.large_string())


def _distinct(table: pa.Table) -> pa.Table:
    there = table.filter(pc.and_(table.column("tenant").is_valid(), table.column("subject").is_valid()))
    return there.group_by(["tenant", "subject"], use_threads=False).aggregate([])
