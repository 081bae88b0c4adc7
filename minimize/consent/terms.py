"""Terms of a consent: text, purpose, recipient's role, and the form of each field. States of a consent.

The states are mapped to terms of the Data Privacy Vocabulary (dpv:).
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass
from types import MappingProxyType
from typing import Any, Final

from minimize.errors import PolicyError
from minimize.receipts.parts import sha256_text
from minimize.recipients import Function, Recipient, SharedField
from minimize.techniques import TechniqueStep
from minimize.text import did_you_mean

DPV_STATES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "requested": "ConsentRequested",
        "unconfirmed": "ConsentRequested",
        "given": "ConsentGiven",
        "renewed": "RenewedConsentGiven",
        "refused": "ConsentRefused",
        "withdrawn": "ConsentWithdrawn",
        "expired": "ConsentExpired",
    }
)
"""Maps each state to its term in the Data Privacy Vocabulary (dpv:)."""
VALID_STATES: Final = frozenset({"given", "renewed"})
"""The states with a valid consent."""
PENDING_STATES: Final = frozenset({"requested", "unconfirmed"})
"""The states in which the tenant was asked, or its document waits for a second person. They change no consent."""
ENDING_STATES: Final = frozenset({"refused", "withdrawn", "expired"})
"""The states that end every act recorded before them."""

NO_CONSENT_REASONS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "none": "no consent was requested or given",
        "requested": "requested, but not answered",
        "unconfirmed": "given by a document that no second person has confirmed",
        "not_yet": "given, but not valid yet",
        "refused": "refused",
        "withdrawn": "withdrawn",
        "expired": "expired",
        "other_text": "given for another version of the text",
        "other_purpose": "given for another purpose or direction",
        "other_standing": "given to a recipient in another role",
        "other_fields": "given for other fields or for another form of them",
        "no_function": "the recipient has no such function",
    }
)
"""Why there is no valid consent, by stable reason."""


@dataclass(frozen=True, slots=True)
class ConsentTerms:
    """The content of a function's file at the time of a request or consent.

    forms  treatment of each field, as JSON; fields that are not sent are absent
    """

    direction: str
    standing: str
    purpose: str
    text_version: int
    forms: Mapping[str, str]

    @property
    def text(self) -> str:
        """The terms as JSON, as stored in the ledger. Equal terms give equal text."""
        return _canonical_json({**asdict(self), "forms": dict(self.forms)})

    @property
    def digest(self) -> str:
        """A value that is equal for equal terms."""
        return sha256_text(self.text.encode())

    def coverage_gap(self, terms: ConsentTerms, fields: Collection[str]) -> str | None:
        """Why a consent to these terms does not cover other terms, for some of their fields; None if it does.

        >>> agreed = ConsentTerms("outbound", "agent", "operations", 1, {"model": "keep"})
        >>> agreed.coverage_gap(ConsentTerms("outbound", "agent", "operations", 2, {"model": "keep"}), ["model"])
        'other_text'
        """
        if self.standing != terms.standing:
            return "other_standing"
        if (self.purpose, self.direction) != (terms.purpose, terms.direction):
            return "other_purpose"
        if self.text_version != terms.text_version:
            return "other_text"
        agreed = all(field in terms.forms and self.forms.get(field) == terms.forms[field] for field in fields)
        return None if agreed else "other_fields"


def current_terms(recipient: Recipient, function: str) -> ConsentTerms:
    """The current terms of a recipient's function, from its file. Raises PolicyError if the recipient has no such function."""
    found = recipient.function(function)
    if found is None:
        hint = did_you_mean(function, recipient.functions) or "Add the function to the recipient's file."
        raise PolicyError(f"{recipient.recipient} has no function `{function}`", hint=hint)
    return _build_terms(recipient, found)


def parse_terms(text: str) -> ConsentTerms:
    """Parses the terms stored in the ledger."""
    content: dict[str, Any] = json.loads(text)
    return ConsentTerms(**content)


def _build_terms(recipient: Recipient, function: Function) -> ConsentTerms:
    about = "" if function.aggregate is None else f"{function.aggregate}: "
    forms = {key: about + _field_form(field) for key, field in function.fields.items() if field.chain or field.passes}
    return ConsentTerms(function.direction, recipient.standing, function.purpose, function.text_version, forms)


def _field_form(field: SharedField) -> str:
    if field.passes:
        return "pass_through"
    return _canonical_json([_step_form(step) for step in field.chain])


def _step_form(step: TechniqueStep) -> dict[str, Any]:
    """A step with its parameters. A file that it reads is identified by its digest, not only by its name."""
    parameters, file = step.model_dump(mode="json", by_alias=True), step.reference_file
    return {step.name: parameters if file is None else {**parameters, "digest": file.digest}}


def _canonical_json(value: Any) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"))
