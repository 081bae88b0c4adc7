"""What is held of somebody as a page of HTML that he can read: no scripts, nothing fetched; for screens, dark ones, and paper."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from html import escape
from typing import Any, Final

from minimize.counts import counted
from minimize.governance.sharing.files import plain
from minimize.governance.subjects.asked import Subject
from minimize.governance.subjects.viewing import View
from minimize.recipients.leaflet import STYLE

_MORE: Final = """
.page th, .page td { width: auto; }
.page td:first-child { font-weight: inherit; }
.page td:nth-child(2), .page td:nth-child(3) { font: inherit; }
.page table.records { font-size: .8rem; }
.page .wide { overflow-x: auto; }
.page .where { color: var(--soft); font-size: .85rem; overflow-wrap: anywhere; }
@media (max-width: 40rem) {
  .page td:nth-child(2)::before, .page td:nth-child(3)::before { content: none; }
  .page td::before { content: attr(data-name) " " !important; color: var(--soft); }
}
"""


def html(found: Sequence[View], rows: int = 3, redacted: Iterable[str] = ()) -> str:
    """The views as a page, with so many records of each file; without the columns that are left out. All is escaped."""
    without = frozenset(redacted)
    body = [line for each in found for line in _of(each.as_json(rows), each.subject, without)]
    wide = '<meta name="viewport" content="width=device-width, initial-scale=1">'
    head = f'<meta charset="utf-8">{wide}<title>What is held</title><style>{STYLE}{_MORE}</style>'
    return "\n".join(
        ["<!doctype html>", f'<html lang="en"><head>{head}</head><body class="page">', *body, "</body></html>\n"]
    )


def _of(view: Mapping[str, Any], subject: Subject, without: frozenset[str]) -> Iterator[str]:
    yield f"<h1>What is held of {escape(_name(subject))}</h1>"
    yield f"<p>{counted(view['rows'], 'record')} in {counted(len(view['held']), 'file')}, as of {escape(view['at'])}.</p>"
    if view["tenant_is_unseen"]:
        yield "<p>No output and nothing in the ledger names that tenant: is it spelled so?</p>"
    for each in view["held"]:
        yield from _held(each, without)
    yield from _section(
        "Shared with", ("Recipient", "Function", "Purpose", "Fields", "When", "There until"), _shared(view)
    )
    yield from _section("Not searched", ("Where", "Why"), _missed(view))


def _held(each: Mapping[str, Any], without: frozenset[str]) -> Iterator[str]:
    date = f", {each['date']}" if each["date"] else ""
    yield f"<h2>{escape(each['pipeline'] + date)}</h2>"
    kept = f", kept until {each['until']}" if each["until"] else ""
    yield f"<p>{counted(each['rows'], 'record')}, {escape(each['category'])}, for {escape(each['purpose'])}.</p>"
    yield f"<p>From {escape(each['since'] or '?')} to {escape(each['to'] or '?')}{escape(kept)}.</p>"
    yield f'<p class="where">{escape(each["output"])}/{escape(each["file"])}, found by {escape(each["found_by"])}</p>'
    left = {name: form for name, form in each["fields"].items() if _top(name) not in without}
    yield from _table(("Field", "Form"), [(name, _form(form)) for name, form in left.items()])
    records = [{name: value for name, value in row.items() if name not in without} for row in each["records"]]
    if records:
        yield f"<p>The last {counted(len(records), 'record')}, as they stand:</p>"
        rows = [(name, *(_text(row[name]) for row in records)) for name in records[0]]
        yield from _table(("Field", *map(str, range(1, len(records) + 1))), rows, kind="records")


def _shared(view: Mapping[str, Any]) -> list[tuple[str, ...]]:
    return [
        (
            each["recipient"],
            each["function"],
            each["purpose"],
            ", ".join(each["fields"]),
            each["at"],
            each["until"] or "",
        )
        for each in view["shared"]
    ]


def _missed(view: Mapping[str, Any]) -> list[tuple[str, ...]]:
    files = [(f"{each['output']}/{each['file']}", each["why"]) for each in view["not_searched"]]
    return [*files, *((each["output"], each["why"]) for each in view["not_reached"])]


def _section(title: str, names: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    if rows:
        yield f"<h2>{escape(title)}</h2>"
        yield from _table(names, rows)


def _table(names: Sequence[str], rows: Iterable[Sequence[str]], kind: str = "") -> Iterator[str]:
    yield f'<div class="wide"><table class="{kind}"><thead><tr>'
    yield "".join(f"<th>{escape(name)}</th>" for name in names) + "</tr></thead><tbody>"
    yield from (_row(names, row) for row in rows)
    yield "</tbody></table></div>"


def _text(value: Any) -> str:
    if isinstance(value, dict | list):
        return json.dumps(value, ensure_ascii=False, default=plain)
    return "" if value is None else str(value)


def _row(names: Sequence[str], row: Sequence[str]) -> str:
    """One row; on a narrow screen each cell says what it is."""
    cells = (f'<td data-name="{escape(name)}">{escape(cell)}</td>' for name, cell in zip(names, row, strict=True))
    return f"<tr>{''.join(cells)}</tr>"


def _name(subject: Subject) -> str:
    if subject.id is None:
        return f"the tenant {subject.tenant}"
    return subject.id if subject.tenant is None else f"{subject.id} of {subject.tenant}"


def _form(form: Any) -> str:
    return form if isinstance(form, str) else " → ".join(form)


def _top(name: str) -> str:
    return name.split("/")[1] if name.startswith("/") else name
