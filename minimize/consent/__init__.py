"""Consents of tenants: their terms, and their evaluation for whole columns of tenants.

A consent is a tenant's authorization: a documented instruction of the controller (GDPR Art. 28(3)(a)). It is not the consent of a
data subject (Art. 6(1)(a)). Texts call it an authorization by the tenant; commands and code keep the short word.

terms.py       terms of a consent, and its states; contracts and prerequisites, which sharing needs besides consent
evaluation.py  the acts that decide, and whether a consent covers a recipient's function; for a run, row by row
"""

from __future__ import annotations

from minimize.consent.evaluation import (
    ConsentAnswer,
    ConsentPeriods,
    Consents,
    EffectiveConsents,
    load_agreements,
    load_consents,
)
from minimize.consent.terms import ConsentTerms, current_terms

__all__ = [
    "ConsentAnswer",
    "ConsentPeriods",
    "ConsentTerms",
    "Consents",
    "EffectiveConsents",
    "current_terms",
    "load_agreements",
    "load_consents",
]
