"""Precision given up, field by field, as bars of bits."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Literal

from minimize.report.facts import FieldFacts
from minimize.report.plots.canvas import Canvas, Picture, shortened

MOST: Final = 25
_TITLE: Final = "Precision given up, in bits"
_ROW: Final = 24.0


def bits_picture(fields: Sequence[FieldFacts]) -> Picture | None:
    """The picture of the fields of which bits are known and not zero, the most first; None where there are none."""
    known = sorted((each for each in fields if each.bits.number), key=lambda each: -(each.bits.number or 0))
    if not known:
        return None
    shown = known[:MOST]
    rest = f" {len(known) - MOST} more fields stand in the table alone." if len(known) > MOST else ""
    says = "; ".join(f"{each.key} {each.bits}" for each in shown[:8])
    more = "; the others stand in the table" if len(shown) > 8 else ""
    said = f"{says}{more}.{rest}"
    return Picture(_TITLE, said, _drawn(shown, "wide", said), _drawn(shown, "narrow", said))


def _drawn(fields: Sequence[FieldFacts], kind: Literal["wide", "narrow"], says: str) -> str:
    width, left, letters = (720.0, 210.0, 26) if kind == "wide" else (340.0, 132.0, 16)
    canvas = Canvas(width, _ROW * len(fields) + 8)
    room = width - left - 70
    most = max(each.bits.number or 0 for each in fields)
    for place, each in enumerate(fields):
        y = _ROW * place + 14
        canvas.text(left - 10, y, shortened(each.key, letters), align="right")
        long = room * (each.bits.number or 0) / most
        canvas.box(left, y - 7, max(2.0, long), 13, "accent", 0.85)
        canvas.text(left + long + 8, y, str(each.bits).replace("at least ", "≥ "), "soft", 11)
    return canvas.svg(kind, _TITLE, says)
