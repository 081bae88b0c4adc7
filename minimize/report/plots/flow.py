"""What came in and what went out, as bands from one bar to several."""

from __future__ import annotations

from typing import Final, Literal, cast

from minimize.report.facts import Flow
from minimize.report.plots.canvas import Canvas, Picture, Role
from minimize.report.rounding import Count, percent

_TITLE: Final = "What became of the rows read"
_LEAST: Final = 4.0
_SLOT: Final = 44.0
_TALL: Final = 190.0


def flow_picture(flow: Flow) -> Picture | None:
    """The picture; None where nothing was read."""
    if not flow.read or flow.read.hidden:
        return None
    parts = ", ".join(f"{count} {name}{_share(count, flow)}" for name, count in flow.parts.items() if count)
    says = f"{flow.read} rows were read: {parts}."
    return Picture(_TITLE, says, _drawn(flow, "wide", says), _drawn(flow, "narrow", says))


def _drawn(flow: Flow, kind: Literal["wide", "narrow"], says: str) -> str:
    parts = [(name, count) for name, count in flow.parts.items() if count]
    total = sum(_size(count) for _, count in parts)
    heights = [max(_LEAST, _TALL * _size(count) / total) for _, count in parts]
    slots = [max(_SLOT, height + 12) for height in heights]
    width, right = (720.0, 430.0) if kind == "wide" else (340.0, 150.0)
    canvas = Canvas(width, max(sum(slots), sum(heights)) + 34)
    canvas.text(0, 10, f"{flow.read} rows read", bold=True, size=13)
    top, left = 28.0, 28.0
    canvas.box(0, left, 14, sum(heights), "soft")
    for (name, count), height, slot in zip(parts, heights, slots, strict=True):
        role = cast("Role", name)
        canvas.band((14, left, left + height), (right, top, top + height), role, 0.32)
        canvas.box(right, top, 14, height, role)
        middle = top + max(height, 30) / 2
        share = _share(count, flow) if kind == "wide" else ""
        canvas.text(right + 24, middle - 8, f"{name} {count}{share}", bold=True)
        canvas.text(right + 24, middle + 9, _why(flow, name, kind == "wide"), "soft", 11)
        left, top = left + height, top + slot
    return canvas.svg(kind, _TITLE, says)


def _size(count: Count) -> float:
    return count.value or 1.0


def _share(count: Count, flow: Flow) -> str:
    said = percent(count.share(flow.read))
    return f" ({said})" if said else ""


def _why(flow: Flow, name: str, wide: bool) -> str:
    reasons = {"gated": flow.gated, "quarantined": flow.quarantined}.get(name, {})
    words = [reason.replace("_", " ") for reason in sorted(reasons, key=lambda each: -reasons[each].value)]
    most = 3 if wide else 1
    rest = f" and {len(words) - most} more" if len(words) > most else ""
    if words:
        return ", ".join(words[:most]) + rest
    return {
        "written": "to the output",
        "suppressed": "groups too small to show",
        "deduplicated": "told twice",
    }.get(name, "")
