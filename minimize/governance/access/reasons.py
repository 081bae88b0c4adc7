"""Why something is allowed or not: rules by name, each with its code and its words."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from types import MappingProxyType
from typing import Final

from minimize.errors import Reason

_RULES: Final[Mapping[str, tuple[str, str]]] = MappingProxyType(
    {
        "nobody": ("U100", "no role of this account allows it"),
        "denied": ("U101", "a role denies it, whatever others allow"),
        "out_of_scope": ("U102", "it is outside the scope of the roles that would allow it"),
        "category": ("U103", "these columns are of a category above what is allowed"),
        "purpose": ("U104", "a purpose that this data, or the role, is for must be named"),
        "other_purpose": ("U105", "these columns are not for this purpose"),
        "no_grant": ("U106", "there is no grant for this incident, dataset and operation"),
        "not_granted": ("U107", "the request was not approved"),
        "expired": ("U108", "the grant has expired, or the request was not answered in time"),
        "revoked": ("U109", "the grant was revoked"),
        "not_eligible": (
            "U110",
            "who holds the grant may not ask for it any more, or did not get it from somebody else",
        ),
        "outside_grant": ("U111", "the grant does not cover these columns"),
        "no_common_tenant": ("U112", "no tenant in scope has all of these columns open"),
        "views": ("U113", "of several views on these columns none shows least"),
        "not_by_tenant": ("U114", "the output does not tell tenants apart, and the scope does"),
        "no_incident": ("U115", "this is done under a grant alone: an incident must be named"),
        "conflict": ("U116", "roles conflict that one person cannot have together"),
        "not_separate": ("U117", "it wants another person, in other groups, than the one who asked"),
        "does_not_follow": ("U118", "it does not follow from where the request stands"),
        "too_long": ("U119", "it is longer than access may last"),
        "unreviewed": ("U120", "access that nobody approved waits for its review, and the time for that is over"),
        "role": ("U200", "a role allows it"),
        "grant": ("U201", "a grant allows it"),
        "unconfigured": ("U202", "no access file is configured"),
    }
)


def reason(rule: str, fields: Collection[str] = (), *, about: str = "", hint: str = "", said: str = "") -> Reason:
    """The reason of a rule, for these columns; `about` is the role or grant, `said` what is known beyond the rule's words."""
    code, words = _RULES[rule]
    words = said or words
    return Reason(rule, code, f"{words}: {about}" if about else words, fields=tuple(fields), hint=hint)
