"""Guess a field's role from its name, for drafting and reviewing policies. A guess never decides on treatment."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from minimize.arrow.pointers import Pointer
from minimize.policy.model import Field, Role

RoleTable = tuple[tuple[re.Pattern[str], Role], ...]


def _compile_table(rows: dict[str, Role]) -> RoleTable:
    """The rows compiled: each pattern matches whole words anywhere in a name."""
    return tuple((re.compile(rf"(?:^|_)(?:{pattern})(?=_|$)"), role) for pattern, role in rows.items())


_PEOPLE: Final = (
    "account_holder|actor|anon(?:ymous)?|assignee|author|client|contact|customer|driver|employee|end_?user|guest|manager|member|owner|"
    "participant|patient|people|person|player|principal|recipient|rider|sender|student|subscriber|subject|user|viewer|visitor"
)
_DEVICES: Final = (
    "android|apple|browser|computer|cookie|device|hardware|host|install(?:ation)?|app_?instance|instance|"
    "machine|peer|sdk_?user"
)
_SESSIONS: Final = "enrollment|login|profile|(?:sub)?session|tracking"
_VENDORS: Final = "advertising|amplitude|appsflyer|braze|distinct|firebase|gsf|sqm"
_BEARERS: Final = f"(?:{_PEOPLE}|{_DEVICES}|{_SESSIONS}|{_VENDORS})"
"""Words for a person, for an object that one person uses, or for a vendor's record of a person."""
_CLASSES: Final = (
    "app|branch|build|category|class|country|feature|kind|locale|model|os|plan|policy|"
    "product|region|role|schema|segment|type|version"
)
"""Words for a class of things. The identifier of a class does not identify a person."""
_REFERENCE: Final = "id|uid|guid|uuid|identifier|hash|token|key|fingerprint|pseudonym"
_MEASURES: Final = (
    "algorithm|available|avg|count|duration|enabled|format|idx|index|kind|length|limit|max|mean|min|mode|pct|percent|present|"
    "provider|rate|ratio|size|source|state|status|sum|supported|total|ttl|type|used|valid|verified|version|width"
)
_MEASURED: Final = re.compile(rf"(?:^|_)(?:{_MEASURES})$|^(?:avg|count|has|is|max|min|num|total)_")
"""Names of properties: `session_count`, `client_version`, `email_verified`, `has_user_id`."""

_SURE: Final = _compile_table(
    {
        r"pass(?:word|code|phrase|wd)|secret|private_key|credential|bypass_code|unlock_token|recovery_key": "secret",
        r"(?:access|auth|refresh|api|bearer|push)_?(?:token|key|magic)": "secret",
        r"(?:session|login|oauth|sso|csrf|xsrf)_?token": "secret",
        r"phone|mobile_?number|msisdn|e?mail|upn|user_?principal_?name": "identifier",
        r"imei|imeisv|meid|imsi|iccid|udid|serial|mac|mac_?addr(?:ess)?|wifi_mac|vin": "identifier",
        r"nif|steuer_?(?:id|nummer)|identifiant": "identifier",
        r"(?:account|acct|personal|person|kunden|personen|mitarbeiter)_?(?:number|num|no|nr|nummer)": "identifier",
        r"idfa|idfv|identifier_for_(?:vendor|advertising)|[ag]aid|adid|oaid|ssaid|ecid|puid|(?:g|d|fb|msclk)clid": "identifier",
        rf"{_BEARERS}(?:_(?!(?:{_CLASSES})_)[a-z]+)?_?(?:{_REFERENCE})": "identifier",
        r"(?:first|last|full|display|given|family|user|person|device|host|management|sur|nick|screen)_?name": "identifier",
        rf"(?:{_PEOPLE})_?number|passport|ssn|social_security|iban|card_?number|licen[cs]e_plate": "identifier",
        r"ip|ipv4|ipv6|ip_?addr(?:ess)?|client_?ip|remote_?addr": "quasi",
        r"lat|latitude|lon|lng|longitude|gps|geo_?location|coordinates|street|postal_?code|zip_?code|postcode": "quasi",
        r"birth_?(?:date|day|year)|date_of_birth|dob|gender|age": "quasi",
        r"ssid|network_?name|building": "quasi",
        r"comments?|notes?|remarks?|message|free_?text|feedback|(?:log|error)_?text": "free_text",
    }
)
EMAIL_KIND: Final = "an e-mail address"
POSTAL_KIND: Final = "a postal address"
PHONE_KIND: Final = "a telephone number"
_PLACES: Final = "billing|delivery|home|mailing|office|post|postal|residential|shipping|street|work"
_CONTACTS: Final[Mapping[str, re.Pattern[str]]] = {
    kind: re.compile(rf"(?:^|_)(?:{pattern})(?=_|$)")
    for kind, pattern in {
        EMAIL_KIND: r"e?mail|upn|(?:user_?)?principal_?name",
        "an IP address": r"ip|ipv4|ipv6|ip_?addr(?:ess)?|remote_?addr(?:ess)?",
        POSTAL_KIND: rf"(?:{_PLACES})_?address(?:es)?|street",
        "a postal code": r"postal_?code|zip_?code|postcode",
        "a name": r"(?:first|last|full|display|given|family|middle|maiden|sur|nick|screen|user|login|contact|owner|person|agent|"
        r"admin|customer|employee|device|host|computer|machine|server|site|management)_?name",
    }.items()
}
"""Kinds of names and addresses of a person or a computer."""
_ADDRESS: Final = re.compile(r"address(?:_(?:line_?)?[0-9])?")
"""A field named only `address` is a postal address."""
_REACHES: Final[Mapping[str, re.Pattern[str]]] = {
    kind: re.compile(
        rf"(?:^|_)(?:{pattern})(?=_|$)(?!_(?:{_CLASSES}|domain|server|host|client|provider|template)(?:_|$))"
    )
    for kind, pattern in {
        EMAIL_KIND: r"e?mail",
        POSTAL_KIND: rf"(?:{_PLACES}|org(?:ani[sz]ation)?|company|site)_?address(?:es)?|street",
        PHONE_KIND: r"(?:tele)?phone|mobile_?number|msisdn|fax(?:_?number)?",
    }.items()
}
"""Names of addresses and numbers under which a person can be reached."""
_COORDINATE: Final = re.compile(r"(?:^|_)(?:lat|latitude|lon|lng|longitude)(?=_|$)")
_PAIR: Final = re.compile(r"(?:^|_)(?:gps|geo_?location|coordinates)(?=_|$)")
_ALONE: Final = re.compile(r"(?:id_)?(?:uuid|guid|uid)|login|mobile|fingerprint|addr")
"""A name that identifies only if it is the whole name: `login` is an account, `last_login` a time."""
_PERHAPS: Final = _compile_table(
    {
        r"(?:event|record|correlation|row|message|account|document|insert|impression|request|span|trace|transaction)"
        r"_?(?:id|guid|uuid)": "identifier",
        r"time|timestamp|date|at|model|manufacturer|(?:os|app|sdk)_?version": "quasi",
        r"locale|language|time_?zone|carrier|country|city": "quasi",
        r"description|title|reason|text|body|subject": "free_text",
    }
)
_WORD: Final = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+")
_JOINED_WORDS: Final = re.compile(r"IPv(?=[46])|(?<=[A-Z]{2})s(?![a-z])")
"""`IPv6` is one word, and the `s` of `IDs` is not a word."""
_PLURALS: Final = frozenset(
    {"ids", "uids", "guids", "uuids", "identifiers", "hashes", "tokens", "keys", "fingerprints"}
)


def words_of_name(name: str) -> list[str]:
    """The words of a name in lower case: of camelCase, snake_case, kebab-case, with dots, digits and acronyms.

    >>> words_of_name("HTTPClientIDs"), words_of_name("device-id_2"), words_of_name("IPv6Address")
    (['http', 'client', 'id'], ['device', 'id', '2'], ['ipv6', 'address'])
    """
    plain = _JOINED_WORDS.sub(lambda hit: "Ipv" if hit.group() == "IPv" else "", name)
    words = [word.lower() for word in _WORD.findall(plain)]
    joined = re.sub(r"(?<=\bipv) (?=[46]\b)", "", " ".join(words)).split()
    return [_singular(word) for word in joined]


def certain_role(pointer: Pointer) -> Role | None:
    """The role that is certain by a name, such as that of a phone number, an address, a password.

    >>> certain_role(Pointer.parse("/device/wifiMacAddress")), certain_role(Pointer.parse("battery"))
    ('identifier', None)
    """
    name = _significant_words(pointer)
    if _MEASURED.search(name):
        return None
    return "identifier" if _ALONE.fullmatch(name) else _matching_role(name, _SURE)


def contact_kind(pointer: Pointer) -> str | None:
    """Whether a field contains a name, an IP address, an e-mail address or a postal address, judged by its name; in words.

    >>> [contact_kind(Pointer.parse(key)) for key in ("/contact/email", "server_ip", "app_name")]
    ['an e-mail address', 'an IP address', None]
    """
    name = _significant_words(pointer)
    if _MEASURED.search(name):
        return None
    if _ADDRESS.fullmatch(name):
        return POSTAL_KIND
    return next((kind for kind, pattern in _CONTACTS.items() if pattern.search(name)), None)


def reachable_kind(pointer: Pointer) -> str | None:
    """Whether a field contains an e-mail address, a postal address or a telephone number, judged by its name; in words.

    >>> [reachable_kind(Pointer.parse(key)) for key in ("org_email", "phone_number", "phone_model", "email_verified")]
    ['an e-mail address', 'a telephone number', None, None]
    """
    name = _significant_words(pointer)
    if _MEASURED.search(name):
        return None
    if _ADDRESS.fullmatch(name):
        return POSTAL_KIND
    return next((kind for kind, pattern in _REACHES.items() if pattern.search(name)), None)


def suggested_role(pointer: Pointer) -> Role | None:
    """The role that a name suggests, certain or not."""
    return certain_role(pointer) or _matching_role(_significant_words(pointer), _PERHAPS)


def is_coordinate_name(pointer: Pointer) -> bool:
    """Whether a name is that of a latitude or a longitude.

    >>> is_coordinate_name(Pointer.parse("/place/latitude")), is_coordinate_name(Pointer.parse("latency"))
    (True, False)
    """
    return _COORDINATE.search(_significant_words(pointer)) is not None


def is_position_name(pointer: Pointer) -> bool:
    """Whether a name is that of a latitude, a longitude, or a pair of them.

    >>> is_position_name(Pointer.parse("gps")), is_position_name(Pointer.parse("latitude_count"))
    (True, False)
    """
    name = _significant_words(pointer)
    return _MEASURED.search(name) is None and (_COORDINATE.search(name) or _PAIR.search(name)) is not None


def states_plain(field: Field) -> bool:
    """Whether the policy states that a field does not concern a person. The keys of a map have the role of the map."""
    return field.role == "plain" and (field.stated_role is not None or field.pointer.is_keys)


def presumed_role(field: Field) -> Role:
    """The role for the category of a field.

    An address or number under which a person can be reached is an identifier, unless the policy states that it is plain. Any
    other field has the role that the policy states, else identifier if the name is certain to be one.
    """
    if states_plain(field):
        return "plain"
    if field.role != "free_text" and reachable_kind(field.pointer) is not None:
        return "identifier"
    if field.stated_role is not None or certain_role(field.pointer) not in ("identifier", "secret"):
        return field.role
    return "identifier"


def _significant_words(pointer: Pointer) -> str:
    """The words of the last part. For a generic last part (`id`, `value`), preceded by those of the part above."""
    parts = [words_of_name(part) for part in pointer.parts if isinstance(part, str)]
    last = parts[-1] if parts else []
    refers = len(parts) > 1 and len(last) == 1 and re.fullmatch(rf"{_REFERENCE}|name|value", last[0])
    return "_".join([*(parts[-2] if refers else []), *last])


def _singular(word: str) -> str:
    if word not in _PLURALS:
        return word
    return word.removesuffix("es") if word == "hashes" else word.removesuffix("s")


def _matching_role(name: str, table: RoleTable) -> Role | None:
    """The role of the first row whose pattern occurs in the name."""
    return next((role for pattern, role in table if pattern.search(name)), None)
