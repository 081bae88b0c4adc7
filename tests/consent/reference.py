"""Whether there is a consent, by going through the acts of one tenant one after the other: no code shared with the program."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from minimize.ledger.kinds import ConsentAct


def verdict(history: Sequence[ConsentAct], terms: str, times: Sequence[datetime], run: datetime) -> str | None:
    """Why there is none, at the first of the times at which there is none; None where there is one at each."""
    for when in times:
        reason = _at(history, terms, when, run)
        if reason is not None:
            return reason
    return None


def _at(history: Sequence[ConsentAct], terms: str, when: datetime, run: datetime) -> str | None:
    known = [(place, act) for place, act in enumerate(history) if act.recorded_at <= run]
    begun = [(place, act) for place, act in known if act.valid_from <= when]
    consents = [(place, act) for place, act in begun if act.state in ("given", "renewed")]
    endings = [(place, act) for place, act in begun if act.state in ("refused", "withdrawn", "expired")]
    if not consents and not endings:
        later = any(act.state in ("given", "renewed") for _, act in known)
        return "not_yet" if later else begun[-1][1].state if begun else "none"
    if not consents:
        return endings[-1][1].state
    place, consent = max(consents, key=lambda each: (each[1].valid_from, each[0]))
    for other, ending in endings:
        if other > place or ending.valid_from > consent.valid_from:
            return endings[-1][1].state
    return _said(consent, terms, when)


def _said(act: ConsentAct, terms: str, when: datetime) -> str | None:
    if act.expires_at is not None and act.expires_at <= when:
        return "expired"
    return None if act.terms == terms else "other_text"
