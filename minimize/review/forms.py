"""Forms compared: the chain of techniques that a value went through, and the one that it goes through now.

A chain that goes on where another ended is coarser than that; the same techniques are compared by their parameters; otherwise
what the chains leave of a value decides, and where they leave alike, nobody can say, and it loosens.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, Final

from minimize.plan.category import least, left_of
from minimize.policy.coarser import order
from minimize.policy.model import Do, Role
from minimize.review.grades import (
    Comparison,
    Grade,
    by,
    changed,
    fewer,
    free,
    higher,
    joined,
    lower,
    more,
    ranked,
    said,
    unsaid,
)
from minimize.techniques import Leaves, Step
from minimize.techniques.generalize import Generalize

_LEFT: Final[tuple[Leaves, ...]] = ("nothing", "linkable", "guessable", "reversible", "everything")
_ROTATIONS: Final = ("day", "week", "month", "quarter", "year", None)
_AGES: Final = ("years", "months", "days")


def _kept(old: int | None, new: int | None) -> Grade:
    return lower(old or 0, new or 0)


def unit_grade(old: str, new: str) -> Grade:
    """The grade of a change of a unit of time: one that is not made of whole ones of the other cannot be compared."""
    if old == new:
        return "neutral"
    return "tightens" if order("truncate_time", {"to": old}, {"to": new}) == "coarser" else "loosens"


def _mapping(old: Mapping[str, Any], new: Mapping[str, Any]) -> Grade:
    """To map fewer values, and those as before, leaves more of them to what stands for all others."""
    same = all(old[key] == new[key] for key in old.keys() & new.keys())
    return fewer(old.keys(), new.keys()) if same else "loosens"


PARAMETERS: Final[Mapping[str, Mapping[str, Comparison]]] = {
    "keep": {},
    "pseudonymize": {"key": free, "per": said, "rotate": ranked(_ROTATIONS), "link": unsaid, "fold": changed},
    "tokenize": {"key": free, "per": said},
    "mask": {"keep_last": _kept, "keep_first": _kept},
    "round": {"to": higher},
    "bin": {"width": higher, "origin": changed, "edges": changed, "as_": free},
    "clip": {"min": higher, "max": lower},
    "truncate_time": {"to": unit_grade, "zone": changed},
    "age": {"unit": ranked(_AGES), "at": changed},
    "shift_dates": {"key": free, "per": changed, "max_days": higher},
    "truncate_ip": {"v4": lower, "v6": lower, "as_": free},
    "truncate_version": {"parts": lower},
    "generalize": {"hierarchy": changed, "level": higher},
    "map": {"values": _mapping, "otherwise": changed},
    "top": {"keep": lower, "other": free, "at_least": higher},
    "grid": {"metres": higher},
    "h3": {"resolution": lower},
    "keep_host": {},
    "email_domain": {},
    "redact": {"patterns": more, "mark": free},
    "presence": {},
    "size": {},
}
"""By technique how each of its parameters is compared; of one that is not here any difference loosens."""


def form_grade(old: Do, new: Do, roles: Collection[Role] = ()) -> Grade:
    """The grade of a change from one form to another.

    Takes chains of steps or `drop`, and the roles of the fields that they are of.

    >>> from minimize.techniques.mask import Mask
    >>> form_grade((Mask(keep_last=4),), (Mask(keep_last=2),)), form_grade("drop", (Mask(keep_last=2),))
    ('tightens', 'loosens')
    """
    if old == "drop" or new == "drop":
        return "neutral" if old == new else "tightens" if new == "drop" else "loosens"
    before, after = _spelled(old), _spelled(new)
    if before == after:
        return "neutral"
    if [name for name, _ in before] == [name for name, _ in after]:
        return joined(_step(name, then, now) for (name, then), (_, now) in zip(before, after, strict=True))
    if after[: len(before)] == before or before[: len(after)] == after:
        return "tightens" if len(after) > len(before) else "loosens"
    return _by_what_is_left(old, new, roles)


def _spelled(chain: tuple[Step, ...]) -> list[tuple[str, dict[str, Any]]]:
    """The steps that do something, by name and with all their parameters; a hierarchy is its content."""
    steps = [(step.name, {**step.model_dump(), **_content(step)}) for step in chain]
    return [each for each in steps if each[0] != "keep"]


def _content(step: Step) -> dict[str, str]:
    return {"hierarchy": step.digest} if isinstance(step, Generalize) else {}


def _step(name: str, old: Mapping[str, Any], new: Mapping[str, Any]) -> Grade:
    if name == "bin" and old["edges"] is not None and new["edges"] is not None:
        return joined([fewer(old["edges"], new["edges"]), ranked((False, True))(*map(_tells_ends, (old, new)))])
    return by(PARAMETERS.get(name, {}), old, new)


def _tells_ends(given: Mapping[str, Any]) -> bool:
    """Whether bins say on which side a value is out of them; numbers are null on either."""
    return bool(given["as_"] == "label")


def _by_what_is_left(old: tuple[Step, ...], new: tuple[Step, ...], roles: Collection[Role]) -> Grade:
    if "presence" in (old[-1].name, new[-1].name):
        return "tightens" if new[-1].name == "presence" else "loosens"
    before, after = (_LEFT.index(least(left_of(step, roles) for step in chain)) for chain in (old, new))
    return "tightens" if after < before else "loosens"
