"""Views: coarser forms in which a role sees columns, and what several of them come to."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from minimize.governance.access.model import Role, covers
from minimize.policy.coarser import order
from minimize.techniques import Step, Technique
from minimize.techniques.presence import Presence

View = tuple[Technique, ...]


def is_view(step: Step) -> bool:
    """Whether a step makes a coarser form of what was released: it needs nothing but the value.

    What is worked out from the released value alone tells no more than that value; a key or another column could.
    """
    return isinstance(step, Technique) and not (step.reads() or step.key_names or step.needs_time)


def views_on(role: Role, dataset: str, column: str) -> list[View]:
    """The views that a role sets on a column of a dataset."""
    found = [columns[column] for name, columns in role.views.items() if covers(name, dataset) and column in columns]
    return _once(found)


def coarsest(views: Iterable[View]) -> View | None:
    """The one of several views that shows least; None where there is no such one. Without any view: nothing to do.

    Roles add up in what they allow, and views are what they hold back: whoever has several sees the least of them.
    """
    every = _once([*views])
    return next((view for view in every if all(_is_coarser(other, view) for other in every)), None) if every else ()


def shows_less(view: View, form: Sequence[Step]) -> bool:
    """Whether a view can show less than a column that was released in a form: nothing says that it shows the same."""
    if len(view) == len(form) == 1 and view[0].name == form[0].name:
        return order(view[0].name, form[0].model_dump(), view[0].model_dump()) == "coarser" and view[0] != form[0]
    return bool(view)


def _is_coarser(one: View, other: View) -> bool:
    """Whether the second of two views shows no more than the first."""
    if one == other or isinstance(other[-1], Presence):
        return True
    if len(one) != 1 or len(other) != 1 or one[0].name != other[0].name:
        return False
    return order(one[0].name, one[0].model_dump(), other[0].model_dump()) == "coarser"


def _once(views: Sequence[View]) -> list[View]:
    """Each of them once; a technique may hold what cannot be hashed."""
    return [view for at, view in enumerate(views) if view not in views[:at]]
