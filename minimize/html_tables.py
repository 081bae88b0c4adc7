"""HTML for notebooks (paragraphs, small tables) and for pages. All text is escaped."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence


def _escape(text: str) -> str:
    from html import escape

    return escape(text)


def html_fragment(*parts: str) -> str:
    """Paragraphs and tables as one piece."""
    return f"<div>{''.join(parts)}</div>"


def html_paragraph(text: str) -> str:
    """A paragraph; empty if there is no text."""
    return f"<p>{_escape(text)}</p>" if text else ""


def html_table(caption: str, head: Sequence[str], rows: Iterable[Sequence[str]], words: int | None = None) -> str:
    """A table. Its first `words` columns (None: all) are aligned as text, the others as numbers.

    Empty if there are no rows.
    """
    sides = ["left" if words is None or place < words else "right" for place in range(len(head))]
    lines = [_table_row("td", row, sides) for row in rows]
    if not lines:
        return ""
    body = f"<thead>{_table_row('th', head, sides)}</thead><tbody>{''.join(lines)}</tbody>"
    return f"<table><caption style='text-align:left'>{_escape(caption)}</caption>{body}</table>"


def _table_row(tag: str, cells: Sequence[str], sides: Sequence[str]) -> str:
    shown = (
        f"<{tag} style='text-align:{side};vertical-align:top'>{_escape(cell)}</{tag}>"
        for cell, side in zip(cells, sides, strict=True)
    )
    return f"<tr>{''.join(shown)}</tr>"


def html_page(title: str, style: str, body: Iterable[str], *, kind: str = "") -> str:
    """A complete page, from the lines of its body; `kind` is the class of the body."""
    wide = '<meta name="viewport" content="width=device-width, initial-scale=1">'
    head = f'<meta charset="utf-8">{wide}<title>{_escape(title)}</title><style>{style}</style>'
    of_kind = f' class="{kind}"' if kind else ""
    start = ["<!doctype html>", f'<html lang="en"><head>{head}</head><body{of_kind}>']
    return "\n".join([*start, *body, "</body></html>"]) + "\n"


def page_table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    """The lines of a table without inline styles; the style of the page applies."""
    yield "<table><thead>"
    yield _page_row("th", head)
    yield "</thead><tbody>"
    yield from (_page_row("td", row) for row in rows)
    yield "</tbody></table>"


def _page_row(tag: str, cells: Sequence[str]) -> str:
    return f"<tr>{''.join(f'<{tag}>{_escape(cell)}</{tag}>' for cell in cells)}</tr>"
