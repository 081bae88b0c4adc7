"""Proposed role and technique for each field: evidence of name and values, the table of rules, reasons in words.

The first rule that applies decides. Neither a value nor a number from the data appears in a proposal.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from minimize.arrow.pointers import STAR, Pointer
from minimize.policy.model import Role
from minimize.policy.roles import certain_role, suggested_role, words_of_name
from minimize.policy.value_kinds import ValueSummary
from minimize.policy.yaml_nodes import key_text

TEXT_TYPES = ("string",)
NUMBER_TYPES = ("integer", "double")
TIME_TYPES = ("timestamp", "date")


@dataclass(frozen=True, slots=True)
class FieldEvidence:
    """One field.

    type  the policy's word
    part  what it is to its record (`tenant`, `subject`, `time`, `record`), by its name; None for nothing
    per   the field of the tenant, where there is another that is it
    """

    pointer: Pointer
    type: str
    summary: ValueSummary = field(default_factory=lambda: ValueSummary(0, 0))
    part: str | None = None
    per: str | None = None
    was_read: bool = False

    @property
    def kind(self) -> str | None:
        """The kind that its values are of."""
        return self.summary.kind

    @property
    def certain_role(self) -> Role | None:
        """The role that its name gives away."""
        return certain_role(self.pointer)

    @property
    def suggested_role(self) -> Role | None:
        """The role that its name suggests."""
        return suggested_role(self.pointer)

    @property
    def is_number(self) -> bool:
        """Whether it holds numbers."""
        return self.type in NUMBER_TYPES or self.type.startswith("decimal")

    @property
    def can_be_keyed(self) -> bool:
        """Whether `pseudonymize` takes it."""
        return self.type in ("string", "integer", "binary")

    def has_words(self, pattern: str) -> bool:
        """Whether these words stand in its name, whole words only.

        >>> FieldEvidence(Pointer.parse("batteryLevel"), "double").has_words("level|pct")
        True
        """
        last = next((str(part) for part in reversed(self.pointer.parts) if part is not STAR), "")
        words = "_".join(words_of_name(last))
        return re.search(rf"(^|_)({pattern})(_|$)", words) is not None


PSEUDONYM_KEY: Final = "pseudonyms"
"""The name of the key that proposals name."""
DROP: Final = "drop"


@dataclass(frozen=True, slots=True)
class ProposalRule:
    """When it applies, what it proposes, and why.

    do  what becomes of the value, as a policy writes it
    """

    applies: Callable[[FieldEvidence], bool]
    role: Role
    do: Callable[[FieldEvidence], str] | str
    because: str


def pseudonymize_text(evidence: FieldEvidence) -> str:
    """A pseudonym, per tenant where there is one; dropped where it cannot be had.

    >>> from minimize.arrow.pointers import Pointer
    >>> pseudonymize_text(FieldEvidence(Pointer.parse("imei"), "string", per="tenant_id"))
    '{pseudonymize: {key: pseudonyms, per: tenant_id}}'
    """
    per = f", per: {evidence.per}" if evidence.per else ""
    return f"{{pseudonymize: {{key: {PSEUDONYM_KEY}{per}}}}}" if evidence.can_be_keyed else DROP


def _is_of_kind(*kinds: str) -> Callable[[FieldEvidence], bool]:
    return lambda seen: seen.kind in kinds


def _is_text_and(applies: Callable[[FieldEvidence], bool]) -> Callable[[FieldEvidence], bool]:
    """The same, of texts alone."""
    return lambda seen: seen.type in TEXT_TYPES and applies(seen)


def _has_words(pattern: str, *types: str) -> Callable[[FieldEvidence], bool]:
    return lambda seen: seen.has_words(pattern) and (not types or seen.type in types)


def _is_tenant(evidence: FieldEvidence) -> bool:
    return evidence.part == "tenant" and evidence.kind in (None, "uuid", "hash", "opaque")


def _is_person(evidence: FieldEvidence) -> bool:
    return evidence.suggested_role == "identifier" and (
        evidence.has_words("name|passport|ssn|plate") or not evidence.can_be_keyed
    )


def _is_prose(evidence: FieldEvidence) -> bool:
    if evidence.suggested_role in ("free_text", "identifier"):
        return evidence.suggested_role == "free_text"
    return evidence.kind is None and (evidence.summary.is_prose or evidence.summary.personal)


def _is_random(evidence: FieldEvidence) -> bool:
    """Values made so that no two things have the same: UUIDs, hashes, random identifiers."""
    return evidence.kind in ("uuid", "hash", "opaque")


def _is_coordinate(evidence: FieldEvidence) -> bool:
    return evidence.type == "double" and evidence.has_words("lat|latitude|lon|lng|long|longitude")


def _is_group(evidence: FieldEvidence) -> bool:
    """Few values, and no name that would make them somebody's."""
    return evidence.summary.is_few and evidence.certain_role is None


def _is_flag(evidence: FieldEvidence) -> bool:
    return evidence.type == "boolean" and evidence.certain_role is None


_BIRTH: Final = "birth|dob|birthday|birthdate"
_RULES_BY_NAME: Final = (
    ProposalRule(lambda seen: seen.was_read and seen.summary.is_empty, "plain", DROP, "no value was found"),
    ProposalRule(lambda seen: seen.suggested_role == "secret", "secret", DROP, "a secret is never kept"),
    ProposalRule(
        lambda seen: seen.type in ("list", "map"), "plain", "size", "how many there are is enough for most purposes"
    ),
    ProposalRule(
        lambda seen: seen.type in ("struct", "binary") and seen.kind is None,
        "plain",
        DROP,
        "nobody can say what is in it",
    ),
    ProposalRule(_is_of_kind("card", "iban"), "identifier", DROP, "payment data"),
    ProposalRule(_is_tenant, "plain", "keep", "whose settings count"),
    ProposalRule(
        lambda seen: seen.part == "record", "identifier", DROP, "it points at one record and says nothing else"
    ),
)
_RULES_BY_KIND: Final = (
    ProposalRule(_is_of_kind("token"), "secret", DROP, "it signs its holder in or opens a service"),
    ProposalRule(
        _is_text_and(_is_of_kind("email", "phone", "mac")),
        "identifier",
        pseudonymize_text,
        "it names a person or a device",
    ),
    ProposalRule(_is_of_kind("imei"), "identifier", pseudonymize_text, "it names a device"),
    ProposalRule(lambda seen: seen.part == "subject", "identifier", pseudonymize_text, "whom the record is about"),
    ProposalRule(
        _is_text_and(lambda seen: seen.kind == "ip" and not seen.has_words("version")),
        "quasi",
        "{truncate_ip: {v4: 24, v6: 48}}",
        "its network is enough to group by",
    ),
    ProposalRule(
        _is_text_and(_is_of_kind("url")),
        "sensitive",
        DROP,
        "paths and queries can hold anything; `keep_host` keeps the host",
    ),
    ProposalRule(
        _is_text_and(_is_of_kind("position")), "quasi", DROP, "a place as text; as two numbers it could be rounded"
    ),
    ProposalRule(_is_coordinate, "quasi", "{round: {to: 0.1}}", "a tenth of a degree is about 11 km"),
    ProposalRule(
        _has_words(_BIRTH, *TIME_TYPES), "quasi", "{truncate_time: {to: year}}", "the year is as much as an age needs"
    ),
    ProposalRule(
        lambda seen: seen.type == "timestamp", "quasi", "{truncate_time: {to: hour}}", "exact times link records"
    ),
    ProposalRule(lambda seen: seen.type == "date", "quasi", "{truncate_time: {to: month}}", "exact days link records"),
    ProposalRule(
        _is_text_and(_is_of_kind("time")), "quasi", DROP, "a time as text; as `type: timestamp` it could be truncated"
    ),
    ProposalRule(
        _is_text_and(lambda seen: seen.kind in ("version", "ip") or (seen.kind is None and seen.has_words("version"))),
        "quasi",
        "{truncate_version: {parts: 2}}",
        "the rest tells devices apart",
    ),
    ProposalRule(
        _is_text_and(lambda seen: seen.kind == "postal_code" and seen.certain_role == "quasi"),
        "quasi",
        "{mask: {keep_first: 2}}",
        "its beginning is a region",
    ),
    ProposalRule(_is_of_kind("path"), "free_text", DROP, "paths hold the names of people"),
    ProposalRule(
        _is_text_and(_is_prose), "free_text", DROP, "free text can hold anything; `redact` and `presence` leave less"
    ),
    ProposalRule(
        _is_text_and(_is_person),
        "identifier",
        DROP,
        "it names a person or a device, and a pseudonym of it links no better",
    ),
    ProposalRule(
        lambda seen: _is_random(seen) and seen.summary.is_unique, "identifier", DROP, "it points at one record"
    ),
    ProposalRule(_is_random, "identifier", pseudonymize_text, "it names something that comes again"),
    ProposalRule(
        lambda seen: seen.suggested_role == "identifier",
        "identifier",
        pseudonymize_text,
        "it names a person or a device",
    ),
)
_RULES_BY_COUNT: Final = (
    ProposalRule(_is_flag, "plain", "keep", "yes or no"),
    ProposalRule(_is_text_and(lambda seen: seen.summary.is_unique), "identifier", DROP, "it points at one record"),
    ProposalRule(
        lambda seen: seen.type == "double" and seen.has_words("pct|percent|percentage"),
        "plain",
        "{bin: {width: 10}}",
        "tenths are enough",
    ),
    ProposalRule(
        lambda seen: seen.is_number and seen.has_words("bytes"),
        "plain",
        "{bin: {edges: [1e9, 4e9, 16e9, 64e9, 256e9]}}",
        "exact sizes tell devices apart",
    ),
    ProposalRule(
        lambda seen: _is_group(seen) and seen.suggested_role == "quasi" and not seen.is_number,
        "quasi",
        "keep",
        "each of its values is shared by many records",
    ),
    ProposalRule(
        lambda seen: _is_group(seen) and seen.type in ("string", "integer"),
        "plain",
        "keep",
        "it sorts records into groups",
    ),
    ProposalRule(lambda seen: seen.certain_role == "quasi", "quasi", DROP, "it helps to tell who somebody is"),
    ProposalRule(lambda seen: seen.is_number, "plain", DROP, "say how coarse it may be: `bin`, `round` or `clip`"),
    ProposalRule(lambda seen: seen.summary.is_thin, "plain", DROP, "nothing tells what it is"),
    ProposalRule(lambda _: True, "quasi", DROP, "many values: `top` keeps the frequent ones, once `subject` is named"),
)
PROPOSAL_RULES: Final[tuple[ProposalRule, ...]] = (*_RULES_BY_NAME, *_RULES_BY_KIND, *_RULES_BY_COUNT)
"""In order: what the name says, what the values are, how many there are."""


_WIDE: Final = 110
KIND_NAMES: Final[Mapping[str, str]] = {
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


def propose_treatments(
    leaves: Mapping[Pointer, str],
    summaries: Mapping[Pointer, ValueSummary],
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
        look = summaries.get(pointer)
        read = types.get(pointer, type_)
        seen = FieldEvidence(pointer, read, look or ValueSummary(0), words.get(pointer), per, look is not None)
        found[pointer] = replace(propose_for_field(seen), type=None if read == type_ else read)
    return found


def infer_types(
    leaves: Mapping[Pointer, str], summaries: Mapping[Pointer, ValueSummary], kind: str
) -> dict[Pointer, str]:
    """The types that the values of fields read as, as far as a source of this format reads text as such.

    CSV holds nothing but text. In NDJSON a time is a text, and a number or boolean as text is none; Parquet has types.
    """
    readable = {"csv": ("boolean", "integer", "double", "date", "timestamp"), "ndjson": ("date", "timestamp")}
    found = dict(leaves)
    for pointer, look in summaries.items():
        reads = [word for word in look.reads if word in readable.get(kind, ())]
        if leaves[pointer] == "string" and reads and look.kind not in ("imei", "card", "phone", "postal_code"):
            found[pointer] = reads[0]
    return found


def propose_for_field(evidence: FieldEvidence) -> Proposal:
    """The proposal of the first rule that applies."""
    rule = next(rule for rule in PROPOSAL_RULES if rule.applies(evidence))
    do = rule.do if isinstance(rule.do, str) else rule.do(evidence)
    reasons = (rule.because, *_reasons_by_name(evidence), *_reasons_by_values(evidence))
    return Proposal(rule.role, do, reasons)


def _reasons_by_name(evidence: FieldEvidence) -> tuple[str, ...]:
    if evidence.part is not None:
        return (f"by its name the {evidence.part}",)
    return () if evidence.suggested_role is None else (f"its name suggests `{evidence.suggested_role}`",)


def _reasons_by_values(evidence: FieldEvidence) -> tuple[str, ...]:
    look, said = evidence.summary, []
    if not evidence.was_read or look.is_empty:
        return ()
    if look.kind is not None:
        said.append(f"{_share_text(look.kinds[look.kind])} look like {KIND_NAMES[look.kind]}")
    if look.personal and look.kind is None:
        said.append("something personal stands within some")
    if look.is_unique:
        said.append("nearly every value is another")
    if look.is_few:
        said.append("few different values")
    if look.nulls > look.values:
        said.append("mostly null")
    return tuple(said)


def _share_text(share: float) -> str:
    return "all values" if share == 1.0 else "most values"
