"""What a dataset of samples is, and the tenants that all of them share.

A new dataset is one file beside this one with one class, one row in `DATASETS` (`__init__.py`), one test file.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Protocol
from uuid import NAMESPACE_DNS, uuid5

import numpy as np
import pyarrow as pa

from minimize.samples.collection import Clock, Setting
from minimize.samples.faults import Faults
from minimize.samples.values import Ints, Random, chance

DOMAINS = (
    "alpine.example",
    "harbour.example",
    "orchard.example",
    "quarry.example",
    "meadow.example",
    "lantern.example",
)
TENANTS = tuple(str(uuid5(NAMESPACE_DNS, domain)) for domain in DOMAINS)
DAY = 86_400_000
"""Milliseconds."""


@dataclass(frozen=True, slots=True)
class Slice:
    """Some records of one day: those numbered `start` to `start + count` of that day's `of`."""

    day: date
    start: int
    count: int
    of: int

    @property
    def midnight(self) -> int:
        """When the day begins, in milliseconds since 1970, UTC."""
        return (self.day.toordinal() - date(1970, 1, 1).toordinal()) * DAY


class Dataset(Protocol):
    """A population (of devices, of users) that sends records."""

    @property
    def faults(self) -> Faults:
        """What may befall its records."""
        ...

    def records(self, part: Slice, random: Random) -> pa.StringArray:
        """The records of a slice as JSON lines, in the order in which they arrive."""
        ...

    def settings(self, clock: Clock, random: Random) -> Sequence[Setting]:
        """What was collected when."""
        ...


class Kind(Protocol):
    """A way to make a dataset: the schema of its records, and a population for so many records a day."""

    schema: pa.Schema

    def __call__(self, per_day: int, seed: int) -> Dataset:
        """The population."""
        ...


def delayed(events: Ints, random: Random) -> tuple[Ints, Ints]:
    """Event times of records that arrive in this batch, and the order of arrival.

    Most arrive within minutes (out of order), one in fifty happened one to three days before, one in a thousand is too old
    to be kept.
    """
    arrival = np.argsort(events + random.integers(0, 600_000, len(events)), kind="stable")
    late = np.where(chance(random, len(events), 0.02), random.integers(1, 4, len(events)) * DAY, 0)
    ancient = np.where(chance(random, len(events), 0.001), 40 * DAY, 0)
    return events - late - ancient, arrival
