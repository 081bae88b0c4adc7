"""What is proposed for each field: a role, a technique, and the reasons, in words that hold no value and no figure of it."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

from minimize.drafting.look import Look
from minimize.drafting.rules import RULES
from minimize.drafting.seen import Seen
from minimize.pointer import Pointer
from minimize.policy.init import key_text

_WIDE: Final = 110
SHOWN: Final[Mapping[str, str]] = {
    "email": "e-mail addresses",
    "uuid": "UUIDs",
    "hash": "hashes",
    "mac": "MAC addresses",
    "ip": "IP addresses",
    "url": "URLs",
    "iban": "IBANs",
    "imei": "IMEIs",
    "card": "card numbers",
    "position": "positions",
    "time": "times",
    "version": "version numbers",
    "phone": "phone numbers",
    "postal_code": "postal codes",
    "path": "paths",
    "token": "tokens",
    "opaque": "random identifiers",
}
"""The kinds of values, in words."""


@dataclass(frozen=True, slots=True)
class Proposal:
    """What could become of a field, as a policy writes it, and why.

    type  another type than the one that was found, where its values read as that; else None
    """

    role: str
    do: str
    reasons: tuple[str, ...]
    type: str | None = None

    @property
    def text(self) -> str:
        """The proposal as a mapping on one line."""
        typed = f"type: {self.type}, " if self.type else ""
        return f"{{{typed}role: {self.role}, do: {self.do}}}"

    @property
    def lines(self) -> tuple[str, ...]:
        """The remarks above the field's line."""
        because = textwrap.wrap(f"because: {'; '.join(self.reasons)}", _WIDE, subsequent_indent="  ")
        return f"proposed: {self.text}", *because


def propose(
    leaves: Mapping[Pointer, str],
    looks: Mapping[Pointer, Look],
    parts: Mapping[str, Pointer],
    types: Mapping[Pointer, str],
) -> dict[Pointer, Proposal]:
    """A proposal for each field.

    Takes the types of the fields, what their values look like (nothing for those that were not looked at), which field is
    what to its record, by its name (`tenant`, `subject`, `time`, `record`), and the types that their values read as.
    """
    words = {pointer: word for word, pointer in parts.items()}
    tenant = parts.get("tenant")
    found: dict[Pointer, Proposal] = {}
    for pointer, type_ in leaves.items():
        per = None if tenant in (None, pointer) else key_text(tenant)
        look = looks.get(pointer)
        read = types.get(pointer, type_)
        seen = Seen(pointer, read, look or Look(0), words.get(pointer), per, look is not None)
        found[pointer] = replace(proposal(seen), type=None if read == type_ else read)
    return found


def read_as(leaves: Mapping[Pointer, str], looks: Mapping[Pointer, Look], kind: str) -> dict[Pointer, str]:
    """The types that the values of fields read as, as far as a source of this format reads text as such.

    CSV holds nothing but text. In NDJSON a time is a text, and a number or boolean as text is none; Parquet has types.
    """
    readable = {"csv": ("boolean", "integer", "double", "date", "timestamp"), "ndjson": ("date", "timestamp")}
    found = dict(leaves)
    for pointer, look in looks.items():
        reads = [word for word in look.reads if word in readable.get(kind, ())]
        if leaves[pointer] == "string" and reads and look.kind not in ("imei", "card", "phone", "postal_code"):
            found[pointer] = reads[0]
    return found


def proposal(seen: Seen) -> Proposal:
    """The proposal of the first rule that applies."""
    rule = next(rule for rule in RULES if rule.applies(seen))
    do = rule.do if isinstance(rule.do, str) else rule.do(seen)
    reasons = (rule.because, *_of_name(seen), *_of_values(seen))
    return Proposal(rule.role, do, reasons)


def _of_name(seen: Seen) -> tuple[str, ...]:
    if seen.part is not None:
        return (f"by its name the {seen.part}",)
    return () if seen.guess is None else (f"its name suggests `{seen.guess}`",)


def _of_values(seen: Seen) -> tuple[str, ...]:
    look, said = seen.look, []
    if not seen.looked or look.is_empty:
        return ()
    if look.kind is not None:
        said.append(f"{_most(look.kinds[look.kind])} look like {SHOWN[look.kind]}")
    if look.personal and look.kind is None:
        said.append("something personal stands within some")
    if look.is_unique:
        said.append("nearly every value is another")
    if look.is_few:
        said.append("few different values")
    if look.nulls > look.values:
        said.append("mostly null")
    return tuple(said)


def _most(share: float) -> str:
    return "all values" if share == 1.0 else "most values"
