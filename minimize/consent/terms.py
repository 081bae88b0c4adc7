"""Terms of a consent: text, purpose, the recipient's standing, and the fields in the form in which they leave; its states.

States are named as in the Data Privacy Vocabulary (dpv:).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass
from types import MappingProxyType
from typing import Any, Final

from minimize.errors import PolicyError
from minimize.recipients import Function, Recipient, SharedField
from minimize.techniques import TechniqueStep
from minimize.techniques.generalize import Generalize
from minimize.text import did_you_mean

DPV_STATES: Final[Mapping[str, str]] = MappingProxyType(
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
VALID_STATES: Final = frozenset({"given", "renewed"})
"""In these, and in no other, there is a consent."""
ENDING_STATES: Final = frozenset({"refused", "withdrawn", "expired"})
"""These end what was recorded before them. A request ends nothing: it is ours, and the consent is the tenant's."""

NO_CONSENT_REASONS: Final[Mapping[str, str]] = MappingProxyType(
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


@dataclass(frozen=True, slots=True)
class ConsentTerms:
    """What a function's file said when somebody was asked.

    forms  by field what becomes of it, as JSON; fields of which nothing leaves are not among them
    """

    direction: str
    standing: str
    purpose: str
    text_version: int
    forms: Mapping[str, str]

    @property
    def text(self) -> str:
        """The terms as JSON, one text for the same terms: what the ledger keeps."""
        return _canonical_json({**asdict(self), "forms": dict(self.forms)})

    @property
    def digest(self) -> str:
        """What is the same for the same terms."""
        return f"sha256:{hashlib.sha256(self.text.encode()).hexdigest()}"

    def coverage_gap(self, terms: ConsentTerms, fields: Collection[str]) -> str | None:
        """Why an agreement to these terms does not cover others, for some of their fields; None where it does.

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
    """The terms of a recipient's function as its file has them now. Raises PolicyError for a function that it does not have."""
    found = recipient.function(function)
    if found is None:
        hint = did_you_mean(function, recipient.functions) or "it has none: nothing is shared with it"
        raise PolicyError(f"{recipient.recipient} has no function `{function}`", hint=hint)
    return _build_terms(recipient, found)


def parse_terms(text: str) -> ConsentTerms:
    """The terms that the ledger kept."""
    said: dict[str, Any] = json.loads(text)
    return ConsentTerms(**said)


def _build_terms(recipient: Recipient, function: Function) -> ConsentTerms:
    about = "" if function.aggregate is None else f"{function.aggregate}: "
    forms = {key: about + _field_form(field) for key, field in function.fields.items() if field.chain or field.passes}
    return ConsentTerms(function.direction, recipient.standing, function.purpose, function.text_version, forms)


def _field_form(field: SharedField) -> str:
    if field.passes:
        return "pass_through"
    return _canonical_json([_step_form(step) for step in field.chain])


def _step_form(step: TechniqueStep) -> dict[str, Any]:
    """A step with its parameters; a hierarchy is the file that it was read from, not only its name."""
    parameters = step.model_dump(mode="json", by_alias=True)
    return {step.name: {**parameters, "digest": step.digest} if isinstance(step, Generalize) else parameters}


def _canonical_json(value: Any) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"))
