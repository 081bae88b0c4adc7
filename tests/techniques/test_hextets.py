from __future__ import annotations

import ipaddress

import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from minimize.techniques.addresses import leading_groups

ADDRESSES = st.ip_addresses(v=6)
TEXTS = (
    ADDRESSES.map(str)
    | ADDRESSES.map(lambda address: address.exploded.upper())
    | st.text(alphabet="0123af:.%", max_size=24)
    | st.lists(st.sampled_from(["", "0", "a", "2002", "ffff"]), max_size=9).map(":".join)
)


@given(st.lists(TEXTS, max_size=20), st.integers(1, 7))
def test_what_it_gives_are_the_leading_groups_of_an_address(texts: list[str], groups: int) -> None:
    for text, start in zip(texts, leading_groups(pa.array(texts, pa.string()), groups).to_pylist(), strict=True):
        if start is not None:
            address, network = ipaddress.IPv6Address(text), ipaddress.IPv6Address(f"{start}::")
            assert int(address) >> (128 - 16 * groups) == int(network) >> (128 - 16 * groups)


@given(ADDRESSES, st.integers(1, 7))
def test_an_address_written_out_is_plain_unless_it_carries_another(address: ipaddress.IPv6Address, groups: int) -> None:
    (start,) = leading_groups(pa.array([address.exploded]), groups).to_pylist()
    first = int(address) >> 112
    assert (start is None) == (first in (0, 0x2002))
