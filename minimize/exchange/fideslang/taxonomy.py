"""Which words of fideslang's taxonomy (3.1) a field and a purpose get: by name, role, and what is left of the value."""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from minimize.exchange.meanings import Meaning

_BY_NAME: Final[Mapping[str, str]] = MappingProxyType(
    {
        r"e?mail|upn|user_?principal_?name": "user.contact.email",
        r"phone|mobile|msisdn": "user.contact.phone_number",
        r"ip|ipv4|ipv6|ip_?addr(ess)?|client_?ip|remote_?addr": "user.device.ip_address",
        r"lat|latitude|lon|lng|longitude|gps|geo|coordinates|position": "user.location",
        r"postal_?code|zip|zip_?code|postcode": "user.contact.address.postal_code",
        r"street": "user.contact.address.street",
        r"city": "user.contact.address.city",
        r"country": "user.contact.address.country",
        r"birth|dob|birthday|date_of_birth": "user.demographic.date_of_birth",
        r"gender|sex": "user.demographic.gender",
        r"language|locale": "user.demographic.language",
        r"first_?name|given_?name": "user.name.first",
        r"last_?name|sur_?name|family_?name": "user.name.last",
        r"full_?name|display_?name|person_?name": "user.name",
        r"user_?name|login|account(_?name)?": "user.account.username",
        r"passport": "user.government_id.passport_number",
        r"ssn|social_security|national_id": "user.government_id.national_identification_number",
        r"iban|bank": "user.financial.bank_account",
        r"card": "user.financial.credit_card",
        r"password|passcode|pin": "user.authorization.password",
        r"token|secret|credential|bypass_code": "user.authorization.credentials",
        r"url|page|visited": "user.behavior.browsing_history",
        r"device_?id|serial(_?number)?|imei|meid|udid|mac|wifi_mac|advertising_?id": "user.device.device_id",
        r"tenant|customer|org(ani[sz]ation)?": "system.operations",
        r"model|manufacturer|os|cpu|hardware|battery|storage|memory|carrier": "user.device",
    }
)
_BY_ROLE: Final[Mapping[str, str]] = MappingProxyType(
    {
        "identifier": "user.unique_id",
        "free_text": "user.content.private",
        "secret": "user.authorization.credentials",
    }
)
PSEUDONYM: Final = "user.unique_id.pseudonymous"
OPERATIONS: Final = "system.operations"
TELEMETRY: Final = "user.telemetry"
_KEYED: Final = frozenset({"pseudonymize", "tokenize"})
_USES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "customer_support": "essential.service.operations.support",
        "service_maintenance": "essential.service.operations",
        "operations": "operations",
        "quality_and_security": "essential.service.security",
    }
)
SUBJECTS: Final = ("customer",)
"""Whom records are about, as far as fideslang asks: a policy knows subjects, and not what they are to the house."""


def data_use(purpose: str) -> str:
    """The use that a purpose is; a house's own purpose is some service.

    >>> data_use("customer_support"), data_use("asset_register")
    ('essential.service.operations.support', 'essential.service')
    """
    return _USES.get(purpose, "essential.service")


def data_category(name: str, meaning: Meaning | None, aggregated: bool) -> str:
    """The category of a column: what its name says, as coarse as it was made; what is counted is of operations."""
    if meaning is None or aggregated:
        return OPERATIONS
    if _KEYED & set(meaning.facts.get("techniques") or ()):
        return PSEUDONYM
    found = _named(name)
    if found == "user.location":
        return "user.location.precise" if meaning.facts.get("leaves") == "everything" else "user.location.imprecise"
    return found or _BY_ROLE.get(meaning.role, TELEMETRY)


def _named(name: str) -> str | None:
    """The first row whose words stand in a name."""
    snake = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()
    words = re.sub(r"[^a-z0-9]+", "_", snake)
    return next((each for pattern, each in _BY_NAME.items() if re.search(rf"(^|_)({pattern})(_|$)", words)), None)
