"""Category of columns and outputs, by how far they can be linked to a person: identified, pseudonymized or aggregated."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from minimize.plan.model import Category
from minimize.policy.model import Role
from minimize.techniques import Leaves, TechniqueStep
from minimize.techniques.base import LEAVES_ORDER

CATEGORY_ORDER: tuple[Category, ...] = ("aggregated", "pseudonymized", "identified")


def least_revealing(chain: Iterable[Leaves]) -> Leaves:
    """The remaining form after a chain: that of its least revealing step.

    >>> least_revealing(["everything", "guessable"])
    'guessable'
    """
    return min(chain, key=LEAVES_ORDER.index, default="everything")


def most_revealing(branches: Iterable[Leaves]) -> Leaves:
    """The remaining form of a field from those of its branches."""
    return max(branches, key=LEAVES_ORDER.index, default="nothing")


def step_leaves(step: TechniqueStep, roles: Collection[Role]) -> Leaves:
    """The remaining form after a step, for a field that is derived from fields of these roles."""
    return step.remaining_form(identifier="identifier" in roles)


def category_named(name: str) -> Category:
    """The category with a name that a receipt states. An unknown one counts as identified."""
    return next((each for each in CATEGORY_ORDER if each == name), "identified")


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
    """The category of a records output: the highest of its columns, at least pseudonymized."""
    return highest_category([*columns, "pseudonymized"])


def highest_category(categories: Iterable[Category]) -> Category:
    """The highest of some categories. A derived field has the highest category of its inputs."""
    return max(categories, key=CATEGORY_ORDER.index)


def exceeds(category: Category, limit: Category | None) -> bool:
    """Whether a category exceeds the `must_be` of an output."""
    return limit is not None and CATEGORY_ORDER.index(category) > CATEGORY_ORDER.index(limit)
