"""The rules that keep data from leaving, each with its code and its words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Final

from minimize.errors import NotPermitted, Reason
from minimize.recipients.model import Direction

CODE: Final[Mapping[str, str]] = MappingProxyType(
    {
        "empty_manifest": "N001",
        "not_in_manifest": "N002",
        "direction": "N003",
        "outside_manifest": "N004",
        "no_contract": "N010",
        "contract_not_in_force": "N011",
        "no_transmission": "N012",
        "outside_contract": "N013",
        "not_listed": "N014",
        "requires": "N015",
        "no_connector": "N016",
        "no_tenant": "N017",
        "purpose": "N020",
        "outside_policy": "N021",
        "unaskable": "N022",
        "no_consent": "N030",
        "refused": "N031",
        "withdrawn": "N032",
        "expired": "N033",
        "not_yet": "N034",
        "other_text": "N035",
        "other_purpose": "N036",
        "other_standing": "N037",
        "other_fields": "N038",
        "no_explicit_consent": "N039",
        "collection_off": "N040",
        "incomplete": "N041",
        "nothing_left": "N042",
        "category": "N050",
        "differs": "N051",
        "consent_ended": "N052",
        "threshold": "N053",
    }
)
_TENANTS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "no_consent": "no consent covers them",
        "refused": "consent was refused",
        "withdrawn": "consent was withdrawn",
        "expired": "consent has expired",
        "not_yet": "consent does not hold yet",
        "other_text": "consent was given to another text",
        "other_purpose": "consent was given for another purpose",
        "other_standing": "consent was given when the recipient stood otherwise to us",
        "other_fields": "consent does not cover these fields in this form",
        "no_explicit_consent": "the recipient acts for itself, and no administrator explicitly agreed",
    }
)


def reason(
    rule: str,
    message: str,
    *,
    tenants: int | None = None,
    rows: int | None = None,
    fields: Sequence[str] = (),
    hint: str = "",
) -> Reason:
    """A reason by the name of its rule."""
    return Reason(rule, CODE[rule], message, tenants, rows, tuple(fields), hint)


def of_tenants(word: str, tenants: int, rows: int | None, *, independent: bool) -> Reason:
    """Why the rows of some tenants stay: the word that the consents have for it."""
    lacking = word in ("none", "requested")
    rule = ("no_explicit_consent" if independent else "no_consent") if lacking else word
    return reason(
        rule,
        _TENANTS[rule],
        tenants=tenants,
        rows=rows,
        hint="minimize consent show; minimize consent why TENANT RECIPIENT FUNCTION",
    )


def refusal(
    recipient: str, function: str, reasons: Sequence[Reason], direction: Direction = "outbound"
) -> NotPermitted:
    """The error that lists them all."""
    count, way = len(reasons), "go to" if direction == "outbound" else "be received from"
    noun = "1 reason" if count == 1 else f"{count} reasons"
    return NotPermitted(f"nothing may {way} {recipient} for {function}: {noun}", reasons=reasons)


def differing(what: str) -> NotPermitted:
    """The error of a payload that is not what was declared."""
    message = "the payload is not what was declared, and did not leave"
    return NotPermitted(message, reasons=[reason("differs", what)])
