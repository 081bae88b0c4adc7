"""Which batch dates a run is asked for: all that are found, one, those of a span; of these all, or what is pending."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Final, Self

from minimize.errors import ConfigurationError, RefusedError
from minimize.times import day

Day = dt.date | None
"""A batch date; None is the one batch of a source without dates."""
SKEW: Final = dt.timedelta(minutes=5)
"""How far the clock of whoever gives a time may be before ours."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """The batch dates that are asked for.

    only     this one
    since    none before this one
    until    none after this one
    pending  of these only the ones whose inputs changed since their last receipt
    """

    only: dt.date | None = None
    since: dt.date | None = None
    until: dt.date | None = None
    pending: bool = False

    @classmethod
    def of(
        cls,
        date: dt.date | str | None = None,
        since: dt.date | str | None = None,
        until: dt.date | str | None = None,
        *,
        pending: bool = False,
    ) -> Self:
        """What was asked, as calendar days. Raises ConfigurationError where the words contradict each other."""
        given = {"date": date, "since": since, "until": until}
        only, first, last = (None if each is None else day(each, name) for name, each in given.items())
        if only is not None and (first is not None or last is not None or pending):
            raise ConfigurationError("one date was given, and others as well", hint="leave --date out, or the rest")
        if first is not None and last is not None and first > last:
            raise ConfigurationError("the span of dates ends before it begins", hint="--from is the earlier one")
        return cls(only, first, last, pending)

    @property
    def by_date(self) -> bool:
        """Whether a date was named, so that the source must have dates."""
        return (self.only, self.since, self.until) != (None, None, None)

    @property
    def words(self) -> str:
        """The dates in words; nothing where all that are found are asked for.

        >>> Wanted.of("2026-11-24").words, Wanted.of(since="2026-11-20").words
        ('of 2026-11-24', 'from 2026-11-20 on')
        """
        if self.only is not None:
            return f"of {self.only}"
        if self.since is None:
            return "" if self.until is None else f"up to {self.until}"
        return f"from {self.since} " + ("on" if self.until is None else f"to {self.until}")

    def __contains__(self, when: Day) -> bool:
        if when is None:
            return not self.by_date
        if self.only is not None:
            return when == self.only
        return (self.since or dt.date.min) <= when <= (self.until or dt.date.max)


def check_time(asked: dt.datetime | None, now: dt.datetime, apart: bool) -> None:
    """A run as of another time than now wants an output named for it (`apart`). Raises RefusedError."""
    if asked is None or apart or now <= asked <= now + SKEW:
        return
    if asked < now:
        hint = "give --output DIR: a run as of an earlier time does not replace what stands"
        raise RefusedError("--at lies before now", hint=hint)
    hint = "give --output DIR: before that time no other run of its dates could follow"
    raise RefusedError("--at lies after now", hint=hint)
