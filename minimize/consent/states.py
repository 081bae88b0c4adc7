"""The states of a consent, in the words of the Data Privacy Vocabulary, and why there may be none."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

STATES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "requested": "ConsentRequested",
        "given": "ConsentGiven",
        "renewed": "RenewedConsentGiven",
        "refused": "ConsentRefused",
        "withdrawn": "ConsentWithdrawn",
        "expired": "ConsentExpired",
    }
)
"""Our word for each, and the vocabulary's (dpv:)."""
VALID: Final = frozenset({"given", "renewed"})
"""In these, and in no other, there is a consent."""
ENDING: Final = frozenset({"refused", "withdrawn", "expired"})
"""These end what was recorded before them. A request ends nothing: it is ours, and the consent is the tenant's."""

REASONS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "none": "nobody asked, or was asked",
        "requested": "asked for, and not answered",
        "not_yet": "given for a later time",
        "refused": "refused",
        "withdrawn": "withdrawn",
        "expired": "expired",
        "other_text": "given to another version of the text",
        "other_purpose": "given for another purpose or direction",
        "other_standing": "given to a recipient of another standing",
        "other_fields": "given for other fields, or for another form of them",
        "no_function": "the recipient has no such function",
    }
)
"""Why there is no valid consent, by stable word."""
