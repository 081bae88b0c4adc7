"""Rounded counts: to the nearest 5; 1 to 4 as "fewer than 5". Sums are made of rounded parts only."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, Self

ROUNDING_STEP: Final = 5


@dataclass(frozen=True, slots=True)
class RoundedCount:
    """A rounded count.

    Totals are added up from rounded parts, never rounded from exact ones: so no difference of a total and its other parts
    tells more of a part than the part itself does.

    value   a multiple of five
    few     how many parts of it are too small to say how small
    hidden  whether it is not shown, or a part of it is not

    >>> rounded = RoundedCount.rounded
    >>> [str(rounded(number)) for number in (0, 3, 5, 1_234)]
    ['0', 'fewer than 5', '5', '1,235']
    >>> str(rounded(12) + rounded(2)), str(rounded(1_200) + rounded(2)), str(rounded(1) + rounded(2))
    ('10 or more', '1,200', 'fewer than 9')
    """

    value: int = 0
    few: int = 0
    hidden: bool = False

    @classmethod
    def rounded(cls, number: int) -> Self:
        """An exact count, rounded."""
        return (
            cls(0, int(number > 0))
            if number < ROUNDING_STEP
            else cls((number + ROUNDING_STEP // 2) // ROUNDING_STEP * ROUNDING_STEP)
        )

    @classmethod
    def total(cls, parts: Iterable[RoundedCount]) -> Self:
        """The sum of parts."""
        each = tuple(parts)
        if any(part.hidden for part in each):
            return cls(hidden=True)
        return cls(sum(part.value for part in each), sum(part.few for part in each))

    def __add__(self, other: RoundedCount) -> RoundedCount:
        return RoundedCount.total((self, other))

    def __bool__(self) -> bool:
        return self.few > 0 or self.value > 0 or self.hidden

    def __str__(self) -> str:
        if self.hidden:
            return "not shown"
        if self.is_few:
            return f"fewer than {self.upper_bound}"
        return f"{self.value:,}{' or more' if self.is_open else ''}"

    @property
    def is_few(self) -> bool:
        """Whether no part of it is large enough to be told."""
        return self.few > 0 and not self.value

    @property
    def is_open(self) -> bool:
        """Whether small parts that are left out of the value can come to a twentieth of it or more."""
        return not self.is_few and (self.upper_bound - 1) * 20 >= self.value > 0

    @property
    def upper_bound(self) -> int:
        """What it is fewer than, where it is few: each small part is at most one less than the step."""
        return self.few * (ROUNDING_STEP - 1) + 1

    def as_json(self) -> int | str:
        """The number, or words where small parts leave it open."""
        return str(self) if self.is_few or self.is_open or self.hidden else self.value

    def share(self, whole: RoundedCount) -> float | None:
        """Which part of a whole it is, from rounded figures alone; None where that cannot be said."""
        return None if self.is_few or self.hidden or not whole.value else min(1.0, self.value / whole.value)


def percent_text(share: float | None) -> str:
    """A share in words.

    >>> [percent_text(share) for share in (None, 0.0, 0.004, 0.256, 0.997, 1.0)]
    ['', '0%', 'under 1%', '26%', 'over 99%', '100%']
    """
    if share is None:
        return ""
    if 0 < share < 0.01:
        return "under 1%"
    return "over 99%" if 0.99 < share < 1 else f"{share:.0%}"
