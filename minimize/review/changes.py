"""Graded changes: how a change of a value is graded, how it is written, the report of all changes, Markdown.

Values that cannot be compared are graded as loosened, so that a reviewer looks at them. If a change from old to new
tightens, the change from new to old loosens.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import timedelta
from typing import Any, Final, Literal

from minimize.policy.describe import duration_text

Grade = Literal["tightens", "loosens", "neutral"]
Comparison = Callable[[Any, Any], Grade]
"""Takes what was and what is, gives the grade of the change."""
ORDER: Final[tuple[Grade, ...]] = ("loosens", "tightens", "neutral")


def join_grades(grades: Iterable[Grade]) -> Grade:
    """The grade of several changes at once: one that loosens decides, then one that tightens.

    >>> join_grades(["neutral", "tightens"]), join_grades(["tightens", "loosens"]), join_grades([])
    ('tightens', 'loosens', 'neutral')
    """
    return min(grades, key=ORDER.index, default="neutral")


def change_loosens(old: Any, new: Any) -> Grade:
    """Any difference loosens: there is no order in it."""
    return "neutral" if old == new else "loosens"


def change_is_neutral(old: Any, new: Any) -> Grade:
    """No difference matters."""
    return "neutral"


def lower_tightens(old: Any, new: Any) -> Grade:
    """Less tightens. None is no limit, above every number.

    >>> lower_tightens(24, 16), lower_tightens(16, None), lower_tightens(None, None)
    ('tightens', 'loosens', 'neutral')
    """
    if old == new:
        return "neutral"
    return "tightens" if old is None or (new is not None and new < old) else "loosens"


def higher_tightens(old: Any, new: Any) -> Grade:
    """More tightens. None is no limit, below every number.

    >>> higher_tightens(10, 20), higher_tightens(20, None)
    ('tightens', 'loosens')
    """
    if old == new:
        return "neutral"
    return "tightens" if old is None or (new is not None and new > old) else "loosens"


def fewer_tightens(old: Collection[Any], new: Collection[Any]) -> Grade:
    """To have only some of them tightens.

    >>> fewer_tightens({1, 2}, {1}), fewer_tightens({1}, {2})
    ('tightens', 'loosens')
    """
    before, after = set(old), set(new)
    return "neutral" if before == after else "tightens" if after < before else "loosens"


def more_tightens(old: Collection[Any], new: Collection[Any]) -> Grade:
    """To have others beside them tightens."""
    before, after = set(old), set(new)
    return "neutral" if before == after else "tightens" if after > before else "loosens"


def setting_tightens(old: Any, new: Any) -> Grade:
    """To say it, where nothing was said, tightens; to say another loosens."""
    if old == new:
        return "neutral"
    return "tightens" if old is None else "loosens"


def unsetting_tightens(old: Any, new: Any) -> Grade:
    """To say it no longer tightens; to say another loosens."""
    if old == new:
        return "neutral"
    return "tightens" if new is None else "loosens"


def ranked_comparison(words: Sequence[Any]) -> Comparison:
    """By their place in an order, from the tightest to the loosest; what has no place in it loosens."""

    def compared(old: Any, new: Any) -> Grade:
        if old == new:
            return "neutral"
        if old not in words or new not in words:
            return "loosens"
        return "tightens" if words.index(new) < words.index(old) else "loosens"

    return compared


def names_or_all(names: Collection[Any], available: Collection[Any]) -> Collection[Any]:
    """The names; all there are where none is said."""
    return names or available


def grade_parts(comparisons: Mapping[str, Comparison], old: Mapping[str, Any], new: Mapping[str, Any]) -> Grade:
    """Parts by name, each by its comparison; a part that has none loosens where it differs."""
    return join_grades(comparisons.get(name, change_loosens)(old.get(name), new.get(name)) for name in {**old, **new})


CATEGORY_ORDER: Final = ("aggregated", "pseudonymized", "identified", None)
"""What an output may be at most, from the least; None is no promise."""
ENCRYPTION_ORDER: Final = ("by_category", "none")
"""From the one that protects."""


def change_text(before: str, after: str) -> str:
    """What was and what is; where the words are the same, there is more behind them.

    >>> change_text("keep", "drop"), change_text("map (values of 3 values)", "map (values of 3 values)")
    ('keep → drop', 'map (values of 3 values), of another content')
    """
    return f"{before} → {after}" if before != after else f"{after}, of another content"


def value_text(value: object) -> str:
    """A word or number; `nothing` where none is said."""
    return "nothing" if value is None or value == "" else str(value).lower() if isinstance(value, bool) else str(value)


def list_text(names: Iterable[object]) -> str:
    """Names in a row.

    >>> list_text(["a", "b"]), list_text([])
    ('a, b', 'nothing')
    """
    return ", ".join(map(str, names)) or "nothing"


def retention_text(length: timedelta | None) -> str:
    """How long something stays."""
    return "kept without end" if length is None else f"kept for {duration_text(length)}"


ALL_CODES: Final = "all"


@dataclass(frozen=True, slots=True)
class GradedChange:
    """One change: its code, its grade, where it stands, what it is about, what was and what is."""

    code: str
    grade: Grade
    message: str
    file: str | None = None
    line: int | None = None
    about: str | None = None

    @property
    def place(self) -> str:
        """File and line, as far as they are known."""
        return ":".join(str(part) for part in (self.file, self.line) if part is not None)

    def as_json(self) -> dict[str, Any]:
        """The change as `diff --json` prints it."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class ChangeReport:
    """All changes between two states, those that loosen first; `allowed` are codes that may loosen, or `all`."""

    changes: tuple[GradedChange, ...]
    allowed: frozenset[str] = frozenset()

    @property
    def grade(self) -> Grade:
        """The grade of the whole."""
        return join_grades(change.grade for change in self.changes)

    @property
    def counts(self) -> dict[Grade, int]:
        """How many of each grade."""
        counted = Counter(change.grade for change in self.changes)
        return {grade: counted[grade] for grade in ORDER}

    @property
    def not_allowed(self) -> tuple[GradedChange, ...]:
        """The changes that loosen and are not allowed."""
        loosening = [change for change in self.changes if change.grade == "loosens"]
        return tuple(each for each in loosening if not self.allowed & {each.code, ALL_CODES})

    def allowing(self, codes: Collection[str]) -> ChangeReport:
        """The same with codes that may loosen."""
        return replace(self, allowed=frozenset(codes))

    def as_json(self) -> dict[str, Any]:
        """What `diff --json` prints."""
        changes = [{**each.as_json(), "allowed": self.is_allowed(each)} for each in self.changes]
        return {"grade": self.grade, "counts": self.counts, "ok": not self.not_allowed, "changes": changes}

    def is_allowed(self, change: GradedChange) -> bool:
        """Whether a change that loosens may."""
        return change.grade == "loosens" and change not in self.not_allowed


def collect_changes(changes: Iterable[GradedChange]) -> ChangeReport:
    """Each change once; those that loosen first, then by file and line."""
    unique = dict.fromkeys(changes)
    return ChangeReport(
        tuple(sorted(unique, key=lambda each: (ORDER.index(each.grade), each.file or "", each.line or 0, each.code)))
    )


_GRADE_SIGNS: Final = {"loosens": "🔓 loosens", "tightens": "🔒 tightens", "neutral": "neutral"}


def headline(changes: ChangeReport) -> str:
    """How many changes of which grade.

    >>> headline(ChangeReport(()))
    'nothing changed'
    """
    counts = [f"{count} {grade}" for grade, count in changes.counts.items() if count]
    allowed = sum(map(changes.is_allowed, changes.changes))
    return ", ".join([*counts, *([f"{allowed} of them allowed"] if allowed else [])]) or "nothing changed"


def changes_markdown(changes: ChangeReport) -> str:
    """A comment for a pull request: what loosens first, each change with its place."""
    return "\n".join(_markdown_lines(changes))


def _markdown_lines(changes: ChangeReport) -> Iterator[str]:
    yield f"### Policy review: {headline(changes)}"
    for grade in ORDER:
        of = [change for change in changes.changes if change.grade == grade]
        if of:
            yield from ("", "| | code | about | change | where |", "|---|---|---|---|---|")
            yield from (_markdown_row(change, allowed=changes.is_allowed(change)) for change in of)
    if changes.not_allowed:
        codes = " ".join(f"--allow {code}" for code in sorted({change.code for change in changes.not_allowed}))
        yield from ("", f"Whoever looked at what loosens lets it pass with `{codes}`.")


def _markdown_row(change: GradedChange, *, allowed: bool) -> str:
    sign = _GRADE_SIGNS[change.grade] + (" (allowed)" if allowed else "")
    cells = (sign, change.code, _code_cell(change.about), escape_cell(change.message), _code_cell(change.place))
    return f"| {' | '.join(cells)} |"


def _code_cell(text: str | None) -> str:
    return f"`{escape_cell(text).replace('`', '')}`" if text else ""


def escape_cell(text: str) -> str:
    """A text in a cell of a table, where it is nothing but text.

    >>> escape_cell("a | b <c>")
    'a \\\\| b &lt;c&gt;'
    """
    plain = " ".join(text.split())
    for letter, instead in (("\\", "\\\\"), ("|", "\\|"), ("<", "&lt;"), (">", "&gt;"), ("@", "&#64;"), ("*", "\\*")):
        plain = plain.replace(letter, instead)
    return plain
