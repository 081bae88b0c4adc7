"""Graded changes: stable codes (`J`; `F` for fixtures), the text of a change, the report, Markdown."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from datetime import timedelta
from types import MappingProxyType
from typing import Any, Final

from minimize.policy.describe import duration_text
from minimize.policy.yaml_nodes import scalar_text
from minimize.review.grades import GRADE_ORDER, Grade, join_grades
from minimize.text import place_text

CODES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "J001": "a file that came or went",
        "J010": "a field that came or went",
        "J011": "the form of a field: technique, parameters, cases, dropped or kept",
        "J012": "the gate of a field: feature, level, `collect_if`",
        "J013": "the purposes of a field",
        "J014": "the type of a field",
        "J015": "the role of a field",
        "J016": "what aggregates see of a field",
        "J017": "the fields that another is made from",
        "J020": "the retention of a policy",
        "J021": "the purposes of a policy",
        "J022": "a feature: that it is there, who may turn it on, how long its values stay",
        "J023": "the levels of a policy",
        "J024": "what must not arrive",
        "J025": "which fields are tenant, subject, time, record",
        "J026": "when a whole record is collected",
        "J027": "the approval of a policy",
        "J029": "words, names and versions, which change nothing of what leaves",
        "J030": "the purpose of a pipeline",
        "J031": "where a pipeline reads and writes, who sends its records, and whose settings count",
        "J032": "an output that came or went",
        "J033": "the most that an output may be",
        "J034": "encryption at rest",
        "J035": "which records are written, and of which duplicates",
        "J036": "the groups of an aggregate",
        "J037": "the measures of an aggregate",
        "J038": "the suppression and rounding of an aggregate",
        "J039": "how much may be in quarantine",
        "J040": "the retention of an aggregate",
        "J050": "what the house says: purposes, approval, encryption, places",
        "J060": "who a recipient is to us, and the list of subprocessors",
        "J061": "the contract with a recipient",
        "J062": "a function of a recipient: that it is there, its purpose and direction",
        "J063": "a field that goes to a recipient, or its form",
        "J064": "the most that goes to a recipient may be",
        "J065": "the text that tenants agree to",
        "J070": "a role: what it allows and denies, and its views",
        "J071": "who has a role, and where",
        "J072": "how long grants last, and which roles conflict",
        "J073": "which accounts are one person's, and who is in a group",
        "F001": "a record of a fixture does not leave, and must",
        "F002": "a record of a fixture leaves, and must not",
        "F003": "a record of a fixture does not leave, for another reason than it says",
        "F004": "more or fewer rows leave than a fixture expects",
        "F005": "a column that a fixture does not expect, or that it expects and is not there",
        "F006": "another value than a fixture expects",
    }
)


def change_text(before: str, after: str) -> str:
    """What was and what is; where the words are the same, there is more behind them.

    >>> change_text("keep", "drop"), change_text("map (values of 3 values)", "map (values of 3 values)")
    ('keep → drop', 'map (values of 3 values), of another content')
    """
    return f"{before} → {after}" if before != after else f"{after}, of another content"


def value_text(value: object) -> str:
    """A word or number; `nothing` where none is said."""
    return "nothing" if value is None or value == "" else scalar_text(value)


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
        return place_text(self.file, self.line)

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
        return {grade: counted[grade] for grade in GRADE_ORDER}

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
        tuple(
            sorted(unique, key=lambda each: (GRADE_ORDER.index(each.grade), each.file or "", each.line or 0, each.code))
        )
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
    for grade in GRADE_ORDER:
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
