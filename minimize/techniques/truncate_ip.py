"""`truncate_ip`: the network part of an address."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping, Sequence
from typing import Annotated, ClassVar, Literal, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import ConfigDict, Field, model_validator

from minimize.arrow.dictionaries import as_takeable, decode_dictionary, distinct_values
from minimize.techniques.addresses import are_written_out, format_ipv4, leading_groups, parse_ipv4
from minimize.techniques.base import (
    FEW_ROWS,
    Context,
    Family,
    Residual,
    Technique,
    TechniqueResult,
    TechniqueStep,
    apply_per_distinct,
    failure_mask,
)
from minimize.techniques.cache import MIN_CACHED_ROWS
from minimize.techniques.chosen_level import AUTO, ChosenLevel
from minimize.techniques.parameters import LOWER_TIGHTENS, NEUTRAL, UNORDERED

IpAddress = ipaddress.IPv4Address | ipaddress.IPv6Address


class ChosenIpNetwork(ChosenLevel):
    """The network part of an address, at a level that a search chooses: /24, /16 or /8 of IPv4, /48, /32 or /16 of IPv6."""

    name: ClassVar[str] = "truncate_ip"
    takes: ClassVar[tuple[Family, ...]] = ("string",)
    result_type: ClassVar[pa.DataType | None] = pa.string()
    residual: ClassVar[Residual] = "coarse"
    singles_out: ClassVar[bool] = False
    source: ClassVar[str] = "RFC 4632, RFC 5952"
    about: ClassVar[str] = "the network part of an IP address, as coarse as a bound on disclosure risk needs it"

    v4: Annotated[Literal["auto"] | int, UNORDERED] = "auto"
    v6: Annotated[Literal["auto"] | int, UNORDERED] = "auto"

    @model_validator(mode="after")
    def _valid_bits(self) -> Self:
        _ = self.finest
        return self

    def levels(self) -> Sequence[Technique]:
        """A network at each level. A number of bits that is set stays the same."""
        return [
            TruncateIp(v4=v4 if self.v4 == AUTO else self.v4, v6=v6 if self.v6 == AUTO else self.v6)
            for v4, v6 in ((24, 48), (16, 32), (8, 16))
        ]


class TruncateIp(Technique):
    """The network part of an IPv4 or IPv6 address, the rest zero.

    Takes text, gives text: the address, or with `as: network` the network in CIDR notation. An IPv4 address mapped into IPv6
    counts as IPv4, and one inside a 6to4 address loses its host bits too. Brackets, port and zone id are removed. IPv6
    is written in the form of RFC 5952. Null stays null; other texts cannot be treated. The residual is coarse: the network, which
    can still belong to one household; /64 nearly always does.
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
    result_type: ClassVar[pa.DataType | None] = pa.string()
    residual: ClassVar[Residual] = "coarse"
    singles_out: ClassVar[bool] = False
    source: ClassVar[str] = "RFC 4632, RFC 5952"
    about: ClassVar[str] = "the network part of an IP address"
    coarsens_itself: ClassVar[bool] = True
    chosen_form: ClassVar[type[TechniqueStep] | None] = ChosenIpNetwork
    proposed_for: ClassVar[Mapping[str, str]] = {"ip": "{v4: 24, v6: 48}"}

    v4: Annotated[int, LOWER_TIGHTENS] = Field(24, ge=0, lt=32)
    v6: Annotated[int, LOWER_TIGHTENS] = Field(48, ge=0, lt=128)
    as_: Annotated[Literal["address", "network"], NEUTRAL] = Field("address", alias="as")

    def phrase(self) -> str:
        """The bits that stay."""
        return f"only the network: the first {self.v4} of 32 bits (IPv4) or {self.v6} of 128 bits (IPv6) of the address"

    def apply(self, values: pa.Array, context: Context) -> TechniqueResult:
        """The networks: plain IPv4 and IPv6 by their leading part, other texts one by one."""
        networks = self.apply_column(values, context)
        return TechniqueResult(decode_dictionary(networks.values), networks.untreated)

    def apply_column(self, values: pa.Array, context: Context) -> TechniqueResult:
        """The networks, dictionary-encoded, because there are few."""
        if len(values) <= FEW_ROWS:
            return apply_per_distinct(values, self._truncated, pa.string(), context.results_of(self))
        texts = as_takeable(values).cast(pa.string())
        cached = None
        if context.cache is not None and len(texts) >= MIN_CACHED_ROWS:
            results = context.cache.results_of(self)
            cached = results.column(texts, lambda new: decode_dictionary(self._column(new).values))
        if cached is None:
            return self._column(texts)
        return TechniqueResult(cached.values, failure_mask(cached.failed), cached.changed)

    def _column(self, texts: pa.StringArray) -> TechniqueResult:
        """Computes the networks of any texts."""
        numbers, plain = parse_ipv4(texts)
        kept = numbers & self._mask
        changed = int(np.count_nonzero((kept != numbers) & plain if self.as_ == "address" else plain))
        networks = pa.array(kept, mask=~plain).dictionary_encode()
        words = self._suffixed(format_ipv4(networks.dictionary.to_numpy().astype(np.uint32)))
        if plain.all():
            return TechniqueResult(pa.DictionaryArray.from_arrays(networks.indices, words), changed=changed)
        others = self._truncate_others(texts.filter(pa.array(~plain)))
        codes = np.full(len(texts), -1)
        codes[plain] = networks.indices.filter(pa.array(plain)).to_numpy()
        codes[~plain] = pc.fill_null(pc.add(others.values.indices, len(words)), -1).to_numpy()
        lost = np.zeros(len(texts), np.bool_)
        lost[~plain] = False if others.untreated is None else others.untreated.to_numpy(zero_copy_only=False)
        encoded = pa.array(codes, pa.int32(), mask=codes < 0)
        both = pa.concat_arrays([words, others.values.dictionary])
        return TechniqueResult(
            pa.DictionaryArray.from_arrays(encoded, both), failure_mask(lost), changed + (others.changed or 0)
        )

    def _truncate_others(self, texts: pa.StringArray) -> TechniqueResult:
        """All texts except plain IPv4, by distinct text, dictionary-encoded."""
        distinct = distinct_values(texts)
        results = self._texts(distinct.values)
        merged = results.dictionary_encode()
        failed = pc.and_(results.is_null(), distinct.values.is_valid())
        changed = pc.fill_null(pc.not_equal(results, distinct.values), False).take(distinct.codes).true_count
        untreated = pc.fill_null(failed.take(distinct.codes), False) if failed.true_count else None
        values = pa.DictionaryArray.from_arrays(merged.indices.take(distinct.codes), merged.dictionary)
        return TechniqueResult(values, untreated, changed)

    def _texts(self, texts: pa.StringArray) -> pa.StringArray:
        """Plain IPv6 by the leading groups of the network, of which there are few; other texts one by one."""
        groups = -(-self.v6 // 16)
        if not 0 < groups < 8:
            return apply_per_distinct(texts, self._truncated, pa.string()).values
        starts = leading_groups(texts, groups)
        plain = starts.is_valid()
        few = self._networks(starts.filter(plain), groups)
        truncated = apply_per_distinct(texts.filter(pc.invert(plain)), self._truncated, pa.string()).values
        return pc.replace_with_mask(pc.replace_with_mask(texts, plain, few), pc.invert(plain), truncated)

    def _networks(self, starts: pa.StringArray, groups: int) -> pa.StringArray:
        """The networks of addresses with these leading groups. Nothing is left to do for whole groups in canonical form."""
        if self.v6 % 16 or groups > 6:
            return apply_per_distinct(starts, lambda start: self._truncated(f"{start}::"), pa.string()).values
        ready = are_written_out(starts)
        suffix = f"::/{self.v6}" if self.as_ == "network" else "::"
        truncated = apply_per_distinct(
            starts.filter(pc.invert(ready)), lambda start: self._truncated(f"{start}::"), pa.string()
        )
        return pc.replace_with_mask(pc.binary_join_element_wise(starts, suffix, ""), pc.invert(ready), truncated.values)

    @property
    def _mask(self) -> np.uint32:
        return np.uint32((2**32 - 1) >> (32 - self.v4) << (32 - self.v4))

    def _suffixed(self, networks: pa.StringArray) -> pa.StringArray:
        return pc.binary_join_element_wise(networks, f"/{self.v4}", "") if self.as_ == "network" else networks

    def _truncated(self, text: str) -> str | None:
        address = _parse_address(text)
        if address is None:
            return None
        bits = self.v4 if address.version == 4 else self.v6
        shift = address.max_prefixlen - min(bits, self._carried(address))
        network = type(address)(int(address) >> shift << shift)
        return f"{network}/{bits}" if self.as_ == "network" else str(network)

    def _carried(self, address: IpAddress) -> int:
        """The bits to keep, so that no more than `v4` bits of an IPv4 address remain: 6to4 contains one after its first 16
        bits."""
        return 16 + self.v4 if getattr(address, "sixtofour", None) else address.max_prefixlen


"""Groups as RFC 5952 writes them, none of them zero."""
_BRACKETED = re.compile(r"\[(?P<address>[^\[\]]*)\](?P<port>:[0-9]{1,5})?", re.ASCII)
_V4_PORT = re.compile(r"(?P<address>[0-9.]+):(?P<port>[0-9]{1,5})", re.ASCII)


def _parse_address(text: str) -> IpAddress | None:
    """The address in a text, without brackets, port and zone id; a mapped IPv4 address as IPv4."""
    bare = text.strip()
    match = _BRACKETED.fullmatch(bare) or _V4_PORT.fullmatch(bare)
    if match and int((match["port"] or ":0").lstrip(":")) > 65_535:
        return None
    address = _parse_bare_address((match["address"] if match else bare).partition("%"))
    return getattr(address, "ipv4_mapped", None) or address


def _parse_bare_address(parts: tuple[str, str, str]) -> IpAddress | None:
    """An address with an optional zone id, which only IPv6 has and which must not be empty."""
    text, percent, zone = parts
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return None
    return None if percent and (address.version == 4 or not zone) else address
