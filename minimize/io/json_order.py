"""In which order lines of NDJSON have their keys, and what stands between them: learned from a few lines.

Lines that one program wrote look alike: the same keys in the same order, some of them left out, the same blanks. What is
learned is a guess that `json_cut` checks byte by byte; a wrong one is slow, never wrong.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from minimize.io.json_literal import Literal

FIRST = 16
"""How many lines are learned from at a time."""
MOST = 256
"""The most keys of an order: each is looked for in every line."""
LONGEST = 256
"""The longest key, in bytes."""
_MEMBER = re.compile(
    rb'([{,][ \t]?)"([^"\\\x00-\x1f]{0,256})"([ \t]?:[ \t]?)(?:"[^"\\\x00-\x1f]*"|[^"\\,{}\[\]\s]+)(?=[,}])'
)


@dataclass(frozen=True, slots=True)
class Order:
    """Keys in their order, the text before a key that is not a line's first, and the text behind it.

    >>> Order.of(b'{"a": 1, "b": "x"}')
    Order(keys=(b'a', b'b'), lead=b', ', colon=b': ')
    """

    keys: tuple[bytes, ...]
    lead: bytes
    colon: bytes
    literals: tuple[Literal, ...] = field(init=False, repr=False, compare=False)
    """All that stands before each key's value."""

    def __post_init__(self) -> None:
        """Prepares what is looked for."""
        texts = (self.lead + b'"' + key + b'"' + self.colon for key in self.keys)
        object.__setattr__(self, "literals", tuple(map(Literal.of, texts)))

    @classmethod
    def of(cls, line: bytes) -> Order | None:
        """The order of one line; None where it is no object of plain values without escapes, or a key stands twice."""
        members, at = list[re.Match[bytes]](), 0
        while len(members) <= MOST and (found := _MEMBER.match(line, at)) is not None:
            members.append(found)
            at = found.end()
        keys, colons = tuple(found[2] for found in members), {found[3] for found in members}
        leads = {found[1] for found in members[1:]} or {b","}
        if line[at:] not in (b"}", b"}\r") or not _alike(keys, leads, colons) or members[0][1] != b"{":
            return None
        lead = leads.pop()
        return cls(keys, lead, colons.pop()) if lead.startswith(b",") else None

    def joined(self, other: Order) -> Order:
        """With the keys of another line among its own, where both can be in one order; else as it is.

        >>> Order((b"a", b"c"), b",", b":").joined(Order((b"a", b"b", b"c"), b",", b":")).keys
        (b'a', b'b', b'c')
        """
        keys, place = [*self.keys], len(self.keys)
        for key in reversed(other.keys):
            if key not in keys:
                keys.insert(place, key)
            place = keys.index(key)
        joined = replace(self, keys=tuple(keys))
        return joined if len(keys) <= MOST and joined.covers(other) else self

    def covers(self, other: Order) -> bool:
        """Whether the other's keys are among these, in this order, and the same stands between them."""
        keys = iter(self.keys)
        return (self.lead, self.colon) == (other.lead, other.colon) and all(key in keys for key in other.keys)


def learned(lines: Iterable[bytes], known: Order | None = None) -> Order | None:
    """What is known with what these lines add; None where nothing is known and most of them are in no common order."""
    orders = [Order.of(line) for line in lines]
    found, start = [order for order in orders if order is not None], known
    for order in found:
        known = order if known is None else known.joined(order)
    agreeing = sum(known.covers(order) for order in found) if known is not None else 0
    return known if start is not None or agreeing * 2 > len(orders) else None


def _alike(keys: tuple[bytes, ...], leads: set[bytes], colons: set[bytes]) -> bool:
    return 0 < len({*keys}) == len(keys) <= MOST and len(leads) == len(colons) == 1
