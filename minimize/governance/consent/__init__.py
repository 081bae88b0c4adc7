"""What tenants agreed to, over time: recorded by acts, answered for whole columns of tenants, told with the acts that decide."""

from __future__ import annotations

from minimize.governance.consent.acting import Wish, act, expire, overruled_by
from minimize.governance.consent.answer import Answer
from minimize.governance.consent.deciding import Consents, Seen, load_consents
from minimize.governance.consent.showing import Shown, Why, shown, why
from minimize.governance.consent.terms import Terms, terms_of

__all__ = [
    "Answer",
    "Consents",
    "Seen",
    "Shown",
    "Terms",
    "Why",
    "Wish",
    "act",
    "expire",
    "load_consents",
    "overruled_by",
    "shown",
    "terms_of",
    "why",
]
