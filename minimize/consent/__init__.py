"""Consents of tenants over time: their terms, and who agreed to them, for whole columns of tenants.

terms.py       what a consent covers, and the states of a consent
evaluation.py  which acts decide, and whether a consent holds for a recipient's function as its file is now; for a run, row by row
"""

from __future__ import annotations

from minimize.consent.evaluation import ConsentAnswer, ConsentPeriods, Consents, EffectiveConsents, load_consents
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
