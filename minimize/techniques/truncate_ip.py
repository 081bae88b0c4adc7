"""`truncate_ip`: the network part of an address."""

from __future__ import annotations

import ipaddress
import re
from typing import ClassVar, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import ConfigDict, Field

from minimize.techniques.base import Context, Family, Leaves, Technique, Treated, each_distinct, untreated_at
from minimize.techniques.distinct import distinct, pick

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


class TruncateIp(Technique):
    """The network part of an IPv4 or IPv6 address, the rest zero.

    Takes text, gives text: the address, or with `as: network` the network in CIDR notation. An IPv4 address mapped into IPv6
    counts as IPv4, and one inside a 6to4 address loses its host bits, too; brackets, port and zone id are taken off; IPv6 is
    written as RFC 5952 says. Null stays null; what is no address cannot be treated. Leaves nothing of the host; a network can
    still be one household's, /64 nearly always is.
    Source: RFC 4291, RFC 4632, RFC 5952.

    >>> import pyarrow as pa
    >>> from datetime import datetime, UTC
    >>> addresses = pa.array(["203.0.113.77", "[2001:db8:1:2::3]:443", "lobby"])
    >>> TruncateIp().apply(addresses, Context("f", datetime.now(UTC))).values.to_pylist()
    ['203.0.113.0', '2001:db8:1::', None]
    """

    model_config = ConfigDict(populate_by_name=True)

    name: ClassVar[str] = "truncate_ip"
    takes: ClassVar[tuple[Family, ...]] = ("string",)
    leaves: ClassVar[Leaves] = "nothing"
    source: ClassVar[str] = "RFC 4632, RFC 5952"
    about: ClassVar[str] = "the network part of an IP address"

    v4: int = Field(24, ge=0, lt=32)
    v6: int = Field(48, ge=0, lt=128)
    as_: Literal["address", "network"] = Field("address", alias="as")

    def gives(self, type_: pa.DataType) -> pa.DataType:
        """Text. Raises TypeRefused for what is no text."""
        super().gives(type_)
        return pa.string()

    def apply(self, values: pa.Array, context: Context) -> Treated:
        """The networks: plain IPv4 by its four numbers, all else one by one."""
        found = distinct(values)
        texts = found.words.cast(pa.string())
        plain = pc.fill_null(pc.match_substring_regex(texts, _PLAIN), False)
        rest = each_distinct(texts.filter(pc.invert(plain)), self._truncated, pa.string())
        words = pc.replace_with_mask(texts, plain, self._of_plain(texts.filter(plain)))
        words = pc.replace_with_mask(words, pc.invert(plain), rest.values)
        lost = pc.and_(words.is_null(), texts.is_valid()).to_pylist()
        return Treated(pick(words, found.codes), untreated_at(lost, found.codes))

    def _of_plain(self, quads: pa.StringArray) -> pa.StringArray:
        """The networks of plain IPv4 addresses, number by number."""
        octets = pc.split_pattern(quads, ".").flatten().cast(pa.uint8()).to_numpy().reshape(-1, 4)
        kept = octets & np.frombuffer(((2**32 - 1) >> (32 - self.v4) << (32 - self.v4)).to_bytes(4, "big"), np.uint8)
        decimals = pa.array([str(number) for number in range(256)])
        parts = [decimals.take(pa.array(kept[:, place])) for place in range(4)]
        networks = pc.binary_join_element_wise(*parts, ".")
        return pc.binary_join_element_wise(networks, f"/{self.v4}", "") if self.as_ == "network" else networks

    def _truncated(self, text: str) -> str | None:
        address = _address(text)
        if address is None:
            return None
        bits = self.v4 if address.version == 4 else self.v6
        shift = address.max_prefixlen - min(bits, self._carried(address))
        network = type(address)(int(address) >> shift << shift)
        return f"{network}/{bits}" if self.as_ == "network" else str(network)

    def _carried(self, address: Address) -> int:
        """The bits of which nothing shows more of an IPv4 address than `v4` allows: 6to4 has one behind its first 16."""
        return 16 + self.v4 if getattr(address, "sixtofour", None) else address.max_prefixlen


_OCTET = "(?:25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])"
_PLAIN = rf"^{_OCTET}(?:\.{_OCTET}){{3}}$"
_BRACKETED = re.compile(r"\[(?P<address>[^\[\]]*)\](?P<port>:[0-9]{1,5})?", re.ASCII)
_V4_PORT = re.compile(r"(?P<address>[0-9.]+):(?P<port>[0-9]{1,5})", re.ASCII)


def _address(text: str) -> Address | None:
    """The address in a text, without brackets, port and zone id; a mapped IPv4 address as IPv4."""
    bare = text.strip()
    found = _BRACKETED.fullmatch(bare) or _V4_PORT.fullmatch(bare)
    if found and int((found["port"] or ":0").lstrip(":")) > 65_535:
        return None
    address = _parsed((found["address"] if found else bare).partition("%"))
    return getattr(address, "ipv4_mapped", None) or address


def _parsed(parts: tuple[str, str, str]) -> Address | None:
    """An address with an optional zone id, which only IPv6 has and which is not empty."""
    text, percent, zone = parts
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return None
    return None if percent and (address.version == 4 or not zone) else address
