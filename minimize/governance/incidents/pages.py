"""A notice as Markdown, as a page of HTML that fetches nothing, and as JSON with the fields of GDPR Art. 33(3)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from html import escape
from typing import Any, Final

from minimize.governance.incidents.wording import HEAD, Notice
from minimize.recipients.leaflet import STYLE

_MINE: Final = """
th, td { width: 33%; }
td:nth-child(2), td:nth-child(3) { font: inherit; }
@media (max-width: 40rem) {
  th, td { width: auto; }
  td:nth-child(2)::before { content: "category: "; }
  td:nth-child(3)::before { content: "exposed: "; }
}
"""
"""What differs from the page that the style was made for: three columns, and what they are where there is room for one."""
_MARKUP: Final = re.compile(r"[\\|`*\[\]<>#]|(?<![A-Za-z0-9])_|_(?![A-Za-z0-9])")
"""What Markdown would not show as it is; an underscore within a word is one."""


def markdown(notice: Notice) -> str:
    """The notice in Markdown; whatever somebody wrote is escaped."""
    parts = [f"# {_marked(notice.title)}", _marked(notice.stage)]
    for section in notice.sections():
        parts += [f"## {section.title}", *map(_marked, section.said)]
        parts += [_table(section.lines)] if section.lines else []
    return "\n\n".join(parts) + "\n"


def html(notice: Notice) -> str:
    """The notice as a page; whatever somebody wrote is escaped."""
    title = escape(notice.title)
    body = [f"<h1>{title}</h1>", f"<p>{escape(notice.stage)}</p>"]
    for section in notice.sections():
        body += [f"<h2>{escape(section.title)}</h2>", *(f"<p>{escape(each)}</p>" for each in section.said)]
        body += _grid(section.lines) if section.lines else ()
    wide = '<meta name="viewport" content="width=device-width, initial-scale=1">'
    head = f'<meta charset="utf-8">{wide}<title>{title}</title><style>{STYLE}{_MINE}</style>'
    return "\n".join(["<!doctype html>", f'<html lang="en"><head>{head}</head><body>', *body, "</body></html>"]) + "\n"


def article33(notice: Notice) -> dict[str, Any]:
    """What GDPR Art. 33(3) asks for, letter by letter; `phase` is of Art. 33(4)."""
    tenant, many = notice.tenant, notice.tenant["subjects"]
    return {
        "incident": notice.incident.id,
        "tenant_id": tenant["tenant_id"],
        "phase": notice.version,
        "a": {
            "nature": notice.nature,
            "happened": {"from": notice.incident.opened["happened"][0], "to": notice.incident.opened["happened"][1]},
            "known_at": notice.incident.opened["known_at"],
            "categories_of_data_subjects": ["persons and devices of the tenant"],
            "approximate_number_of_data_subjects": None if many is None else many["count"],
            "number_is_exact": many is not None and many["exact"],
            "categories_of_records": list(tenant["kinds"]),
            "approximate_number_of_records": tenant["rows"],
            "number_of_records_is_exact": tenant.get("rows_exact", True),
            "period": dict(tenant["period"]),
            "recipients_with_copies": sorted({each["recipient"] for each in tenant["recipients"]}),
        },
        "b": {"contact": notice.contact},
        "c": {"likely_consequences": list(notice.consequences)},
        "d": {"measures": list(notice.measures), "actions_for_the_tenant": list(notice.actions)},
    }


def _marked(text: str) -> str:
    return _MARKUP.sub(lambda found: f"\\{found[0]}", " ".join(text.split()))


def _table(lines: Iterable[Sequence[str]]) -> str:
    rows = [HEAD, ["---"] * len(HEAD), *([_marked(cell) for cell in line] for line in lines)]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def _grid(lines: Iterable[Sequence[str]]) -> Iterator[str]:
    yield f"<table><thead>{_row('th', HEAD)}</thead><tbody>"
    yield from (_row("td", line) for line in lines)
    yield "</tbody></table>"


def _row(tag: str, cells: Sequence[str]) -> str:
    return f"<tr>{''.join(f'<{tag}>{escape(cell)}</{tag}>' for cell in cells)}</tr>"
