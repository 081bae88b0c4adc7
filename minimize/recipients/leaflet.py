"""The list that a tenant may read as a page of HTML, without scripts or anything fetched: for screens, dark ones, and paper."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from html import escape
from typing import Final

from minimize.recipients.model import Recipient
from minimize.recipients.pages import (
    HEAD,
    LISTED,
    NO_AGENTS,
    OVERVIEW,
    RECIPIENTS,
    SUBPROCESSORS,
    about,
    agents,
    overview,
    sections,
)
from minimize.recipients.subprocessors import Subprocessors

BASE: Final = """
:root { color-scheme: light dark; --ink: #1b1f24; --soft: #57606a; --line: #d0d7de; --head: #f3f5f7; --page: #fff; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e6e9ed; --soft: #a2abb5; --line: #3a424c; --head: #20262d; --page: #14181d; }
}
body { margin: 2rem auto; max-width: 72rem; padding: 0 1.25rem; background: var(--page); color: var(--ink);
  font: 16px/1.5 system-ui, -apple-system, "Segoe UI", sans-serif; }
h1 { font-size: 1.75rem; margin: 0 0 .5rem; }
h2 { font-size: 1.2rem; margin: 2.25rem 0 .5rem; padding-top: 1rem; border-top: 1px solid var(--line); }
p { margin: .3rem 0; max-width: 46rem; }
table { border-collapse: collapse; width: 100%; margin: 1rem 0; font-size: .9rem; }
th, td { text-align: left; vertical-align: top; padding: .45rem .6rem; border-bottom: 1px solid var(--line);
  overflow-wrap: anywhere; }
th { background: var(--head); color: var(--soft); font-weight: 600; }
@media print {
  :root { --ink: #000; --soft: #333; --line: #999; --head: #fff; --page: #fff; }
  body { margin: 0; max-width: none; padding: 0; font-size: 10pt; }
  table { font-size: 8.5pt; }
  thead { display: table-header-group; }
  tr { break-inside: avoid; }
  h2, h2 + p { break-after: avoid; }
}
"""
"""What every page of the house looks like."""
STYLE: Final = (
    BASE
    + """
table { table-layout: fixed; }
th, td { width: 19%; }
th:nth-child(4) { width: 25%; }
td:first-child { font-weight: 600; }
td:nth-child(2), td:nth-child(3) { font-family: ui-monospace, Consolas, monospace; font-size: .9em; }
@media (max-width: 40rem) {
  table, tbody, tr, td { display: block; width: auto; }
  thead { display: none; }
  tr { border-bottom: 1px solid var(--line); padding: .5rem 0; }
  td { border: 0; padding: .1rem 0; }
  td:empty { display: none; }
  td:nth-child(2)::before { content: "for example "; color: var(--soft); }
  td:nth-child(3)::before { content: "leaves as "; color: var(--soft); }
}
"""
)
"""The same for lists of five columns, the second and third of which are values."""


def html(recipient: Recipient) -> str:
    """The list as a page; whatever the file says is escaped."""
    body = [*_paragraphs(about(recipient))]
    for section in sections(recipient):
        body += [f"<h2>{escape(section.title)}</h2>", *_paragraphs(section.said), *_grid(HEAD, section.lines)]
    return _page(recipient.recipient, STYLE, body)


def overview_html(recipients: Sequence[Recipient], listed: Subprocessors) -> str:
    """All recipients and the list of subprocessors as a page."""
    known = _grid(LISTED, agents(listed)) if listed.entries else _paragraphs([NO_AGENTS])
    body = [*_grid(OVERVIEW, overview(recipients)), f"<h2>{SUBPROCESSORS}</h2>", *known]
    return _page(RECIPIENTS, BASE, body)


def _page(name: str, style: str, body: Iterable[str]) -> str:
    title = escape(name)
    wide = '<meta name="viewport" content="width=device-width, initial-scale=1">'
    head = f'<meta charset="utf-8">{wide}<title>{title}</title><style>{style}</style>'
    start = ["<!doctype html>", f'<html lang="en"><head>{head}</head><body>', f"<h1>{title}</h1>"]
    return "\n".join([*start, *body, "</body></html>"]) + "\n"


def _paragraphs(texts: Iterable[str]) -> list[str]:
    return [f"<p>{escape(text)}</p>" for text in texts]


def _grid(head: Sequence[str], lines: Iterable[Sequence[str]]) -> Iterator[str]:
    yield "<table><thead>"
    yield _row("th", head)
    yield "</thead><tbody>"
    yield from (_row("td", line) for line in lines)
    yield "</tbody></table>"


def _row(tag: str, cells: Sequence[str]) -> str:
    return f"<tr>{''.join(f'<{tag}>{escape(cell)}</{tag}>' for cell in cells)}</tr>"
