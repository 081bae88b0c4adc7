"""Consents of tenants over time: their terms, and who agreed to them, for whole columns of tenants.

terms.py       what a consent covers, and the states of a consent
evaluation.py  which acts decide, and whether a consent holds for a recipient's function as its file is now
periods.py     the same for a run, row by row: the periods in which the consent of a tenant covers a function
"""

from __future__ import annotations

from minimize.consent.evaluation import ConsentAnswer, Consents, EffectiveConsents, load_consents
from minimize.consent.periods import ConsentPeriods
from minimize.consent.terms import ConsentTerms, current_terms

__all__ = [
    "ConsentAnswer",
    "ConsentPeriods",
    "ConsentTerms",
    "Consents",
    "EffectiveConsents",
    "current_terms",
    "load_consents",
]
