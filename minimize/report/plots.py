"""Pictures of a report as SVG: the canvas (matplotlib), then precision, collection, rows, retention and runs.

Colours are roles that the page's style sheet defines (light, dark, paper). Texts never reach matplotlib: a mark replaces
them until the SVG is written. So no name is parsed as mathematics, no font glyph is needed, and every text is escaped.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from html import escape
from io import StringIO
from types import MappingProxyType
from typing import Any, Final, Literal, cast

from minimize.report.facts import (
    CollectionFacts,
    FieldFacts,
    PartitionFacts,
    ReportFacts,
    RetentionFacts,
    RoundedCount,
    RowFlow,
    RunFacts,
    percent_text,
)
from minimize.times import day_start

ColourRole = Literal[
    "ink", "soft", "line", "head", "page", "written", "gated", "quarantined", "suppressed", "deduplicated", "accent"
]
TextAlign = Literal["left", "center", "right"]
COLOURS: Final[Mapping[ColourRole, str]] = MappingProxyType(
    {
        "ink": "#0a0a01",
        "soft": "#0a0a02",
        "line": "#0a0a03",
        "head": "#0a0a04",
        "page": "#0a0a05",
        "written": "#0a0a06",
        "gated": "#0a0a07",
        "quarantined": "#0a0a08",
        "suppressed": "#0a0a09",
        "deduplicated": "#0a0a10",
        "accent": "#0a0a11",
    }
)
"""Marks for matplotlib. The page defines the colour of each."""
_ROLE_OF_MARK: Final = MappingProxyType({mark: role for role, mark in COLOURS.items()})
_COLOUR_MARK: Final = re.compile("|".join(COLOURS.values()))
_TEXT_MARK: Final = re.compile(r"@(\d+)@")
_OMITTED_SVG: Final = re.compile(r"<metadata>.*?</metadata>|<defs>.*?</defs>|<!--.*?-->| id=\"[^\"]*\"", re.DOTALL)
_FONT_STYLE: Final = re.compile(r" ?font-family: [^;\"]*;")
_SVG_SETTINGS: Final[Any] = {"svg.fonttype": "none", "svg.hashsalt": "minimize", "path.simplify": False}


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture for a page: title, description as text, and SVG for wide and for narrow screens."""

    title: str
    caption: str
    wide: str
    narrow: str

    def __html__(self) -> str:
        return self.wide + self.narrow


@dataclass
class Canvas:
    """A canvas with a size in pixels; y increases downwards."""

    width: float
    height: float
    words: list[str] = field(default_factory=list)
    _axes: Any = None
    _drawn: int = 0

    def __post_init__(self) -> None:
        from matplotlib.figure import Figure

        figure = Figure(figsize=(self.width / 72, self.height / 72), dpi=72)
        self._axes = figure.add_axes((0, 0, 1, 1))
        self._axes.set_axis_off()
        self._axes.set_xlim(0, self.width)
        self._axes.set_ylim(self.height, 0)

    def box(self, x: float, y: float, width: float, height: float, role: ColourRole, alpha: float = 1.0) -> None:
        """A filled rectangle."""
        from matplotlib.patches import Rectangle

        self._axes.add_patch(
            Rectangle(
                (x, y),
                width,
                height,
                facecolor=COLOURS[role],
                edgecolor="none",
                alpha=alpha,
                clip_on=False,
                zorder=self._above(),
            )
        )

    def line(
        self, x: float, y: float, to_x: float, to_y: float, role: ColourRole, width: float = 1.0, dash: bool = False
    ) -> None:
        """A straight line."""
        style = (0, (3, 3)) if dash else "solid"
        self._axes.plot(
            [x, to_x],
            [y, to_y],
            color=COLOURS[role],
            linewidth=width,
            linestyle=style,
            clip_on=False,
            solid_capstyle="butt",
            zorder=self._above(),
        )

    def band(
        self, start: tuple[float, float, float], end: tuple[float, float, float], role: ColourRole, alpha: float
    ) -> None:
        """A band from one upright edge (x, top, bottom) to another."""
        from matplotlib.patches import PathPatch
        from matplotlib.path import Path

        (x, top, bottom), (to_x, to_top, to_bottom) = start, end
        middle = (x + to_x) / 2
        points = [
            *((x, top), (middle, top), (middle, to_top), (to_x, to_top)),
            *((to_x, to_bottom), (middle, to_bottom), (middle, bottom), (x, bottom), (x, top)),
        ]
        curve = [Path.CURVE4] * 3
        path = Path(points, [Path.MOVETO, *curve, Path.LINETO, *curve, Path.CLOSEPOLY])
        self._axes.add_patch(
            PathPatch(path, facecolor=COLOURS[role], edgecolor="none", alpha=alpha, clip_on=False, zorder=self._above())
        )

    def text(
        self,
        x: float,
        y: float,
        words: str,
        role: ColourRole = "ink",
        size: float = 12,
        align: TextAlign = "left",
        bold: bool = False,
    ) -> None:
        """A text on one line, vertically centred at `y`."""
        weight = "bold" if bold else "normal"
        self.words.append(words)
        self._axes.text(
            x,
            y,
            f"@{len(self.words) - 1}@",
            color=COLOURS[role],
            fontsize=size,
            fontweight=weight,
            ha=align,
            va="center_baseline",
            parse_math=False,
            clip_on=False,
            zorder=self._above(),
        )

    def svg(self, kind: Literal["wide", "narrow"], title: str, caption: str) -> str:
        """The picture as SVG, with the colours of the page and all texts."""
        from matplotlib import rc_context

        out = StringIO()
        with rc_context(_SVG_SETTINGS):
            self._axes.figure.savefig(out, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
        drawn = _OMITTED_SVG.sub("", out.getvalue())
        body = drawn[drawn.index(">", drawn.index("<svg")) + 1 : drawn.rindex("</svg>")]
        coloured = _COLOUR_MARK.sub(lambda found: f"var(--{_ROLE_OF_MARK[found[0]]})", _FONT_STYLE.sub("", body))
        marks = _TEXT_MARK.sub(lambda found: escape(self.words[int(found[1])]), " ".join(coloured.split()))
        box = f"0 0 {self.width:g} {self.height:g}"
        heading = f"<title>{escape(title)}</title><desc>{escape(caption)}</desc>"
        label = f"{escape(title)}. {escape(caption)}"
        return f'<svg class="{kind}" role="img" aria-label="{label}" viewBox="{box}">{heading}{marks}</svg>'

    def _above(self) -> int:
        """The next layer: later drawings cover earlier ones."""
        self._drawn += 1
        return self._drawn


def shorten(words: str, most: int) -> str:
    """Shorten a text to a number of characters by leaving out its middle.

    >>> shorten("/apps/*/very_long_name", 12)
    '/apps/…_name'
    """
    if len(words) <= most:
        return words
    tail = (most - 1) // 2
    return f"{words[: most - 1 - tail]}…{words[len(words) - tail :]}"


def spaced_places(number: int, most: int) -> Sequence[int]:
    """Positions of labels along an axis: a limited number, including the first and the last."""
    if number <= most:
        return range(number)
    return sorted({round(each * (number - 1) / (most - 1)) for each in range(most)})


MOST_FIELDS: Final = 25
_PRECISION_TITLE: Final = "Precision given up, in bits"
_PRECISION_ROW: Final = 24.0


def precision_picture(fields: Sequence[FieldFacts]) -> Picture | None:
    """The picture of fields whose bits are known and not zero, the largest first; None if there are none."""
    known = sorted((each for each in fields if each.bits.number), key=lambda each: -(each.bits.number or 0))
    if not known:
        return None
    shown = known[:MOST_FIELDS]
    rest = f" {len(known) - MOST_FIELDS} more fields are only in the table." if len(known) > MOST_FIELDS else ""
    says = "; ".join(f"{each.key} {each.bits}" for each in shown[:8])
    more = "; the others are in the table" if len(shown) > 8 else ""
    caption = f"{says}{more}.{rest}"
    return Picture(
        _PRECISION_TITLE, caption, _draw_precision(shown, "wide", caption), _draw_precision(shown, "narrow", caption)
    )


def _draw_precision(fields: Sequence[FieldFacts], kind: Literal["wide", "narrow"], caption: str) -> str:
    width, left, letters = (720.0, 210.0, 26) if kind == "wide" else (340.0, 132.0, 16)
    canvas = Canvas(width, _PRECISION_ROW * len(fields) + 8)
    room = width - left - 70
    most = max(each.bits.number or 0 for each in fields)
    for place, each in enumerate(fields):
        y = _PRECISION_ROW * place + 14
        canvas.text(left - 10, y, shorten(each.key, letters), align="right")
        long = room * (each.bits.number or 0) / most
        canvas.box(left, y - 7, max(2.0, long), 13, "accent", 0.85)
        canvas.text(left + long + 8, y, str(each.bits).replace("at least ", "≥ "), "soft", 11)
    return canvas.svg(kind, _PRECISION_TITLE, caption)


_COLLECTION_TITLE: Final = "Tenants that have turned a feature on, over time"
_COLLECTION_ROW: Final = 28.0


def collection_picture(collection: CollectionFacts) -> Picture:
    """The picture of all features and levels."""
    now = ", ".join(f"{name} {numbers[-1]}" for name, numbers in collection.on.items())
    says = f"Turned on now, of {collection.tenants} tenants: {now}."
    return Picture(
        _COLLECTION_TITLE,
        says,
        _draw_collection(collection, "wide", says),
        _draw_collection(collection, "narrow", says),
    )


def _draw_collection(collection: CollectionFacts, kind: Literal["wide", "narrow"], caption: str) -> str:
    width, left, letters = (720.0, 170.0, 21) if kind == "wide" else (340.0, 112.0, 13)
    canvas = Canvas(width, _COLLECTION_ROW * len(collection.on) + 26)
    cell = (width - left - 74) / len(collection.moments)
    for place, (name, numbers) in enumerate(collection.on.items()):
        y = _COLLECTION_ROW * place + 14
        canvas.text(left - 10, y, shorten(name, letters), align="right")
        canvas.box(left, y - 11, cell * len(numbers), 22, "head")
        for at, number in enumerate(numbers):
            if number:
                canvas.box(left + at * cell, y - 11, cell - 1, 22, "accent", 0.18 + 0.82 * number / collection.tenants)
        canvas.text(width - 66, y, f"{numbers[-1]:,} of {collection.tenants:,}", "soft", 11)
    _draw_time_axis(canvas, collection, left, cell, kind)
    return canvas.svg(kind, _COLLECTION_TITLE, caption)


def _draw_time_axis(canvas: Canvas, collection: CollectionFacts, left: float, cell: float, kind: str) -> None:
    y, last = canvas.height - 12, len(collection.moments) - 1
    canvas.text(left, y, f"{collection.moments[0]:%Y-%m-%d}", "soft", 11)
    if kind == "wide":
        canvas.text(left + cell * (last + 1) / 2, y, f"{collection.moments[last // 2]:%Y-%m-%d}", "soft", 11, "center")
    canvas.text(left + cell * (last + 1), y, "now", "soft", 11, "right")


_FLOW_TITLE: Final = "Outcomes of the rows read"
_LEAST_HEIGHT: Final = 4.0
_SLOT_HEIGHT: Final = 44.0
_FLOW_HEIGHT: Final = 190.0


def flow_picture(flow: RowFlow) -> Picture | None:
    """The picture; None if no rows were read."""
    if not flow.read or flow.read.hidden:
        return None
    parts = ", ".join(f"{count} {name}{_share_text(count, flow)}" for name, count in flow.parts.items() if count)
    says = f"{flow.read} rows were read: {parts}."
    return Picture(_FLOW_TITLE, says, _draw_flow(flow, "wide", says), _draw_flow(flow, "narrow", says))


def _draw_flow(flow: RowFlow, kind: Literal["wide", "narrow"], caption: str) -> str:
    parts = [(name, count) for name, count in flow.parts.items() if count]
    total = sum(_bar_size(count) for _, count in parts)
    heights = [max(_LEAST_HEIGHT, _FLOW_HEIGHT * _bar_size(count) / total) for _, count in parts]
    slots = [max(_SLOT_HEIGHT, height + 12) for height in heights]
    width, right = (720.0, 430.0) if kind == "wide" else (340.0, 150.0)
    canvas = Canvas(width, max(sum(slots), sum(heights)) + 34)
    canvas.text(0, 10, f"{flow.read} rows read", bold=True, size=13)
    top, left = 28.0, 28.0
    canvas.box(0, left, 14, sum(heights), "soft")
    for (name, count), height, slot in zip(parts, heights, slots, strict=True):
        role = cast("ColourRole", name)
        canvas.band((14, left, left + height), (right, top, top + height), role, 0.32)
        canvas.box(right, top, 14, height, role)
        middle = top + max(height, 30) / 2
        share = _share_text(count, flow) if kind == "wide" else ""
        canvas.text(right + 24, middle - 8, f"{name} {count}{share}", bold=True)
        canvas.text(right + 24, middle + 9, _reasons_text(flow, name, kind == "wide"), "soft", 11)
        left, top = left + height, top + slot
    return canvas.svg(kind, _FLOW_TITLE, caption)


def _bar_size(count: RoundedCount) -> float:
    return count.value or 1.0


def _share_text(count: RoundedCount, flow: RowFlow) -> str:
    share = percent_text(count.share(flow.read))
    return f" ({share})" if share else ""


def _reasons_text(flow: RowFlow, name: str, wide: bool) -> str:
    reasons = {"gated": flow.gated, "quarantined": flow.quarantined}.get(name, {})
    words = [reason.replace("_", " ") for reason in sorted(reasons, key=lambda each: -reasons[each].value)]
    most = 3 if wide else 1
    rest = f" and {len(words) - most} more" if len(words) > most else ""
    if words:
        return ", ".join(words[:most]) + rest
    return {
        "written": "to the output",
        "suppressed": "groups that are too small",
        "deduplicated": "duplicates",
    }.get(name, "")


MOST_DATES: Final = 31
_RETENTION_TITLE: Final = "Removal dates"
_RETENTION_ROW: Final = 20.0
_STATE_ROLES: Final[Mapping[str, ColourRole]] = MappingProxyType(
    {"kept": "written", "soon": "gated", "overdue": "quarantined"}
)
_STATE_WORDS: Final = {"kept": "", "soon": "soon", "overdue": "overdue"}


def retention_picture(retention: RetentionFacts, at: datetime) -> Picture | None:
    """The picture of the dates that are removed first; None if no date has a limit."""
    ending = [each for each in retention.partitions if each.gone_by is not None]
    if not ending:
        return None
    shown = ending[:MOST_DATES]
    states = ", ".join(f"{sum(each.state == state for each in ending)} {state}" for state in _STATE_ROLES)
    later = f" {len(ending) - MOST_DATES} later dates are left out." if len(ending) > MOST_DATES else ""
    says = f"Of {len(ending)} dates: {states}. The first must be removed by {shown[0].gone_by:%Y-%m-%d}.{later}"
    return Picture(
        _RETENTION_TITLE, says, _draw_retention(shown, at, "wide", says), _draw_retention(shown, at, "narrow", says)
    )


def _draw_retention(
    partitions: Sequence[PartitionFacts], at: datetime, kind: Literal["wide", "narrow"], caption: str
) -> str:
    width, left = (720.0, 96.0) if kind == "wide" else (340.0, 84.0)
    canvas = Canvas(width, _RETENTION_ROW * len(partitions) + 52)
    first, last = day_start(partitions[0].date), max(at, *(each.gone_by or at for each in partitions))
    room, span = width - left - 78, (last - first).total_seconds()

    def x(when: datetime) -> float:
        return left + room * (when - first).total_seconds() / span

    for place, each in enumerate(partitions):
        gone_by, y = each.gone_by or at, _RETENTION_ROW * place + 32
        canvas.text(left - 10, y, each.date, "ink", 11, "right")
        canvas.box(
            x(day_start(each.date)),
            y - 5,
            x(gone_by) - x(day_start(each.date)),
            10,
            _STATE_ROLES.get(each.state, "written"),
            0.8,
        )
        canvas.text(x(gone_by) + 6, y, _STATE_WORDS.get(each.state) or f"{gone_by:%m-%d}", "soft", 11)
    canvas.line(x(at), 20, x(at), canvas.height - 20, "ink", 1.2, dash=True)
    canvas.text(x(at), 10, "now", "ink", 11, "center")
    return canvas.svg(kind, _RETENTION_TITLE, caption)


MOST_RUNS: Final = 60
_RUNS_TITLE: Final = "Rows of each run"
_RUNS_HEIGHT: Final = 170.0
_RUNS_TOP: Final = 46.0


def runs_picture(runs: Sequence[RunFacts]) -> Picture | None:
    """The picture of the last runs; None if no run read rows."""
    shown = runs[-MOST_RUNS:]
    if not any(each.flow.read.value for each in shown):
        return None
    first, last = shown[0], shown[-1]
    earlier = f" {len(runs) - MOST_RUNS} earlier runs are left out." if len(runs) > MOST_RUNS else ""
    says = f"{len(shown)} runs; the first read {first.flow.read} rows, the last {last.flow.read}.{earlier}"
    return Picture(_RUNS_TITLE, says, _draw_runs(shown, "wide", says), _draw_runs(shown, "narrow", says))


def _draw_runs(runs: Sequence[RunFacts], kind: Literal["wide", "narrow"], caption: str) -> str:
    width, left = (720.0, 62.0) if kind == "wide" else (340.0, 52.0)
    canvas = Canvas(width, _RUNS_TOP + _RUNS_HEIGHT + 28)
    most = _round_up(max(each.flow.read.value for each in runs))
    for part in (0.0, 0.5, 1.0):
        y = _RUNS_TOP + _RUNS_HEIGHT * (1 - part)
        canvas.line(left, y, width, y, "line")
        canvas.text(left - 8, y, f"{most * part:,.0f}", "soft", 11, "right")
    step = (width - left) / len(runs)
    for place, each in enumerate(runs):
        wide = min(step * 0.72, 48.0)
        _draw_bar(canvas, each, left + (place + 0.5) * step - wide / 2, wide, most)
    for place in spaced_places(len(runs), 8 if kind == "wide" else 3):
        canvas.text(
            left + (place + 0.5) * step, _RUNS_TOP + _RUNS_HEIGHT + 15, _run_label(runs[place]), "soft", 11, "center"
        )
    _draw_legend(canvas, runs, left, kind)
    return canvas.svg(kind, _RUNS_TITLE, caption)


def _draw_bar(canvas: Canvas, run: RunFacts, x: float, width: float, most: int) -> None:
    y = _RUNS_TOP + _RUNS_HEIGHT
    for name, count in run.flow.parts.items():
        height = _RUNS_HEIGHT * count.value / most
        if height:
            canvas.box(x, y - height, width, height, cast("ColourRole", name), 1.0 if run.in_force else 0.4)
        y -= height


def _round_up(most: int) -> int:
    """The next round number for an axis.

    >>> [_round_up(number) for number in (5, 12, 2080, 5001)]
    [10, 20, 2500, 10000]
    """
    size = 10 ** (len(str(most)) - 1)
    return next(int(step * size) for step in (1, 2, 2.5, 5, 10) if step * size >= most and step * size >= 10)


def _run_label(run: RunFacts) -> str:
    return run.dates[-1][5:] if run.dates else f"{run.at:%m-%d}"


def _draw_legend(canvas: Canvas, runs: Sequence[RunFacts], left: float, kind: str) -> None:
    x, y = (left, 10.0) if kind == "wide" else (0.0, 10.0)
    for name in runs[0].flow.parts:
        if any(each.flow.parts[name].value for each in runs):
            if x + 30 + 7 * len(name) > canvas.width:
                x, y = (left if kind == "wide" else 0.0), y + 18
            canvas.box(x, y - 5, 11, 11, cast("ColourRole", name))
            canvas.text(x + 17, y, name, "soft", 11)
            x += 34 + 6.5 * len(name)


def draw_pictures(facts: ReportFacts) -> dict[str, Picture | None]:
    """The pictures by name; None if there is nothing to draw."""
    return {
        "flow": flow_picture(facts.flow),
        "bits": precision_picture(facts.fields),
        "collection": None if facts.collection is None else collection_picture(facts.collection),
        "keeping": retention_picture(facts.retention, facts.at),
        "runs": runs_picture(facts.runs),
    }
