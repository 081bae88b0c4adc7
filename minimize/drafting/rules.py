"""Which role and technique are proposed for a field: the first rule that applies. No number in them comes from the data."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from minimize.drafting.seen import TEXTS, TIMES, Seen
from minimize.policy.model import Role

KEY: Final = "pseudonyms"
"""The name of the key that proposals name."""
DROP: Final = "drop"


@dataclass(frozen=True, slots=True)
class Rule:
    """When it applies, what it proposes, and why.

    do  what becomes of the value, as a policy writes it
    """

    applies: Callable[[Seen], bool]
    role: Role
    do: Callable[[Seen], str] | str
    because: str


def keyed(seen: Seen) -> str:
    """A pseudonym, per tenant where there is one; dropped where it cannot be had.

    >>> from minimize.pointer import Pointer
    >>> keyed(Seen(Pointer.parse("imei"), "string", per="tenant_id"))
    '{pseudonymize: {key: pseudonyms, per: tenant_id}}'
    """
    per = f", per: {seen.per}" if seen.per else ""
    return f"{{pseudonymize: {{key: {KEY}{per}}}}}" if seen.can_be_keyed else DROP


def _of(*kinds: str) -> Callable[[Seen], bool]:
    return lambda seen: seen.kind in kinds


def _text(applies: Callable[[Seen], bool]) -> Callable[[Seen], bool]:
    """The same, of texts alone."""
    return lambda seen: seen.type in TEXTS and applies(seen)


def _named(pattern: str, *types: str) -> Callable[[Seen], bool]:
    return lambda seen: seen.named(pattern) and (not types or seen.type in types)


def _is_tenant(seen: Seen) -> bool:
    return seen.part == "tenant" and seen.kind in (None, "uuid", "hash", "opaque")


def _is_person(seen: Seen) -> bool:
    return seen.guess == "identifier" and (seen.named("name|passport|ssn|plate") or not seen.can_be_keyed)


def _is_prose(seen: Seen) -> bool:
    if seen.guess in ("free_text", "identifier"):
        return seen.guess == "free_text"
    return seen.kind is None and (seen.look.is_prose or seen.look.personal)


def _is_random(seen: Seen) -> bool:
    """Values made so that no two things have the same: UUIDs, hashes, random identifiers."""
    return seen.kind in ("uuid", "hash", "opaque")


def _is_coordinate(seen: Seen) -> bool:
    return seen.type == "double" and seen.named("lat|latitude|lon|lng|long|longitude")


def _is_group(seen: Seen) -> bool:
    """Few values, and no name that would make them somebody's."""
    return seen.look.is_few and seen.sure is None


def _is_flag(seen: Seen) -> bool:
    return seen.type == "boolean" and seen.sure is None


_BIRTH: Final = "birth|dob|birthday|birthdate"
_RULES_BY_NAME: Final = (
    Rule(lambda seen: seen.looked and seen.look.is_empty, "plain", DROP, "no value was found"),
    Rule(lambda seen: seen.guess == "secret", "secret", DROP, "a secret is never kept"),
    Rule(lambda seen: seen.type in ("list", "map"), "plain", "size", "how many there are is enough for most purposes"),
    Rule(
        lambda seen: seen.type in ("struct", "binary") and seen.kind is None,
        "plain",
        DROP,
        "nobody can say what is in it",
    ),
    Rule(_of("card", "iban"), "identifier", DROP, "payment data"),
    Rule(_is_tenant, "plain", "keep", "whose settings count"),
    Rule(lambda seen: seen.part == "record", "identifier", DROP, "it points at one record and says nothing else"),
)
_RULES_BY_KIND: Final = (
    Rule(_of("token"), "secret", DROP, "it signs its holder in or opens a service"),
    Rule(_text(_of("email", "phone", "mac")), "identifier", keyed, "it names a person or a device"),
    Rule(_of("imei"), "identifier", keyed, "it names a device"),
    Rule(lambda seen: seen.part == "subject", "identifier", keyed, "whom the record is about"),
    Rule(
        _text(lambda seen: seen.kind == "ip" and not seen.named("version")),
        "quasi",
        "{truncate_ip: {v4: 24, v6: 48}}",
        "its network is enough to group by",
    ),
    Rule(_text(_of("url")), "sensitive", DROP, "paths and queries can hold anything; `keep_host` keeps the host"),
    Rule(_text(_of("position")), "quasi", DROP, "a place as text; as two numbers it could be rounded"),
    Rule(_is_coordinate, "quasi", "{round: {to: 0.1}}", "a tenth of a degree is about 11 km"),
    Rule(_named(_BIRTH, *TIMES), "quasi", "{truncate_time: {to: year}}", "the year is as much as an age needs"),
    Rule(lambda seen: seen.type == "timestamp", "quasi", "{truncate_time: {to: hour}}", "exact times link records"),
    Rule(lambda seen: seen.type == "date", "quasi", "{truncate_time: {to: month}}", "exact days link records"),
    Rule(_text(_of("time")), "quasi", DROP, "a time as text; as `type: timestamp` it could be truncated"),
    Rule(
        _text(lambda seen: seen.kind in ("version", "ip") or (seen.kind is None and seen.named("version"))),
        "quasi",
        "{truncate_version: {parts: 2}}",
        "the rest tells devices apart",
    ),
    Rule(
        _text(lambda seen: seen.kind == "postal_code" and seen.sure == "quasi"),
        "quasi",
        "{mask: {keep_first: 2}}",
        "its beginning is a region",
    ),
    Rule(_of("path"), "free_text", DROP, "paths hold the names of people"),
    Rule(_text(_is_prose), "free_text", DROP, "free text can hold anything; `redact` and `presence` leave less"),
    Rule(_text(_is_person), "identifier", DROP, "it names a person or a device, and a pseudonym of it links no better"),
    Rule(lambda seen: _is_random(seen) and seen.look.is_unique, "identifier", DROP, "it points at one record"),
    Rule(_is_random, "identifier", keyed, "it names something that comes again"),
    Rule(lambda seen: seen.guess == "identifier", "identifier", keyed, "it names a person or a device"),
)
_RULES_BY_COUNT: Final = (
    Rule(_is_flag, "plain", "keep", "yes or no"),
    Rule(_text(lambda seen: seen.look.is_unique), "identifier", DROP, "it points at one record"),
    Rule(
        lambda seen: seen.type == "double" and seen.named("pct|percent|percentage"),
        "plain",
        "{bin: {width: 10}}",
        "tenths are enough",
    ),
    Rule(
        lambda seen: seen.is_number and seen.named("bytes"),
        "plain",
        "{bin: {edges: [1e9, 4e9, 16e9, 64e9, 256e9]}}",
        "exact sizes tell devices apart",
    ),
    Rule(
        lambda seen: _is_group(seen) and seen.guess == "quasi" and not seen.is_number,
        "quasi",
        "keep",
        "each of its values is shared by many records",
    ),
    Rule(
        lambda seen: _is_group(seen) and seen.type in ("string", "integer"),
        "plain",
        "keep",
        "it sorts records into groups",
    ),
    Rule(lambda seen: seen.sure == "quasi", "quasi", DROP, "it helps to tell who somebody is"),
    Rule(lambda seen: seen.is_number, "plain", DROP, "say how coarse it may be: `bin`, `round` or `clip`"),
    Rule(lambda seen: seen.look.is_thin, "plain", DROP, "nothing tells what it is"),
    Rule(lambda _: True, "quasi", DROP, "many values: `top` keeps the frequent ones, once `subject` is named"),
)
RULES: Final[tuple[Rule, ...]] = (*_RULES_BY_NAME, *_RULES_BY_KIND, *_RULES_BY_COUNT)
"""In order: what the name says, what the values are, how many there are."""
