"""The category of a column and of an output: a function of the fields and of their linkage."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from minimize.plan.model import Category
from minimize.policy.model import Role
from minimize.techniques import Leaves, Step
from minimize.techniques.top import Top

ORDER: tuple[Category, ...] = ("aggregated", "pseudonymized", "identified")
FEW = 10
"""Subjects below which a value stands for few."""
_NEAR = ("round", "bin", "clip")
_REVEALING: tuple[Leaves, ...] = ("nothing", "linkable", "guessable", "reversible", "everything")


def least(chain: Iterable[Leaves]) -> Leaves:
    """What a chain leaves: no more than its least revealing step.

    >>> least(["everything", "guessable"])
    'guessable'
    """
    return min(chain, key=_REVEALING.index, default="everything")


def most(branches: Iterable[Leaves]) -> Leaves:
    """What a field leaves whose branches leave these."""
    return max(branches, key=_REVEALING.index, default="nothing")


def left_of(step: Step, roles: Collection[Role]) -> Leaves:
    """What a step leaves of a field that is made from fields of these roles.

    A number that stands for one person or device is still near enough to be guessed after it was rounded, and a value that
    few subjects have stands for few.
    """
    near = step.name in _NEAR or (isinstance(step, Top) and step.at_least < FEW)
    return "guessable" if step.leaves == "nothing" and near and "identifier" in roles else step.leaves


def column(role: Role, leaves: Leaves) -> Category:
    """The category of a released column.

    >>> column("identifier", "linkable"), column("identifier", "guessable"), column("free_text", "nothing")
    ('pseudonymized', 'identified', 'identified')
    """
    if role == "free_text":
        return "identified"
    if role == "identifier" and _REVEALING.index(leaves) >= _REVEALING.index("guessable"):
        return "identified"
    return "pseudonymized"


def records(columns: Iterable[Category]) -> Category:
    """The category of a records output: the highest of its columns, and never less than pseudonymized."""
    return highest([*columns, "pseudonymized"])


def highest(categories: Iterable[Category]) -> Category:
    """The highest of some categories; a field that is made from others has that of the most telling of them."""
    return max(categories, key=ORDER.index)


def above(category: Category, limit: Category | None) -> bool:
    """Whether a category exceeds what an output may be."""
    return limit is not None and ORDER.index(category) > ORDER.index(limit)
