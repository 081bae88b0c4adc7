"""What goes when: a line for each batch date, from its day to the one on which nothing of it may be left, and now."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, time
from types import MappingProxyType
from typing import Final, Literal

from minimize.report.facts import Partition, Retention
from minimize.report.plots.canvas import Canvas, Picture, Role

MOST: Final = 31
_TITLE: Final = "What goes when"
_ROW: Final = 20.0
_ROLES: Final[Mapping[str, Role]] = MappingProxyType({"kept": "written", "soon": "gated", "overdue": "quarantined"})
_WORDS: Final = {"kept": "", "soon": "soon", "overdue": "overdue"}


def keeping_picture(retention: Retention, at: datetime) -> Picture | None:
    """The picture of the dates that go first; None where nothing has an end."""
    ending = [each for each in retention.partitions if each.gone_by is not None]
    if not ending:
        return None
    shown = ending[:MOST]
    states = ", ".join(f"{sum(each.state == state for each in ending)} {state}" for state in _ROLES)
    later = f" {len(ending) - MOST} later dates are left out." if len(ending) > MOST else ""
    says = f"Of {len(ending)} dates: {states}. The first goes by {shown[0].gone_by:%Y-%m-%d}.{later}"
    return Picture(_TITLE, says, _drawn(shown, at, "wide", says), _drawn(shown, at, "narrow", says))


def _drawn(partitions: Sequence[Partition], at: datetime, kind: Literal["wide", "narrow"], says: str) -> str:
    width, left = (720.0, 96.0) if kind == "wide" else (340.0, 84.0)
    canvas = Canvas(width, _ROW * len(partitions) + 52)
    first, last = _born(partitions[0]), max(at, *(each.gone_by or at for each in partitions))
    room, span = width - left - 78, (last - first).total_seconds()

    def x(when: datetime) -> float:
        return left + room * (when - first).total_seconds() / span

    for place, each in enumerate(partitions):
        gone_by, y = each.gone_by or at, _ROW * place + 32
        canvas.text(left - 10, y, each.date, "ink", 11, "right")
        canvas.box(x(_born(each)), y - 5, x(gone_by) - x(_born(each)), 10, _ROLES.get(each.state, "written"), 0.8)
        canvas.text(x(gone_by) + 6, y, _WORDS.get(each.state) or f"{gone_by:%m-%d}", "soft", 11)
    canvas.line(x(at), 20, x(at), canvas.height - 20, "ink", 1.2, dash=True)
    canvas.text(x(at), 10, "now", "ink", 11, "center")
    return canvas.svg(kind, _TITLE, says)


def _born(partition: Partition) -> datetime:
    return datetime.combine(date.fromisoformat(partition.date), time(), UTC)
