"""`keep_host`: the host of a URL."""

from __future__ import annotations

import ipaddress
import re
from typing import ClassVar

import pyarrow as pa

from minimize.techniques.addresses import normalize_hostname
from minimize.techniques.base import Context, Family, Residual, Technique, TechniqueResult, apply_per_distinct


class KeepHost(Technique):
    """The host of a URL, in lower case, without user, port, path, query and fragment.

    Takes text, gives text. Null stays null. A value without `//` and a valid host cannot be treated: a bare word is never
    returned as a host. An IPv6 host loses its brackets. The residual is guessable: a host can be a person's own
    device.
    Source: RFC 3986 §3.2.2.

    >>> import pyarrow as pa
    >>> from datetime import datetime, UTC
    >>> urls = pa.array(["https://ann:pw@Mail.Example.com:8443/inbox?id=7", "Ann"])
    >>> KeepHost().apply(urls, Context("f", datetime.now(UTC))).values.to_pylist()
    ['mail.example.com', None]
    """

    name: ClassVar[str] = "keep_host"
    takes: ClassVar[tuple[Family, ...]] = ("string",)
    result_type: ClassVar[pa.DataType | None] = pa.string()
    residual: ClassVar[Residual] = "guessable"
    source: ClassVar[str] = "RFC 3986"
    about: ClassVar[str] = "the host of a URL, without user, port and path"

    def phrase(self) -> str:
        """What stays."""
        return "only the name of the site in the address"

    def apply(self, values: pa.Array, context: Context) -> TechniqueResult:
        """The hosts."""
        return apply_per_distinct(values, _host_of_url, pa.string(), context.results_of(self))


_AUTHORITY = re.compile(r"\s*(?:[A-Za-z][A-Za-z0-9+.-]*:)?//(?P<authority>[^/?#\\\s]+)(?=[/?#\\]|\s*$)")
_HOST_PORT = re.compile(r"(?:\[(?P<literal>[^\[\]]*)\]|(?P<name>[^:\[\]]+))(?::[0-9]*)?")


def _host_of_url(url: str) -> str | None:
    match = _AUTHORITY.match(url)
    host = _HOST_PORT.fullmatch(match["authority"].rpartition("@")[2]) if match else None
    if host is None:
        return None
    return normalize_hostname(host["name"]) if host["name"] else _ipv6_literal(host["literal"])


def _ipv6_literal(literal: str) -> str | None:
    try:
        return str(ipaddress.IPv6Address(literal.partition("%")[0]))
    except ValueError:
        return None
