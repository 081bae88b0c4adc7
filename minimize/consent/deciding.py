"""Consents as sharing asks for them: for a function as its file is now, and a whole column of tenants."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from minimize.consent.answer import NOBODY, Answer, Decision, answered
from minimize.consent.history import NOTHING, History, Times, ticks
from minimize.consent.states import VALID
from minimize.consent.terms import Terms, terms_from, terms_of
from minimize.recipients import Recipient

if TYPE_CHECKING:
    from minimize.ledger.consents import Act
    from minimize.ledger.ledger import Ledger


@dataclass(frozen=True)
class Consents:
    """All that was recorded about consents, in the order of recording."""

    acts: tuple[Act, ...]

    def at(self, run: datetime, event: datetime | None = None) -> Seen:
        """The consents as they are known at the time of the run (of sharing).

        With the time of an event a consent must hold at both, each time by what is known at the run's.
        """
        return Seen(self, run, event)

    def history(self, recipient: str, function: str, *, fold: bool = False) -> History:
        """The acts about one function. With `fold`, tenants that differ in case alone are one tenant."""
        if fold:
            acts = (act for act in self.acts if (act.recipient, act.function) == (recipient, function))
            return History.of(tuple(acts), fold=True)
        return self._histories.get((recipient, function)) or History.of(())

    @cached_property
    def _histories(self) -> dict[tuple[str, str], History]:
        found: dict[tuple[str, str], list[Act]] = {}
        for act in self.acts:
            found.setdefault((act.recipient, act.function), []).append(act)
        return {key: History.of(acts) for key, acts in found.items()}


@dataclass(frozen=True)
class Seen:
    """Consents at one time."""

    consents: Consents
    run: datetime
    event: datetime | None = None

    def valid(
        self, recipient: Recipient, function: str, tenants: pa.Array, fields: Sequence[str] | None = None
    ) -> Answer:
        """Of each row whether its tenant agreed to the function as the recipient's file has it now.

        Takes the tenants (text, dictionary-encoded or in chunks, too), and which of the function's fields are to leave, else
        all that can. Nulls: a null tenant agreed to nothing. What is not known, not covered or not there is no consent.
        """
        if recipient.function(function) is None:
            return answered((), (), (None, "no_function"), tenants)
        wanted = terms_of(recipient, function)
        history = self.consents.history(recipient.recipient, function)
        covering = Covering(history, wanted, fields)
        decisions = [covering.at(when, self.run) for when in self.times]
        return answered(history.known, [_both(each) for each in zip(*decisions, strict=True)], NOBODY, tenants)

    @property
    def times(self) -> tuple[datetime, ...]:
        """The times at which a consent must hold: the run's first."""
        return (self.run,) if self.event is None else (self.run, self.event)


def load_consents(ledger: Ledger, *, recipient: str | None = None) -> Consents:
    """The consents of an open ledger, of one recipient where it is named. Raises LedgerError."""
    from minimize.ledger.consents import recorded

    return Consents(tuple(recorded(ledger, recipient=recipient)))


class Covering:
    """Which deciding acts cover the terms that are wanted, for some fields or for all."""

    def __init__(self, history: History, wanted: Terms, fields: Sequence[str] | None = None) -> None:
        self._history, self._wanted = history, wanted
        self._fields = tuple(wanted.forms if fields is None else fields)
        self._lacks: dict[str, str | None] = {}

    def at(self, when: datetime | Times, run: datetime) -> list[Decision]:
        """Of each known tenant the consent, or why there is none; at one time, or at one for each tenant."""
        history = self._history
        found = history.deciding(when, run)
        ahead, asked = history.ahead(when, run), history.requested(when, run)
        each = np.full(len(found), ticks(when), np.int64) if isinstance(when, datetime) else when
        return [self._decision(places, time) for *places, time in _each(found, ahead, asked, each)]

    def _decision(self, places: Sequence[int], when: int) -> Decision:
        place, ahead, asked = places
        if place == NOTHING:
            return None, "not_yet" if ahead != NOTHING else "requested" if asked != NOTHING else "none"
        act = self._history.acts[place]
        if act.state not in VALID:
            return None, act.state
        if self._history.expires_at[place] <= when:
            return None, "expired"
        lacks = self._lack(act.terms)
        return (act.id, None) if lacks is None else (None, lacks)

    def _lack(self, terms: str) -> str | None:
        """The same terms were agreed to by many tenants: each is compared once."""
        if terms not in self._lacks:
            self._lacks[terms] = terms_from(terms).lacks(self._wanted, self._fields)
        return self._lacks[terms]


def _each(*columns: npt.NDArray[np.int64]) -> Iterator[tuple[int, ...]]:
    return zip(*(column.tolist() for column in columns), strict=True)


def _both(decisions: Sequence[Decision]) -> Decision:
    """The first that lacks a consent decides; where none does, the consent of the run's time."""
    return next((decision for decision in decisions if decision[1] is not None), decisions[0])
