"""A canvas for one picture: shapes and words at places in pixels, drawn by matplotlib, given as an SVG that stands in a page.

Colours are roles, which the page's style sheet says (light, dark, paper). Words never reach matplotlib: a mark stands in their
place until the SVG is written, so that no name is read as mathematics, none wants a glyph of a font, and all are escaped here.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from io import StringIO
from types import MappingProxyType
from typing import Any, Final, Literal

Role = Literal[
    "ink", "soft", "line", "head", "page", "written", "gated", "quarantined", "suppressed", "deduplicated", "accent"
]
Align = Literal["left", "center", "right"]
COLOURS: Final[Mapping[Role, str]] = MappingProxyType(
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
"""Marks for matplotlib; the page says which colour each is."""
_ROLE: Final = MappingProxyType({mark: role for role, mark in COLOURS.items()})
_COLOUR: Final = re.compile("|".join(COLOURS.values()))
_WORD: Final = re.compile(r"@(\d+)@")
_DROPPED: Final = re.compile(r"<metadata>.*?</metadata>|<defs>.*?</defs>|<!--.*?-->| id=\"[^\"]*\"", re.DOTALL)
_FONT: Final = re.compile(r" ?font-family: [^;\"]*;")
_SALT: Final[Any] = {"svg.fonttype": "none", "svg.hashsalt": "minimize", "path.simplify": False}


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture for a page: what it shows in words, and its SVG for wide and for narrow screens."""

    title: str
    says: str
    wide: str
    narrow: str

    def __html__(self) -> str:
        return self.wide + self.narrow


@dataclass
class Canvas:
    """A canvas of a size in pixels; y grows downwards."""

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

    def box(self, x: float, y: float, width: float, height: float, role: Role, alpha: float = 1.0) -> None:
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
        self, x: float, y: float, to_x: float, to_y: float, role: Role, width: float = 1.0, dash: bool = False
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
        self, start: tuple[float, float, float], end: tuple[float, float, float], role: Role, alpha: float
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
        role: Role = "ink",
        size: float = 12,
        align: Align = "left",
        bold: bool = False,
    ) -> None:
        """Words on one line, whose middle is at this height."""
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

    def svg(self, kind: Literal["wide", "narrow"], title: str, says: str) -> str:
        """The picture as SVG, its colours the page's and its words in place."""
        from matplotlib import rc_context

        out = StringIO()
        with rc_context(_SALT):
            self._axes.figure.savefig(out, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
        drawn = _DROPPED.sub("", out.getvalue())
        body = drawn[drawn.index(">", drawn.index("<svg")) + 1 : drawn.rindex("</svg>")]
        coloured = _COLOUR.sub(lambda found: f"var(--{_ROLE[found[0]]})", _FONT.sub("", body))
        said = _WORD.sub(lambda found: escape(self.words[int(found[1])]), " ".join(coloured.split()))
        box = f"0 0 {self.width:g} {self.height:g}"
        told = f"<title>{escape(title)}</title><desc>{escape(says)}</desc>"
        return f'<svg class="{kind}" role="img" aria-label="{escape(title)}. {escape(says)}" viewBox="{box}">{told}{said}</svg>'

    def _above(self) -> int:
        """What is drawn later lies above."""
        self._drawn += 1
        return self._drawn


def shortened(words: str, most: int) -> str:
    """Words of at most so many characters, the middle left out.

    >>> shortened("/apps/*/very_long_name", 12)
    '/apps/…_name'
    """
    if len(words) <= most:
        return words
    tail = (most - 1) // 2
    return f"{words[: most - 1 - tail]}…{words[len(words) - tail :]}"


def evenly(number: int, most: int) -> Sequence[int]:
    """Places to be named along an axis: at most so many, first and last among them."""
    if number <= most:
        return range(number)
    return sorted({round(each * (number - 1) / (most - 1)) for each in range(most)})
