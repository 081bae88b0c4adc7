"""Proposed role and technique for each field: evidence of name and values, the table of rules, reasons in words.

The first rule that applies decides. Neither a value nor a number from the data appears in a proposal.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from minimize.arrow.pointers import STAR, Pointer
from minimize.drafting.values import ValueSummary
from minimize.forms.yaml_nodes import key_text
from minimize.policy.model import Role
from minimize.policy.roles import certain_role, suggested_role, words_of_name
from minimize.techniques import TECHNIQUES, TechniqueStep

TEXT_TYPES = ("string",)
NUMBER_TYPES = ("integer", "double")
TIME_TYPES = ("timestamp", "date")


@dataclass(frozen=True, slots=True)
class FieldEvidence:
    """Evidence about one field: name, type, summary of its values."""

    pointer: Pointer
    type: str
    """The policy's word."""
    summary: ValueSummary = field(default_factory=lambda: ValueSummary(0, 0))
    part: str | None = None
    """`tenant`, `subject`, `time` or `record` if its name suggests it; else None."""
    per: str | None = None
    """The field of the tenant, if it is another field."""
    was_read: bool = False

    @property
    def kind(self) -> str | None:
        """The kind of its values."""
        return self.summary.kind

    @property
    def certain_role(self) -> Role | None:
        """The role that is certain by its name."""
        return certain_role(self.pointer)

    @property
    def suggested_role(self) -> Role | None:
        """The role that its name suggests."""
        return suggested_role(self.pointer)

    @property
    def is_number(self) -> bool:
        """Whether the field contains numbers."""
        return self.type in NUMBER_TYPES or self.type.startswith("decimal")

    @property
    def can_be_keyed(self) -> bool:
        """Whether the technique for identifiers accepts its type."""
        return self.type in technique_for("identifier").takes

    def has_words(self, pattern: str) -> bool:
        """Whether its name contains one of these words, as a whole word.

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
    """A rule: when it applies, the role and treatment that it proposes, and the reason."""

    applies: Callable[[FieldEvidence], bool]
    role: Role
    do: str
    """The kind of field whose proposed technique it is, or `drop`."""
    because: str


def technique_for(kind: str) -> type[TechniqueStep]:
    """The technique that states that it is proposed for a kind of field."""
    return next(technique for technique in TECHNIQUES.values() if kind in technique.proposed_for)


def treatment_for(kind: str, evidence: FieldEvidence) -> str:
    """The proposed treatment for a kind of field, in the notation of policies; `drop` if the technique does not take its type.

    A keyed technique gets the key of proposals, and works per tenant if there is a tenant field.

    >>> from minimize.arrow.pointers import Pointer
    >>> treatment_for("identifier", FieldEvidence(Pointer.parse("imei"), "string", per="tenant_id"))
    '{pseudonymize: {key: pseudonyms, per: tenant_id}}'
    """
    if kind == DROP:
        return DROP
    technique = technique_for(kind)
    if technique.is_keyed():
        per = f", per: {evidence.per}" if evidence.per else ""
        return f"{{{technique.name}: {{key: {PSEUDONYM_KEY}{per}}}}}" if evidence.type in technique.takes else DROP
    parameters = technique.proposed_for[kind]
    return f"{{{technique.name}: {parameters}}}" if parameters else technique.name


def _is_of_kind(*kinds: str) -> Callable[[FieldEvidence], bool]:
    return lambda evidence: evidence.kind in kinds


def _is_text_and(applies: Callable[[FieldEvidence], bool]) -> Callable[[FieldEvidence], bool]:
    """The condition, only for texts."""
    return lambda evidence: evidence.type in TEXT_TYPES and applies(evidence)


def _has_words(pattern: str, *types: str) -> Callable[[FieldEvidence], bool]:
    return lambda evidence: evidence.has_words(pattern) and (not types or evidence.type in types)


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
    """Whether the values are unique by construction: UUIDs, hashes, random identifiers."""
    return evidence.kind in ("uuid", "hash", "opaque")


def _is_coordinate(evidence: FieldEvidence) -> bool:
    return evidence.type == "double" and evidence.has_words("lat|latitude|lon|lng|long|longitude")


def _is_group(evidence: FieldEvidence) -> bool:
    """Whether the field has few values, and a name that does not suggest personal data."""
    return evidence.summary.is_few and evidence.certain_role is None


def _is_flag(evidence: FieldEvidence) -> bool:
    return evidence.type == "boolean" and evidence.certain_role is None


_BIRTH: Final = "birth|dob|birthday|birthdate"
_RULES_BY_NAME: Final = (
    ProposalRule(lambda evidence: evidence.was_read and evidence.summary.is_empty, "plain", DROP, "no value was found"),
    ProposalRule(lambda evidence: evidence.suggested_role == "secret", "secret", DROP, "a secret is never kept"),
    ProposalRule(
        lambda evidence: evidence.type in ("list", "map"),
        "plain",
        "container",
        "the number of items is enough for most purposes",
    ),
    ProposalRule(
        lambda evidence: evidence.type in ("struct", "binary") and evidence.kind is None,
        "plain",
        DROP,
        "its content is unknown",
    ),
    ProposalRule(_is_of_kind("card", "iban"), "identifier", DROP, "payment data"),
    ProposalRule(_is_tenant, "plain", "tenant", "it selects the settings that apply"),
    ProposalRule(
        lambda evidence: evidence.part == "record",
        "identifier",
        DROP,
        "it identifies one record and has no other meaning",
    ),
)
_RULES_BY_KIND: Final = (
    ProposalRule(_is_of_kind("token"), "secret", DROP, "it gives access to an account or a service"),
    ProposalRule(
        _is_text_and(_is_of_kind("email", "phone", "mac")),
        "identifier",
        "identifier",
        "it identifies a person or a device",
    ),
    ProposalRule(_is_of_kind("imei"), "identifier", "identifier", "it identifies a device"),
    ProposalRule(
        lambda evidence: evidence.part == "subject",
        "identifier",
        "identifier",
        "it identifies the subject of the record",
    ),
    ProposalRule(
        _is_text_and(lambda evidence: evidence.kind == "ip" and not evidence.has_words("version")),
        "quasi",
        "ip",
        "the network is enough for grouping",
    ),
    ProposalRule(
        _is_text_and(_is_of_kind("url")),
        "sensitive",
        DROP,
        "paths and queries can contain anything; `keep_host` keeps the host",
    ),
    ProposalRule(
        _is_text_and(_is_of_kind("position")), "quasi", DROP, "a position as text; as two numbers it could be rounded"
    ),
    ProposalRule(_is_coordinate, "quasi", "coordinate", "a tenth of a degree is about 11 km"),
    ProposalRule(_has_words(_BIRTH, *TIME_TYPES), "quasi", "birth", "the year is enough for an age"),
    ProposalRule(lambda evidence: evidence.type == "timestamp", "quasi", "timestamp", "exact times link records"),
    ProposalRule(lambda evidence: evidence.type == "date", "quasi", "date", "exact days link records"),
    ProposalRule(
        _is_text_and(_is_of_kind("time")), "quasi", DROP, "a time as text; as `type: timestamp` it could be truncated"
    ),
    ProposalRule(
        _is_text_and(
            lambda evidence: (
                evidence.kind in ("version", "ip") or (evidence.kind is None and evidence.has_words("version"))
            )
        ),
        "quasi",
        "version",
        "the other parts distinguish devices",
    ),
    ProposalRule(
        _is_text_and(lambda evidence: evidence.kind == "postal_code" and evidence.certain_role == "quasi"),
        "quasi",
        "postal_code",
        "its first characters are a region",
    ),
    ProposalRule(_is_of_kind("path"), "free_text", DROP, "paths contain names of people"),
    ProposalRule(
        _is_text_and(_is_prose), "free_text", DROP, "free text can contain anything; `redact` and `presence` reduce it"
    ),
    ProposalRule(
        _is_text_and(_is_person),
        "identifier",
        DROP,
        "it identifies a person or a device, and a pseudonym of it would not be useful for joins",
    ),
    ProposalRule(
        lambda evidence: _is_random(evidence) and evidence.summary.is_unique,
        "identifier",
        DROP,
        "it identifies one record",
    ),
    ProposalRule(_is_random, "identifier", "identifier", "it identifies something that occurs repeatedly"),
    ProposalRule(
        lambda evidence: evidence.suggested_role == "identifier",
        "identifier",
        "identifier",
        "it identifies a person or a device",
    ),
)
_RULES_BY_COUNT: Final = (
    ProposalRule(_is_flag, "plain", "flag", "it has only two values"),
    ProposalRule(
        _is_text_and(lambda evidence: evidence.summary.is_unique), "identifier", DROP, "it identifies one record"
    ),
    ProposalRule(
        lambda evidence: evidence.type == "double" and evidence.has_words("pct|percent|percentage"),
        "plain",
        "percentage",
        "tenths are enough",
    ),
    ProposalRule(
        lambda evidence: evidence.is_number and evidence.has_words("bytes"),
        "plain",
        "bytes",
        "exact sizes distinguish devices",
    ),
    ProposalRule(
        lambda evidence: _is_group(evidence) and evidence.suggested_role == "quasi" and not evidence.is_number,
        "quasi",
        "group",
        "each of its values is shared by many records",
    ),
    ProposalRule(
        lambda evidence: _is_group(evidence) and evidence.type in ("string", "integer"),
        "plain",
        "group",
        "it sorts records into groups",
    ),
    ProposalRule(lambda evidence: evidence.certain_role == "quasi", "quasi", DROP, "it helps to identify a person"),
    ProposalRule(
        lambda evidence: evidence.is_number, "plain", DROP, "choose how coarse it may be: `bin`, `round` or `clip`"
    ),
    ProposalRule(lambda evidence: evidence.summary.is_thin, "plain", DROP, "there are too few values to judge"),
    ProposalRule(
        lambda _: True, "quasi", DROP, "many values: `top` keeps the frequent ones if the policy names `subject`"
    ),
)
PROPOSAL_RULES: Final[tuple[ProposalRule, ...]] = (*_RULES_BY_NAME, *_RULES_BY_KIND, *_RULES_BY_COUNT)
"""The rules in order: by name, by kind of values, by number of values."""


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
    """A proposed role and treatment of a field, in the notation of policies, with reasons."""

    role: str
    do: str
    reasons: tuple[str, ...]
    type: str | None = None
    """A narrower type than that of the data, if the values can be read as it; else None."""

    @property
    def entries(self) -> dict[str, str]:
        """What it would write about the field, in the notation of policies."""
        typed = {"type": self.type} if self.type else {}
        return {**typed, "role": self.role, "do": self.do}

    @property
    def remarks(self) -> list[str]:
        """The reasons, in lines."""
        return textwrap.wrap(f"because: {'; '.join(self.reasons)}", _WIDE, subsequent_indent="  ")


def propose_treatments(
    leaves: Mapping[Pointer, str],
    summaries: Mapping[Pointer, ValueSummary],
    parts: Mapping[str, Pointer],
    types: Mapping[Pointer, str],
) -> dict[Pointer, Proposal]:
    """A proposal for each field.

    leaves     the types of the fields
    summaries  the summaries of their values, if they were read
    parts      the fields that are `tenant`, `subject`, `time` and `record` by their names
    types      the types that their values can be read as
    """
    words = {pointer: word for word, pointer in parts.items()}
    tenant = parts.get("tenant")
    proposal_by_pointer: dict[Pointer, Proposal] = {}
    for pointer, type_ in leaves.items():
        per = None if tenant in (None, pointer) else key_text(tenant)
        look = summaries.get(pointer)
        read = types.get(pointer, type_)
        evidence = FieldEvidence(
            pointer=pointer,
            type=read,
            summary=look or ValueSummary(0),
            part=words.get(pointer),
            per=per,
            was_read=look is not None,
        )
        proposal_by_pointer[pointer] = replace(propose_for_field(evidence), type=None if read == type_ else read)
    return proposal_by_pointer


def infer_types(
    leaves: Mapping[Pointer, str], summaries: Mapping[Pointer, ValueSummary], text_types: Collection[str]
) -> dict[Pointer, str]:
    """The types that the values of fields can be read as. Takes the types that sources of the format read from text."""
    type_by_pointer = dict(leaves)
    for pointer, look in summaries.items():
        reads = [word for word in look.reads if word in text_types]
        if leaves[pointer] == "string" and reads and look.kind not in ("imei", "card", "phone", "postal_code"):
            type_by_pointer[pointer] = reads[0]
    return type_by_pointer


def propose_for_field(evidence: FieldEvidence) -> Proposal:
    """The proposal of the first rule that applies."""
    rule = next(rule for rule in PROPOSAL_RULES if rule.applies(evidence))
    do = treatment_for(rule.do, evidence)
    reasons = (rule.because, *_reasons_by_name(evidence), *_reasons_by_values(evidence))
    return Proposal(rule.role, do, reasons)


def _reasons_by_name(evidence: FieldEvidence) -> tuple[str, ...]:
    if evidence.part is not None:
        return (f"its name suggests the {evidence.part}",)
    return () if evidence.suggested_role is None else (f"its name suggests `{evidence.suggested_role}`",)


def _reasons_by_values(evidence: FieldEvidence) -> tuple[str, ...]:
    look, reasons = evidence.summary, []
    if not evidence.was_read or look.is_empty:
        return ()
    if look.kind is not None:
        reasons.append(f"{_share_text(look.kinds[look.kind])} look like {KIND_NAMES[look.kind]}")
    if look.personal and look.kind is None:
        reasons.append("some contain personal data")
    if look.is_unique:
        reasons.append("nearly all values are different")
    if look.is_few:
        reasons.append("few different values")
    if look.nulls > look.values:
        reasons.append("mostly null")
    return tuple(reasons)


def _share_text(share: float) -> str:
    return "all values" if share == 1.0 else "most values"
