"""Which features tenants have turned on over time: a row a feature, a cell a moment, the darker the more tenants."""

from __future__ import annotations

from typing import Final, Literal

from minimize.report.facts import Collection
from minimize.report.plots.canvas import Canvas, Picture, shortened

_TITLE: Final = "Tenants that have a feature on, over time"
_ROW: Final = 28.0


def collection_picture(collection: Collection) -> Picture:
    """The picture of all features and levels."""
    now = ", ".join(f"{name} {numbers[-1]}" for name, numbers in collection.on.items())
    says = f"Of {collection.tenants} tenants now have on: {now}."
    return Picture(_TITLE, says, _drawn(collection, "wide", says), _drawn(collection, "narrow", says))


def _drawn(collection: Collection, kind: Literal["wide", "narrow"], says: str) -> str:
    width, left, letters = (720.0, 170.0, 21) if kind == "wide" else (340.0, 112.0, 13)
    canvas = Canvas(width, _ROW * len(collection.on) + 26)
    cell = (width - left - 74) / len(collection.moments)
    for place, (name, numbers) in enumerate(collection.on.items()):
        y = _ROW * place + 14
        canvas.text(left - 10, y, shortened(name, letters), align="right")
        canvas.box(left, y - 11, cell * len(numbers), 22, "head")
        for at, number in enumerate(numbers):
            if number:
                canvas.box(left + at * cell, y - 11, cell - 1, 22, "accent", 0.18 + 0.82 * number / collection.tenants)
        canvas.text(width - 66, y, f"{numbers[-1]:,} of {collection.tenants:,}", "soft", 11)
    _axis(canvas, collection, left, cell, kind)
    return canvas.svg(kind, _TITLE, says)


def _axis(canvas: Canvas, collection: Collection, left: float, cell: float, kind: str) -> None:
    y, last = canvas.height - 12, len(collection.moments) - 1
    canvas.text(left, y, f"{collection.moments[0]:%Y-%m-%d}", "soft", 11)
    if kind == "wide":
        canvas.text(left + cell * (last + 1) / 2, y, f"{collection.moments[last // 2]:%Y-%m-%d}", "soft", 11, "center")
    canvas.text(left + cell * (last + 1), y, "now", "soft", 11, "right")
