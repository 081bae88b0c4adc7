"""`email_domain`: the domain of an e-mail address."""

from __future__ import annotations

from typing import ClassVar

import pyarrow as pa

from minimize.techniques.addresses import normalize_hostname
from minimize.techniques.base import Context, Family, Residual, Technique, TechniqueResult, apply_per_distinct


class EmailDomain(Technique):
    """The domain of an e-mail address, in lower case.

    Takes text, gives text. Null stays null; a value that is not a plain address with a dotted domain cannot be treated (display
    names, address literals). The residual is coarse, without the mailbox; a domain with one mailbox still names its owner.
    Source: RFC 5321 §4.1.2, RFC 5322 §3.4.1.

    >>> import pyarrow as pa
    >>> from datetime import datetime, UTC
    >>> addresses = pa.array(["John@Contoso.com", "at home"])
    >>> EmailDomain().apply(addresses, Context("f", datetime.now(UTC))).values.to_pylist()
    ['contoso.com', None]
    """

    name: ClassVar[str] = "email_domain"
    takes: ClassVar[tuple[Family, ...]] = ("string",)
    result_type: ClassVar[pa.DataType | None] = pa.string()
    residual: ClassVar[Residual] = "coarse"
    singles_out: ClassVar[bool] = False
    source: ClassVar[str] = "RFC 5321, RFC 5322"
    about: ClassVar[str] = "the domain of an e-mail address, in lower case"

    def phrase(self) -> str:
        """What stays."""
        return "only the part of the address after the @"

    def apply(self, values: pa.Array, context: Context) -> TechniqueResult:
        """The domains."""
        return apply_per_distinct(values, _domain_of_address, pa.string(), context.results_of(self))


def _domain_of_address(address: str) -> str | None:
    mailbox, at, domain = address.strip().rpartition("@")
    if not at or not _is_mailbox(mailbox) or "." not in domain.rstrip("."):
        return None
    return normalize_hostname(domain)


def _is_mailbox(mailbox: str) -> bool:
    """A dot-atom or a quoted string. Other forms cannot be distinguished from free text."""
    if len(mailbox) > 1 and mailbox[0] == mailbox[-1] == '"':
        return True
    return bool(mailbox) and not any(char.isspace() or char in '@<>"(),;:\\[]' for char in mailbox)
