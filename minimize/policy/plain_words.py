"""Policies in words for people who have never seen one: names of fields, forms of values, sizes.

A field is called by its `label`, else by its key in words.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from minimize.arrow.pointers import KEYS, Pointer
from minimize.forms.yaml_nodes import scalar_text
from minimize.policy.condition import AllOf, AnyOf, Condition
from minimize.policy.describe import Words
from minimize.policy.treatments import DROP
from minimize.text import bytes_text
from minimize.times import period_text

if TYPE_CHECKING:
    from minimize.policy.model import Field, Policy
    from minimize.policy.treatments import Treatment

_ABBREVIATIONS: Final = frozenset(
    [
        "api",
        "bios",
        "cpu",
        "gps",
        "id",
        "imei",
        "iccid",
        "ip",
        "mac",
        "meid",
        "mdm",
        "os",
        "pin",
        "ram",
        "sim",
        "tpm",
        "udid",
        "uri",
        "url",
        "uuid",
        "vpn",
    ]
)


def plain_name(key: str) -> str:
    """A name of a policy in words.

    >>> plain_name("/apps/*/bundle_size"), plain_name("phone_number"), plain_name("os_version")
    ('apps: bundle size', 'phone number', 'OS version')
    """
    parts = Pointer.parse(key).parts
    words = [part for part in parts if isinstance(part, str)] + (["keys"] if parts[-1:] == (KEYS,) else [])
    return re.sub(r"[^\W_]+", _spelled, ": ".join(words)).replace("_", " ")


def _spelled(word: re.Match[str]) -> str:
    return word[0].upper() if word[0] in _ABBREVIATIONS else word[0]


def capitalized(text: str) -> str:
    """A text that begins with a capital letter."""
    return text[:1].upper() + text[1:]


def field_name(field: Field) -> str:
    """What people call a field: its label, else its key in words."""
    return field.label or plain_name(field.key)


def column_name(policy: Policy, column: str) -> str:
    """What people call a top-level column of an output."""
    field = policy.fields.get(column)
    return plain_name(column) if field is None else field_name(field)


class ReportWords(Words):
    """Words of a report: a treatment is described by what is left of a value."""

    def treatment(self, do: Treatment) -> str:
        """A treatment in words.

        >>> from minimize.techniques.mask import Mask
        >>> ReportWords().treatment((Mask(keep_last=4),))
        'only the last 4 characters'
        """
        return "dropped" if isinstance(do, str) else ", then ".join(step.phrase() for step in do)

    def form(self, field: Field) -> str:
        """The released form of a field, with its cases."""
        return sizes_in_words(field, "; ".join(self.forms(field, "{form} if {when}")))


REPORT_WORDS: Final = ReportWords()


class PlainWords(ReportWords):
    """Plain words of one cell. The description of a field follows its name the first time."""

    def __init__(self, policy: Policy) -> None:
        self._policy = policy
        self._described: set[str] = set()

    def field(self, key: str) -> str:
        """The name of a field between quotation marks."""
        declared = self._policy.fields.get(key)
        about = "" if declared is None or key in self._described or declared.label else declared.about
        self._described.add(key)
        return f"“{column_name(self._policy, key)}”" + (f" ({about})" if about else "")

    def condition(self, condition: Condition) -> str:
        """A condition in words without brackets."""
        if isinstance(condition, AnyOf) and len(condition.parts) > 1:
            return "either " + ", or ".join(map(self._nested, condition.parts))
        return super().condition(condition)

    def _nested(self, condition: Condition) -> str:
        text = self.condition(condition)
        return f"both {text}" if isinstance(condition, AllOf) and len(condition.parts) > 1 else text

    def feature(self, name: str) -> str:
        """The condition that an optional collection is on."""
        feature = self._policy.features.get(name)
        is_per_subject = feature is not None and feature.per_subject
        both = ", for the organization and for the person or device itself" if is_per_subject else ""
        return f"the optional collection “{plain_name(name)}” is on{both}"

    def level(self, name: str) -> str:
        """The condition that the level of collection is high enough."""
        return f"the level of collection is “{name}” or higher"

    def equality(self, key: str, values: Sequence[Any]) -> str:
        """The condition that a field has one of these values."""
        listed = ", ".join(f"“{scalar_text(value).replace('_', ' ')}”" for value in values)
        return f"{self.field(key)} is {'one of ' if len(values) > 1 else ''}{listed}"

    def age(self, key: str, age: timedelta, reference: str) -> str:
        """The condition that a time is not long before another."""
        return f"{self.field(key)} is less than {period_text(age)} before {self.field(reference)}"

    def treatment(self, do: Treatment) -> str:
        """A treatment in words; fields that it names are called as people call them."""
        if isinstance(do, str):
            return "nothing"
        return re.sub(r"`([^`]+)`", lambda match: self.field(match[1]), super().treatment(do))


def plain_form(policy: Policy, key: str, did: str | Sequence[str]) -> str:
    """The stored form of a field in plain words; of a field that the policy does not have, the names of its techniques."""
    field = policy.fields.get(key)
    if field is None or did == DROP:
        return did if isinstance(did, str) else ", then ".join(did)
    return PlainWords(policy).form(field)


def holds_bytes(field: Field) -> bool:
    """Whether the values of a field are numbers of bytes: by its unit, or by its name."""
    return field.unit.casefold() in ("bytes", "byte", "b") or field.key.endswith("_bytes")


def sizes_in_words(field: Field, text: str) -> str:
    """A text about a field, in which numbers of bytes are sizes."""
    if not holds_bytes(field):
        return text
    return re.sub(r"\b\d{1,3}(?:,\d{3})+\b|\b\d{4,}\b", lambda match: bytes_text(int(match[0].replace(",", ""))), text)
