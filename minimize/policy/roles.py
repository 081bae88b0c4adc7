"""Guessing a field's role from its name: a help for whoever drafts or reviews a policy, never a decision."""

from __future__ import annotations

import re
from types import MappingProxyType

from minimize.pointer import Pointer
from minimize.policy.model import Role

_SURE: MappingProxyType[str, Role] = MappingProxyType(
    {
        r"pass(word|code|phrase|wd)|secret|private_key|credential|bypass_code|unlock_token|recovery_key": "secret",
        r"(access|auth|refresh|api|bearer|push)_?(token|key|magic)": "secret",
        r"phone|mobile_?number|msisdn|e?mail|upn|user_?principal_?name": "identifier",
        r"imei|meid|imsi|iccid|udid|serial|mac|mac_?addr(ess)?|wifi_mac": "identifier",
        r"(device|user|person|employee|customer|session|advertising|apple|hardware|sdk_?user|installation)_?(id|guid|uuid)": (
            "identifier"
        ),
        r"(first|last|full|display|given|family|user|person|device|host|management|sur)_?name": "identifier",
        r"passport|ssn|social_security|iban|card_?number|licen[cs]e_plate": "identifier",
        r"ip|ipv4|ipv6|ip_?addr(ess)?|client_?ip|remote_?addr": "quasi",
        r"lat|latitude|lon|lng|longitude|gps|geo_?location|coordinates|street|postal_?code|zip_?code|postcode": "quasi",
        r"birth_?(date|day|year)|date_of_birth|dob|gender|age": "quasi",
        r"ssid|network_?name|building": "quasi",
        r"comments?|notes?|remarks?|message|free_?text|feedback|(log|error)_?text": "free_text",
    }
)
_PERHAPS: MappingProxyType[str, Role] = MappingProxyType(
    {
        r"(event|record|correlation|row|message|account)_?(id|guid|uuid)": "identifier",
        r"time|timestamp|date|at|model|manufacturer|(os|app|sdk)_?version": "quasi",
        r"locale|language|time_?zone|carrier|country|city": "quasi",
        r"description|title|reason|text|body|subject": "free_text",
    }
)


def surely(pointer: Pointer) -> Role | None:
    """The role that a name gives away: a phone number, an address, a password.

    >>> surely(Pointer.parse("/device/wifiMacAddress")), surely(Pointer.parse("battery"))
    ('identifier', None)
    """
    return _matched(_words(pointer), _SURE)


def perhaps(pointer: Pointer) -> Role | None:
    """The role that a name suggests, sure or not."""
    return surely(pointer) or _matched(_words(pointer), _PERHAPS)


def _words(pointer: Pointer) -> str:
    last = next((str(part) for part in reversed(pointer.parts) if isinstance(part, str)), "")
    snake = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", last)
    return re.sub(r"[^a-z0-9]+", "_", snake.lower()).strip("_")


def _matched(words: str, table: MappingProxyType[str, Role]) -> Role | None:
    """The first row whose pattern stands in the name, whole words only."""
    return next((role for pattern, role in table.items() if re.search(rf"(^|_)({pattern})(_|$)", words)), None)
