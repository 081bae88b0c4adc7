"""Whether there is a consent, by going through the acts of one tenant one after the other: nothing shared with the house."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from minimize.ledger.consents import Act


def verdict(history: Sequence[Act], terms: str, times: Sequence[datetime], run: datetime) -> str | None:
    """Why there is none, at the first of the times at which there is none; None where there is one at each."""
    for when in times:
        reason = _at(history, terms, when, run)
        if reason is not None:
            return reason
    return None


def _at(history: Sequence[Act], terms: str, when: datetime, run: datetime) -> str | None:
    chosen: Act | None = None
    asked = later = False
    for act in history:
        if act.recorded_at > run:
            continue
        if act.valid_from > when:
            later = later or act.state in ("given", "renewed")
        elif act.state == "requested":
            asked = True
        elif chosen is None or not _before(act, chosen):
            chosen = act
    if chosen is None:
        return "not_yet" if later else "requested" if asked else "none"
    for act in history:
        ends = act.state in ("refused", "withdrawn", "expired")
        if ends and act.recorded_at <= run and act.valid_from <= when and _outlasts(act, chosen):
            chosen = act
    return _said(chosen, terms, when)


def _before(act: Act, other: Act) -> bool:
    """Whether an act comes before another: by its time, then its recording; a consent before what ends one."""
    if act.valid_from != other.valid_from:
        return act.valid_from < other.valid_from
    if act.recorded_at != other.recorded_at:
        return act.recorded_at < other.recorded_at
    return act.state in ("given", "renewed") and other.state not in ("given", "renewed")


def _outlasts(ending: Act, chosen: Act) -> bool:
    """Whether what ends a consent was recorded no earlier than it."""
    if ending.recorded_at != chosen.recorded_at:
        return ending.recorded_at > chosen.recorded_at
    return chosen.state in ("given", "renewed") or ending.valid_from >= chosen.valid_from


def _said(act: Act, terms: str, when: datetime) -> str | None:
    if act.state not in ("given", "renewed"):
        return act.state
    if act.expires_at is not None and act.expires_at <= when:
        return "expired"
    return None if act.terms == terms else "other_text"
