"""What all attacks have in common: the released records and what an attacker knows, success rates, the control, the interface."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from math import sqrt
from typing import ClassVar, Final

import pyarrow as pa

from minimize.disclosure_risk.combinations import Combinations, combinations_of
from minimize.errors import ConfigurationError

_Z: Final = 1.959963984540054
"""The 97.5 % quantile of the standard normal distribution, for intervals of 95 %."""
_DIGITS: Final = 6


@dataclass(frozen=True)
class SuccessRate:
    """How many of some attempts succeed. An expected number of successes need not be a whole number.

    >>> SuccessRate(12, 1000).to_json()
    {'successes': 12, 'attempts': 1000, 'rate': 0.012, 'low': 0.006878, 'high': 0.020857}
    """

    successes: float
    attempts: int

    @property
    def rate(self) -> float | None:
        """Successes ÷ attempts; None without any attempt."""
        return self.successes / self.attempts if self.attempts else None

    @property
    def interval(self) -> tuple[float, float] | None:
        """The 95 % interval of the rate (Wilson 1927); None without any attempt."""
        if not self.attempts:
            return None
        share, count, square = self.successes / self.attempts, self.attempts, _Z * _Z
        center = share + square / (2 * count)
        spread = _Z * sqrt(max(0.0, share * (1 - share)) / count + square / (4 * count * count))
        scale = 1 + square / count
        return max(0.0, (center - spread) / scale), min(1.0, (center + spread) / scale)

    def to_json(self) -> dict[str, float | int | None]:
        """The numbers as a JSON object."""
        low, high = self.interval or (None, None)
        return {
            "successes": shown_number(self.successes),
            "attempts": self.attempts,
            "rate": shown_number(self.rate),
            "low": shown_number(low),
            "high": shown_number(high),
        }


def shown_number(number: float | None) -> float | int | None:
    """A number with six decimal places; a whole number as an integer."""
    if number is None:
        return None
    rounded = round(number, _DIGITS)
    return int(rounded) if rounded == int(rounded) else rounded


@dataclass(frozen=True)
class AttackResult:
    """How often an attack succeeds, next to a control that has the same knowledge but not the target's own records."""

    name: str
    """The name of the attack in `ATTACKS`."""
    title: str
    """What the attack attempts, in a few words."""
    targets: str
    """What is attacked: `data subjects` or `records`."""
    attack: SuccessRate
    control: SuccessRate | None = None
    """None if the attack cannot succeed against people who are not in the release."""
    sensitive: str | None = None
    """The attribute that the attack guesses."""

    @property
    def risk(self) -> float | None:
        """(attack − control) ÷ (1 − control): how much of what the control does not achieve, the release makes possible.

        Without a control, the rate of the attack. It is negative if the control succeeds more often. None without any attempt.
        """
        return _excess(self.attack.rate, None if self.control is None else self.control.rate)

    @property
    def risk_interval(self) -> tuple[float, float] | None:
        """Bounds of the risk, from the opposite bounds of attack and control; wider than a 95 % interval. None if unknown."""
        attack, control = self.attack.interval, None if self.control is None else self.control.interval
        if attack is None:
            return None
        if control is None:
            return attack
        low, high = _excess(attack[0], control[1]), _excess(attack[1], control[0])
        return None if low is None or high is None else (low, high)

    def to_json(self) -> dict[str, object]:
        """The result as a JSON object. `sensitive` is absent if the attack guesses no attribute."""
        low, high = self.risk_interval or (None, None)
        return {
            "name": self.name,
            **({} if self.sensitive is None else {"sensitive": self.sensitive}),
            "targets": self.targets,
            **self.attack.to_json(),
            "control": None if self.control is None else self.control.to_json(),
            "risk": shown_number(self.risk),
            "risk_low": shown_number(low),
            "risk_high": shown_number(high),
        }


def _excess(attack: float | None, control: float | None) -> float | None:
    if attack is None or control is None:
        return attack
    return (attack - control) / (1 - control) if control < 1 else 0.0


@dataclass(frozen=True)
class AttackedRecords:
    """Released records, and what an attacker knows and wants. Raises ConfigurationError for columns that do not fit."""

    table: pa.Table = field(repr=False)
    quasi_identifiers: Sequence[str]
    """The columns that the attacker knows of a target."""
    sensitive: Sequence[str] = ()
    """The columns that the attacker wants to learn."""
    person: str | None = None
    """The column of the data subject; without it each record is a data subject of its own. Records without one have the same."""
    suppressed: int = 0
    """How many data subjects (or records) were withheld from the table: attempts that cannot succeed."""
    earlier: pa.Table | None = field(default=None, repr=False)
    """An earlier release of the same records, which the attacker has as well."""

    def __post_init__(self) -> None:
        names = [*self.quasi_identifiers, *self.sensitive, *([] if self.person is None else [self.person])]
        missing = [name for name in names if name not in self.table.column_names]
        if missing:
            hint = f"Name columns of the released records: {', '.join(self.table.column_names)}."
            raise ConfigurationError(f"the released records have no column {', '.join(missing)}", hint=hint)
        repeated = sorted({name for name in names if names.count(name) > 1})
        if repeated:
            hint = "Name a column once: as a quasi-identifier, as sensitive, or as the data subject."
            raise ConfigurationError(f"{', '.join(repeated)} has two parts in an attack", hint=hint)

    @property
    def targets(self) -> str:
        """What is attacked."""
        return "records" if self.person is None else "data subjects"

    @cached_property
    def combinations(self) -> Combinations:
        """The combinations of the quasi-identifiers in the release."""
        return combinations_of(self.table, self.quasi_identifiers, person=self.person)


class Attack(ABC):
    """An attack on released records. An attack is one class in a file of its own, and a row in `ATTACKS`."""

    name: ClassVar[str]
    """Its name in fixtures, options and JSON."""
    title: ClassVar[str]
    """What it attempts, in a few words."""
    needs_sensitive: ClassVar[bool] = False
    """Whether it needs sensitive attributes, and has a result for each."""
    compares_releases: ClassVar[bool] = False
    """Whether it needs an earlier release."""

    @classmethod
    @abstractmethod
    def measure(cls, records: AttackedRecords) -> list[AttackResult]:
        """The results of the attack on some records, which have what it needs."""

    @classmethod
    def result(
        cls,
        records: AttackedRecords,
        attack: SuccessRate,
        control: SuccessRate | None = None,
        sensitive: str | None = None,
    ) -> AttackResult:
        """A result of this attack."""
        return AttackResult(cls.name, cls.title, records.targets, attack, control, sensitive)
