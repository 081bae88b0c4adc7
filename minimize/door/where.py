"""Filters: conditions on single columns, all of which must hold. There is no language in them, and nothing is evaluated."""

from __future__ import annotations

import base64
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from typing import Any, Final

from minimize.door.names import is_word
from minimize.door.refusing import malformed

EQUAL: Final = "=="
IN: Final = "in"
NULL: Final = "null"
ORDERED: Final = ("<", "<=", ">", ">=")
OPERATORS: Final = (EQUAL, "!=", *ORDERED, IN)
MOST: Final = 64
"""Conditions in one filter."""
LONGEST: Final = 1000
"""Values of one condition."""
Plain = str | int | float | bool
Where = Mapping[str, Any] | Sequence[Sequence[Any]] | None
"""`{column: value, column: [value, …], column: {">=": value}}`, or the same as `(column, operator, value)`."""


@dataclass(frozen=True, slots=True)
class Condition:
    """A column, an operator, and values as JSON has them; a null is asked for by `null` and no value."""

    column: str
    operator: str
    values: tuple[Plain, ...] = field(default=(), repr=False)

    @property
    def told(self) -> str:
        """What the audit log is told of it: never a value."""
        return f"{self.column} {self.operator}"

    def as_json(self) -> list[Any]:
        """The condition as a request has it."""
        if self.operator == NULL:
            return [self.column, EQUAL, None]
        return [self.column, self.operator, list(self.values) if self.operator == IN else self.values[0]]


def conditions(where: Where) -> tuple[Condition, ...]:
    """The conditions of a filter. Raises ConfigurationError for what is none, without saying what was asked.

    >>> [each.told for each in conditions({"model": ["A", "B"], "hour": {">=": 7, "<": 9}})]
    ['model in', 'hour >=', 'hour <']
    """
    if where is None:
        return ()
    found = _of_mapping(where) if isinstance(where, Mapping) else _of_triples(where)
    if len(found) > MOST:
        raise malformed(f"a filter has at most {MOST} conditions")
    return tuple(_condition(*each) for each in found)


def _of_mapping(where: Mapping[str, Any]) -> list[tuple[Any, Any, Any]]:
    found: list[tuple[Any, Any, Any]] = []
    for column, said in where.items():
        if isinstance(said, Mapping):
            found += [(column, operator, value) for operator, value in said.items()]
        else:
            found.append((column, IN if isinstance(said, list | tuple | set | frozenset) else EQUAL, said))
    return found


def _of_triples(where: Any) -> list[tuple[Any, Any, Any]]:
    if not isinstance(where, list | tuple) or not all(
        isinstance(each, list | tuple) and len(each) == 3 for each in where
    ):
        raise malformed("a filter is {column: value}, or a list of [column, operator, value]")
    return [(each[0], each[1], each[2]) for each in where]


def _condition(column: Any, operator: Any, value: Any) -> Condition:
    if not isinstance(column, str) or not is_word(column):
        raise malformed("a condition names a column")
    if operator not in OPERATORS:
        raise malformed(f"a condition has one of these operators: {', '.join(OPERATORS)}")
    if value is None and operator == EQUAL:
        return Condition(column, NULL)
    several = operator == IN
    if several != isinstance(value, list | tuple | set | frozenset):
        raise malformed("`in` takes a list of values, every other operator one value")
    values = [*value] if several else [value]
    if len(values) > LONGEST:
        raise malformed(f"a condition has at most {LONGEST:,} values")
    return Condition(column, operator, tuple(map(_plain, values)))


def _plain(value: Any) -> Plain:
    """A value as JSON has it; what it stands for is told by the type of its column."""
    if isinstance(value, datetime | date):
        return value.isoformat()
    if isinstance(value, Decimal):
        return str(value)
    if isinstance(value, bytes):
        return base64.b64encode(value).decode("ascii")
    if isinstance(value, float) and not math.isfinite(value):
        raise malformed("a value that is no number")
    if isinstance(value, str | int | float):
        return value
    raise malformed("a value is text, a number, true or false, a time or a date")
