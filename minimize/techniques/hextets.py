"""IPv6 addresses by their leading groups: which texts are plain addresses, and what they begin with."""

from __future__ import annotations

from functools import lru_cache

import pyarrow as pa
import pyarrow.compute as pc

_GROUP = "[0-9A-Fa-f]{1,4}"
_CARRIES = "^0*(?:|2002):"
"""Addresses that carry an IPv4 address are not plain: those that begin with zeros, and 6to4."""


def leading(texts: pa.StringArray, groups: int) -> pa.StringArray:
    """The first groups of each text that is a plain address and writes them out, null for every other text.

    >>> texts = pa.array(["2001:db8:1:2::3", "2001:db8::1", "::1", "2002:c000:204::", "2001:db8:1::2::3"])
    >>> leading(texts, 2).to_pylist()
    ['2001:db8', '2001:db8', None, None, None]
    >>> leading(texts, 3).to_pylist()
    ['2001:db8:1', None, None, None, None]
    """
    found = pc.extract_regex(texts, _pattern(groups)).field("leading")
    whole = pc.match_substring_regex(texts, _pattern(groups))
    carrying = pc.match_substring_regex(texts, _CARRIES)
    return pc.if_else(pc.and_not(whole, carrying), found, pa.nulls(len(texts), pa.string()))


def written_out(starts: pa.StringArray) -> pa.BooleanArray:
    """Which of some leading groups are written as RFC 5952 says, and none of them zero: no group can be left out of those.

    >>> written_out(pa.array(["2001:db8:1", "2001:0db8:1", "2001:DB8:1", "2001:db8:0"])).to_pylist()
    [True, False, False, False]
    """
    return pc.match_substring_regex(starts, "^[1-9a-f][0-9a-f]{0,3}(?::[1-9a-f][0-9a-f]{0,3})*$")


@lru_cache(maxsize=8)
def _pattern(groups: int) -> str:
    """The leading groups, then the others in full, or some, two colons, and some."""
    left = 8 - groups
    tails = [f"(?:{_GROUP}:){{{left - 1}}}{_GROUP}"]
    for before in range(left):
        after = left - before - 1
        tail = f"(?:{_GROUP}(?::{_GROUP}){{0,{after - 1}}})?" if after else ""
        tails.append(f"(?:{_GROUP}:){{{before}}}:{tail}")
    return f"^(?P<leading>{_GROUP}(?::{_GROUP}){{{groups - 1}}}):(?:{'|'.join(tails)})$"
