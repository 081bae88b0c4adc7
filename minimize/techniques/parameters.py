"""Order of the values of a parameter or of a key of a form, and which parameters name a key or another field.

Both are metadata of its type:

    parts: Annotated[int, LOWER_TIGHTENS]
    per: Annotated[str | None, Names.FIELD, SETTING_TIGHTENS] = None

Without an order it is `UNORDERED`: any change loosens.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from enum import Enum
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field


class Names(Enum):
    """What the value of a parameter names."""

    KEY = "a key of the keyring"
    FIELD = "another field of the record"


@dataclass(frozen=True, slots=True)
class Order:
    """Order of the values of a parameter or key: whether a change from an old to a new value makes the result show less.

    >>> LOWER_TIGHTENS.grade(24, 16), LOWER_TIGHTENS.grade(16, None), UNORDERED.grade("a", "b"), NEUTRAL.grade("a", "b")
    ('tightens', 'loosens', 'loosens', 'neutral')
    """

    tightens: Callable[[Any, Any], bool]
    neutral: bool = False
    is_set: bool = False
    """Whether the values are sets, so that their order makes no difference."""
    scale: tuple[Any, ...] = ()
    """All values from the finest, if `tightens` does not compare all of them."""

    def refines(self, old: Any, new: Any) -> bool:
        """Whether the new value is finer than the old one."""
        return self.scale.index(new) < self.scale.index(old) if self.scale else self.tightens(new, old)

    def grade(self, old: Any, new: Any) -> Literal["tightens", "loosens", "neutral"]:
        """The grade of a change. Without an order, any difference loosens."""
        if old == new or self.neutral or (self.is_set and set(old) == set(new)):
            return "neutral"
        return "tightens" if self.tightens(old, new) else "loosens"


def ranked(*chains: tuple[Any, ...], scale: tuple[Any, ...] = ()) -> Order:
    """The order of chains of values, each from the tightest to the loosest. Values that share no chain are not comparable.

    >>> ranked(("year", "month", "day"), ("week", "day")).grade("day", "week")
    'tightens'
    """
    return Order(
        lambda old, new: any(old in chain and new in chain and chain.index(new) < chain.index(old) for chain in chains),
        scale=scale,
    )


def _members(value: Any) -> frozenset[Any]:
    return frozenset(value.items() if isinstance(value, Mapping) else value)


LOWER_TIGHTENS = Order(lambda old, new: old is None or (new is not None and new < old))
"""A lower number tightens. None is no limit, above every number."""
HIGHER_TIGHTENS = Order(lambda old, new: old is None or (new is not None and new > old))
"""A higher number tightens. None is no limit, below every number."""
FEWER_TIGHTENS = Order(lambda old, new: None not in (old, new) and _members(new) < _members(old))
"""A proper subset tightens; of a mapping, fewer keys with the same values."""
MORE_TIGHTENS = Order(lambda old, new: None not in (old, new) and _members(new) > _members(old))
"""A proper superset tightens."""
SMALLER_SET_TIGHTENS = replace(FEWER_TIGHTENS, is_set=True)
LARGER_SET_TIGHTENS = replace(MORE_TIGHTENS, is_set=True)
LISTING_TIGHTENS = Order(lambda old, new: bool(new) and (not old or set(new) < set(old)), is_set=True)
"""A smaller set tightens. An empty one permits everything."""
SETTING_TIGHTENS = Order(lambda old, new: old is None or old == ())
"""Setting the parameter for the first time tightens."""
UNSETTING_TIGHTENS = Order(lambda old, new: new is None)
"""Removing the parameter tightens."""
UNORDERED = Order(lambda old, new: False)
"""Any difference loosens, because the values have no order."""
TRUE_TIGHTENS = ranked((True, False))
NEUTRAL = Order(lambda old, new: False, neutral=True)
"""No difference matters: the result shows the same of the value."""

KeyName = Annotated[str, Field(min_length=1), Names.KEY, NEUTRAL]
"""The name of a key of the keyring."""


def orders_of(form: type[BaseModel]) -> dict[str, Order]:
    """The order of each parameter of a technique, or of each key of a form."""
    return {
        name: next((each for each in info.metadata if isinstance(each, Order)), UNORDERED)
        for name, info in form.model_fields.items()
    }
