"""Runs over time: what became of the rows of each, as bars."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Literal, cast

from minimize.report.facts import RunFacts
from minimize.report.plots.canvas import Canvas, Picture, Role, evenly

MOST: Final = 60
_TITLE: Final = "Rows of each run"
_TALL: Final = 170.0
_TOP: Final = 46.0


def runs_picture(runs: Sequence[RunFacts]) -> Picture | None:
    """The picture of the last runs; None where no run read anything."""
    shown = runs[-MOST:]
    if not any(each.flow.read.value for each in shown):
        return None
    first, last = shown[0], shown[-1]
    earlier = f" {len(runs) - MOST} earlier runs are left out." if len(runs) > MOST else ""
    says = f"{len(shown)} runs; the first read {first.flow.read} rows, the last {last.flow.read}.{earlier}"
    return Picture(_TITLE, says, _drawn(shown, "wide", says), _drawn(shown, "narrow", says))


def _drawn(runs: Sequence[RunFacts], kind: Literal["wide", "narrow"], says: str) -> str:
    width, left = (720.0, 62.0) if kind == "wide" else (340.0, 52.0)
    canvas = Canvas(width, _TOP + _TALL + 28)
    most = _round_up(max(each.flow.read.value for each in runs))
    for part in (0.0, 0.5, 1.0):
        y = _TOP + _TALL * (1 - part)
        canvas.line(left, y, width, y, "line")
        canvas.text(left - 8, y, f"{most * part:,.0f}", "soft", 11, "right")
    step = (width - left) / len(runs)
    for place, each in enumerate(runs):
        wide = min(step * 0.72, 48.0)
        _bar(canvas, each, left + (place + 0.5) * step - wide / 2, wide, most)
    for place in evenly(len(runs), 8 if kind == "wide" else 3):
        canvas.text(left + (place + 0.5) * step, _TOP + _TALL + 15, _named(runs[place]), "soft", 11, "center")
    _legend(canvas, runs, left, kind)
    return canvas.svg(kind, _TITLE, says)


def _bar(canvas: Canvas, run: RunFacts, x: float, width: float, most: int) -> None:
    y = _TOP + _TALL
    for name, count in run.flow.parts.items():
        height = _TALL * count.value / most
        if height:
            canvas.box(x, y - height, width, height, cast("Role", name), 1.0 if run.in_force else 0.4)
        y -= height


def _round_up(most: int) -> int:
    """The next number that reads well on an axis.

    >>> [_round_up(number) for number in (5, 12, 2080, 5001)]
    [10, 20, 2500, 10000]
    """
    size = 10 ** (len(str(most)) - 1)
    return next(int(step * size) for step in (1, 2, 2.5, 5, 10) if step * size >= most and step * size >= 10)


def _named(run: RunFacts) -> str:
    return run.dates[-1][5:] if run.dates else f"{run.at:%m-%d}"


def _legend(canvas: Canvas, runs: Sequence[RunFacts], left: float, kind: str) -> None:
    x, y = (left, 10.0) if kind == "wide" else (0.0, 10.0)
    for name in runs[0].flow.parts:
        if any(each.flow.parts[name].value for each in runs):
            if x + 30 + 7 * len(name) > canvas.width:
                x, y = (left if kind == "wide" else 0.0), y + 18
            canvas.box(x, y - 5, 11, 11, cast("Role", name))
            canvas.text(x + 17, y, name, "soft", 11)
            x += 34 + 6.5 * len(name)
