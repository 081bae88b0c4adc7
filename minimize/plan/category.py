"""Category of a column and of an output: a function of the fields and of how far they can be linked to a person."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from minimize.plan.model import Category
from minimize.policy.model import Role
from minimize.techniques import Leaves, TechniqueStep
from minimize.techniques.top import Top

CATEGORY_ORDER: tuple[Category, ...] = ("aggregated", "pseudonymized", "identified")
FEW_SUBJECTS = 10
"""Subjects below which a value stands for few."""
_ROUNDING_TECHNIQUES = ("round", "bin", "clip")
LEAVES_ORDER: tuple[Leaves, ...] = ("nothing", "linkable", "guessable", "reversible", "everything")


def least_revealing(chain: Iterable[Leaves]) -> Leaves:
    """What a chain leaves: no more than its least revealing step.

    >>> least_revealing(["everything", "guessable"])
    'guessable'
    """
    return min(chain, key=LEAVES_ORDER.index, default="everything")


def most_revealing(branches: Iterable[Leaves]) -> Leaves:
    """What a field leaves whose branches leave these."""
    return max(branches, key=LEAVES_ORDER.index, default="nothing")


def step_leaves(step: TechniqueStep, roles: Collection[Role]) -> Leaves:
    """What a step leaves of a field that is made from fields of these roles.

    A number that stands for one person or device is still near enough to be guessed after it was rounded, and a value that
    few subjects have stands for few.
    """
    near = step.name in _ROUNDING_TECHNIQUES or (isinstance(step, Top) and step.at_least < FEW_SUBJECTS)
    return "guessable" if step.leaves == "nothing" and near and "identifier" in roles else step.leaves


def column_category(role: Role, leaves: Leaves) -> Category:
    """The category of a released column.

    >>> cases = (("identifier", "linkable"), ("identifier", "guessable"), ("free_text", "nothing"))
    >>> [column_category(*case) for case in cases]
    ['pseudonymized', 'identified', 'identified']
    """
    if role == "free_text":
        return "identified"
    if role == "identifier" and LEAVES_ORDER.index(leaves) >= LEAVES_ORDER.index("guessable"):
        return "identified"
    return "pseudonymized"


def records_category(columns: Iterable[Category]) -> Category:
    """The category of a records output: the highest of its columns, and never less than pseudonymized."""
    return highest_category([*columns, "pseudonymized"])


def highest_category(categories: Iterable[Category]) -> Category:
    """The highest of some categories; a field that is made from others has that of the most telling of them."""
    return max(categories, key=CATEGORY_ORDER.index)


def exceeds(category: Category, limit: Category | None) -> bool:
    """Whether a category exceeds what an output may be."""
    return limit is not None and CATEGORY_ORDER.index(category) > CATEGORY_ORDER.index(limit)
