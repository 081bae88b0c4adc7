"""Grades of a change, and how single things are compared. What cannot be compared loosens: a reviewer shall look at it.

Every comparison holds what the whole rests on: where the way from old to new tightens, the way back loosens.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any, Final, Literal

Grade = Literal["tightens", "loosens", "neutral"]
Comparison = Callable[[Any, Any], Grade]
"""Takes what was and what is, gives the grade of the change."""
ORDER: Final[tuple[Grade, ...]] = ("loosens", "tightens", "neutral")


def joined(grades: Iterable[Grade]) -> Grade:
    """The grade of several changes at once: one that loosens decides, then one that tightens.

    >>> joined(["neutral", "tightens"]), joined(["tightens", "loosens"]), joined([])
    ('tightens', 'loosens', 'neutral')
    """
    return min(grades, key=ORDER.index, default="neutral")


def changed(old: Any, new: Any) -> Grade:
    """Any difference loosens: there is no order in it."""
    return "neutral" if old == new else "loosens"


def free(old: Any, new: Any) -> Grade:
    """No difference matters."""
    return "neutral"


def lower(old: Any, new: Any) -> Grade:
    """Less tightens. None is no limit, above every number.

    >>> lower(24, 16), lower(16, None), lower(None, None)
    ('tightens', 'loosens', 'neutral')
    """
    if old == new:
        return "neutral"
    return "tightens" if old is None or (new is not None and new < old) else "loosens"


def higher(old: Any, new: Any) -> Grade:
    """More tightens. None is no limit, below every number.

    >>> higher(10, 20), higher(20, None)
    ('tightens', 'loosens')
    """
    if old == new:
        return "neutral"
    return "tightens" if old is None or (new is not None and new > old) else "loosens"


def fewer(old: Collection[Any], new: Collection[Any]) -> Grade:
    """To have only some of them tightens.

    >>> fewer({1, 2}, {1}), fewer({1}, {2})
    ('tightens', 'loosens')
    """
    before, after = set(old), set(new)
    return "neutral" if before == after else "tightens" if after < before else "loosens"


def more(old: Collection[Any], new: Collection[Any]) -> Grade:
    """To have others beside them tightens."""
    before, after = set(old), set(new)
    return "neutral" if before == after else "tightens" if after > before else "loosens"


def said(old: Any, new: Any) -> Grade:
    """To say it, where nothing was said, tightens; to say another loosens."""
    if old == new:
        return "neutral"
    return "tightens" if old is None else "loosens"


def unsaid(old: Any, new: Any) -> Grade:
    """To say it no longer tightens; to say another loosens."""
    if old == new:
        return "neutral"
    return "tightens" if new is None else "loosens"


def ranked(words: Sequence[Any]) -> Comparison:
    """By their place in an order, from the tightest to the loosest; what has no place in it loosens."""

    def compared(old: Any, new: Any) -> Grade:
        if old == new:
            return "neutral"
        if old not in words or new not in words:
            return "loosens"
        return "tightens" if words.index(new) < words.index(old) else "loosens"

    return compared


def whole(names: Collection[Any], everything: Collection[Any]) -> Collection[Any]:
    """The names; all there are where none is said."""
    return names or everything


def by(comparisons: Mapping[str, Comparison], old: Mapping[str, Any], new: Mapping[str, Any]) -> Grade:
    """Parts by name, each by its comparison; a part that has none loosens where it differs."""
    return joined(comparisons.get(name, changed)(old.get(name), new.get(name)) for name in {**old, **new})
