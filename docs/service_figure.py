"""The figure of the service as SVG, for the site. The README and the page of concepts show the same as text."""

from __future__ import annotations

import textwrap
from html import escape
from typing import Final

COLUMNS: Final = {
    "sources": (
        "devices",
        "client applications",
        "administrators",
        "support",
        "on-premises product",
        "Apple, Google, Jamf, threat defense",
    ),
    "datasets": (
        "check-ins, inventory, hardware, applications, enrolments",
        "usage, managed applications",
        "accounts, console use, audit events",
        "cases",
        "weekly summary",
        "messages: push, enrolment, licences, compliance",
    ),
    "gates": ("collection settings, levels, conditions, purposes, retention, consent, erasure",),
    "outputs": (
        "records, pseudonymized",
        "records, identified (encrypted)",
        "aggregates, groups of 10 or more",
        "payloads, under consent",
        "receipts, ledger, audit log",
        "view or export of a person",
    ),
    "who gets them": (
        "analysts",
        "help desk, under a grant",
        "everyone with a role",
        "Apple, Google, threat defense, support desk",
        "auditors, reviewers",
        "data subjects",
    ),
}
"""The boxes of each column, from top to bottom. A column with one box is as high as the others."""
ALTERNATIVE: Final = (
    "The service: six sources supply datasets; gates decide what is collected; outputs are records, aggregates, payloads, "
    "receipts and views; each has its readers"
)
WIDTH, GAP, HEIGHT, ROW, TOP = 168, 32, 62, 78, 34
LINE_LENGTH: Final = 24


def service_svg() -> str:
    """The figure, with an arrow from each box to the one on its right."""
    rows = max(map(len, COLUMNS.values()))
    width, height = len(COLUMNS) * (WIDTH + GAP) - GAP + 8, TOP + rows * ROW
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img" '
        'font-family="sans-serif" font-size="13">',
        f"<title>{escape(ALTERNATIVE)}</title>",
        '<defs><marker id="end" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto">'
        '<path d="M0 0L8 4L0 8z" fill="#2f5fa8"/></marker></defs>',
        f'<rect width="{width}" height="{height}" fill="#fff"/>',
    ]
    for number, (heading, boxes) in enumerate(COLUMNS.items()):
        x = 4 + number * (WIDTH + GAP)
        parts.append(f'<text x="{x}" y="20" fill="#57606a">{escape(heading)}</text>')
        box_height = rows * ROW - (ROW - HEIGHT) if len(boxes) == 1 else HEIGHT
        for row, text in enumerate(boxes):
            parts += _box(x, TOP + row * ROW, box_height, text)
        if number:
            parts += [_arrow(x, TOP + row * ROW + HEIGHT // 2) for row in range(rows)]
    return "\n".join([*parts, "</svg>"]) + "\n"


def _box(x: int, y: int, height: int, text: str) -> list[str]:
    lines = text.split(", ") if height > HEIGHT else textwrap.wrap(text, LINE_LENGTH)
    first = y + height / 2 - (len(lines) - 1) * 8 + 4.5
    return [
        f'<rect x="{x}" y="{y}" width="{WIDTH}" height="{height}" rx="7" fill="#f7f9fa" stroke="#9aa4af"/>',
        *(
            f'<text x="{x + WIDTH // 2}" y="{first + row * 16:g}" text-anchor="middle" fill="#1b1f24">{escape(line)}</text>'
            for row, line in enumerate(lines)
        ),
    ]


def _arrow(x: int, y: int) -> str:
    return (
        f'<path d="M{x - GAP + 2} {y}H{x - 3}" stroke="#2f5fa8" stroke-width="1.4" fill="none" marker-end="url(#end)"/>'
    )
