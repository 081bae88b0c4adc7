"""Changes as people read them in a pull request."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from minimize.review.change import Change, Changes
from minimize.review.grades import ORDER

_SIGNS: Final = {"loosens": "🔓 loosens", "tightens": "🔒 tightens", "neutral": "neutral"}


def headline(changes: Changes) -> str:
    """How many changes of which grade.

    >>> headline(Changes(()))
    'nothing changed'
    """
    counts = [f"{count} {grade}" for grade, count in changes.counts.items() if count]
    allowed = sum(map(changes.is_allowed, changes.found))
    return ", ".join([*counts, *([f"{allowed} of them allowed"] if allowed else [])]) or "nothing changed"


def markdown(changes: Changes) -> str:
    """A comment for a pull request: what loosens first, each change with its place."""
    return "\n".join(_lines(changes))


def _lines(changes: Changes) -> Iterator[str]:
    yield f"### Policy review: {headline(changes)}"
    for grade in ORDER:
        of = [change for change in changes.found if change.grade == grade]
        if of:
            yield from ("", "| | code | about | change | where |", "|---|---|---|---|---|")
            yield from (_row(change, allowed=changes.is_allowed(change)) for change in of)
    if changes.against:
        codes = " ".join(f"--allow {code}" for code in sorted({change.code for change in changes.against}))
        yield from ("", f"Whoever looked at what loosens lets it pass with `{codes}`.")


def _row(change: Change, *, allowed: bool) -> str:
    sign = _SIGNS[change.grade] + (" (allowed)" if allowed else "")
    cells = (sign, change.code, _code(change.about), cell(change.message), _code(change.place))
    return f"| {' | '.join(cells)} |"


def _code(text: str | None) -> str:
    return f"`{cell(text).replace('`', '')}`" if text else ""


def cell(text: str) -> str:
    """A text in a cell of a table, where it is nothing but text.

    >>> cell("a | b <c>")
    'a \\\\| b &lt;c&gt;'
    """
    plain = " ".join(text.split())
    for letter, instead in (("\\", "\\\\"), ("|", "\\|"), ("<", "&lt;"), (">", "&gt;"), ("@", "&#64;"), ("*", "\\*")):
        plain = plain.replace(letter, instead)
    return plain
