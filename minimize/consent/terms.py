"""What a consent is to: the text, the purpose, the standing of the recipient, and the fields in the form in which they leave."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from minimize.errors import PolicyError
from minimize.policy.faults import did_you_mean
from minimize.recipients import Function, Recipient, Shared
from minimize.techniques import Step
from minimize.techniques.generalize import Generalize


@dataclass(frozen=True, slots=True)
class Terms:
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
        return _text({**asdict(self), "forms": dict(self.forms)})

    @property
    def digest(self) -> str:
        """What is the same for the same terms."""
        return f"sha256:{hashlib.sha256(self.text.encode()).hexdigest()}"

    def lacks(self, wanted: Terms, fields: Collection[str]) -> str | None:
        """Why an agreement to these terms does not cover others, for some of their fields; None where it does.

        >>> agreed = Terms("outbound", "agent", "operations", 1, {"model": "keep"})
        >>> agreed.lacks(Terms("outbound", "agent", "operations", 2, {"model": "keep"}), ["model"])
        'other_text'
        """
        if self.standing != wanted.standing:
            return "other_standing"
        if (self.purpose, self.direction) != (wanted.purpose, wanted.direction):
            return "other_purpose"
        if self.text_version != wanted.text_version:
            return "other_text"
        agreed = all(field in wanted.forms and self.forms.get(field) == wanted.forms[field] for field in fields)
        return None if agreed else "other_fields"


def terms_of(recipient: Recipient, function: str) -> Terms:
    """The terms of a recipient's function as its file has them now. Raises PolicyError for a function that it does not have."""
    found = recipient.function(function)
    if found is None:
        hint = did_you_mean(function, recipient.functions) or "it has none: nothing is shared with it"
        raise PolicyError(f"{recipient.recipient} has no function `{function}`", hint=hint)
    return _terms(recipient, found)


def terms_from(text: str) -> Terms:
    """The terms that the ledger kept."""
    said: dict[str, Any] = json.loads(text)
    return Terms(**said)


def _terms(recipient: Recipient, function: Function) -> Terms:
    about = "" if function.aggregate is None else f"{function.aggregate}: "
    forms = {key: about + _form(field) for key, field in function.fields.items() if field.chain or field.passes}
    return Terms(function.direction, recipient.standing, function.purpose, function.text_version, forms)


def _form(field: Shared) -> str:
    if field.passes:
        return "pass_through"
    return _text([_step(step) for step in field.chain])


def _step(step: Step) -> dict[str, Any]:
    """A step with its parameters; a hierarchy is the file that it was read from, not only its name."""
    parameters = step.model_dump(mode="json", by_alias=True)
    return {step.name: {**parameters, "digest": step.digest} if isinstance(step, Generalize) else parameters}


def _text(said: Any) -> str:
    return json.dumps(said, sort_keys=True, separators=(",", ":"))
