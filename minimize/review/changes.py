"""Graded changes: stable codes (`J`; `F` for fixtures), the text of a change, the report, Markdown."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from types import MappingProxyType
from typing import Any, Final

from minimize.forms.yaml_nodes import scalar_text
from minimize.pages import Section, Table
from minimize.results import JsonResult, Line
from minimize.review.grades import GRADE_ORDER, Grade, join_grades
from minimize.text import place_text
from minimize.times import duration_text

CODES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "J001": "a file was added or removed",
        "J002": "a key whose effect is not known",
        "J010": "a field was added or removed",
        "J011": "the form of a field: technique, parameters, cases, dropped or kept",
        "J012": "the gate of a field: feature, level, `collect_if`",
        "J013": "the purposes of a field",
        "J014": "the type of a field",
        "J015": "the role of a field",
        "J016": "the form of a field in aggregates (`in_aggregates`)",
        "J017": "the fields from which another is made (`from`)",
        "J020": "the retention of a policy",
        "J021": "the purposes of a policy",
        "J022": "a feature: added or removed, who may turn it on, retention of its values",
        "J023": "the levels of a policy",
        "J024": "the forbidden paths of a policy (`never`)",
        "J025": "the fields for tenant, subject, time and record id",
        "J026": "the gate of whole records",
        "J027": "the approval of a policy",
        "J029": "descriptions, names and versions, which do not change the output",
        "J030": "the purpose of a pipeline",
        "J031": "source, sender, settings and output folder of a pipeline",
        "J032": "an output was added or removed",
        "J033": "the highest permitted category of an output (`must_be`)",
        "J034": "encryption at rest",
        "J035": "the condition and deduplication of a pipeline's records",
        "J036": "the groups of an aggregate",
        "J037": "the measures of an aggregate",
        "J038": "the suppression, noise and rounding of an aggregate",
        "J039": "the quarantine limits of a pipeline",
        "J040": "the retention of an aggregate",
        "J050": "the configuration: purposes, approval, encryption, paths",
        "J060": "the standing of a recipient, and the list of subprocessors",
        "J061": "the contract with a recipient",
        "J062": "a function of a recipient: added or removed, purpose, direction",
        "J063": "a field shared with a recipient, or its form",
        "J064": "the highest permitted category of shared data (`must_be`)",
        "J065": "the consent text of a function",
        "J070": "a role: permissions and views",
        "J071": "the assignments of a role, and their scopes",
        "J072": "the durations of grants, and conflicting roles",
        "J073": "the accounts of a person, and the members of a group",
        "F001": "a record that must be released is not released",
        "F002": "a record that must not be released is released",
        "F003": "a record is not released, but for another reason than its fixture names",
        "F004": "more or fewer rows are released than a fixture expects",
        "F005": "an unexpected column, or a missing one",
        "F006": "a value differs from the expected one",
    }
)


def change_text(before: str, after: str) -> str:
    """The old and the new state. If both have the same text, says that the content differs.

    >>> change_text("keep", "drop"), change_text("map (values of 3 values)", "map (values of 3 values)")
    ('keep → drop', 'map (values of 3 values), content changed')
    """
    return f"{before} → {after}" if before != after else f"{after}, content changed"


def value_text(value: object) -> str:
    """A value of a file in words; `nothing` if there is none.

    >>> value_text(("a", "b")), value_text(True), value_text(timedelta(days=2)), value_text(None)
    ('a, b', 'true', '2d', 'nothing')
    """
    if isinstance(value, tuple):
        return list_text(value)
    if isinstance(value, timedelta):
        return duration_text(value)
    return "nothing" if value is None or value == "" else scalar_text(value)


def list_text(names: Iterable[object]) -> str:
    """Names in a row."""
    return ", ".join(map(str, names)) or "nothing"


def retention_text(length: timedelta) -> str:
    """A retention period in words."""
    return f"kept for {duration_text(length)}"


ALL_CODES: Final = "all"


@dataclass(frozen=True, slots=True)
class GradedChange(JsonResult):
    """One change: code, grade, message with the old and the new state, file and line, and its subject (`about`)."""

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


@dataclass(frozen=True, slots=True)
class ChangeReport:
    """All changes between two states, with those that loosen first. `allowed`: codes whose changes may loosen, or `all`."""

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
        """The same report, with these codes allowed to loosen."""
        return replace(self, allowed=frozenset(codes))

    def to_json(self) -> dict[str, Any]:
        """The report as the JSON object that `diff --json` prints."""
        changes = [{**each.to_json(), "allowed": self.is_allowed(each)} for each in self.changes]
        return {"grade": self.grade, "counts": self.counts, "ok": not self.not_allowed, "changes": changes}

    @property
    def exit_code(self) -> int:
        """1 if a change loosens and is not allowed."""
        return int(bool(self.not_allowed))

    def lines(self) -> Iterator[Line]:
        """A table of the changes, and the number per grade."""
        rows = [
            (
                each.code,
                f"{each.grade}{self.is_allowed(each) * ' (allowed)'}",
                each.about or "",
                each.message,
                each.place,
            )
            for each in self.changes
        ]
        if rows:
            yield Table("", ("code", "grade", "about", "change", "where"), rows)
        yield headline(self)

    def is_allowed(self, change: GradedChange) -> bool:
        """Whether this change loosens and is allowed to."""
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
    """Number of changes per grade, as text.

    >>> headline(ChangeReport(()))
    'nothing changed'
    """
    counts = [f"{count} {grade}" for grade, count in changes.counts.items() if count]
    allowed = sum(map(changes.is_allowed, changes.changes))
    return ", ".join([*counts, *([f"{allowed} of them allowed"] if allowed else [])]) or "nothing changed"


def changes_document(changes: ChangeReport) -> Section:
    """The changes as a document, with one table for each grade."""
    head = ("code", "about", "change", "place", "allowed")
    rows = [
        (each.grade, (each.code, each.about or "", each.message, each.place, "yes" if changes.is_allowed(each) else ""))
        for each in changes.changes
    ]
    tables = [
        Section(grade.capitalize(), (Table("Changes with this grade", head, found),))
        for grade in GRADE_ORDER
        if (found := [row for own, row in rows if own == grade])
    ]
    return Section("Policy review", (f"{headline(changes)}.", *tables))


def changes_markdown(changes: ChangeReport) -> str:
    """A comment for a pull request: what loosens first, each change with its place."""
    return "\n".join(_markdown_lines(changes))


def _markdown_lines(changes: ChangeReport) -> Iterator[str]:
    yield f"### Policy review: {headline(changes)}"
    for grade in GRADE_ORDER:
        of = [change for change in changes.changes if change.grade == grade]
        if of:
            yield from ("", "| | code | about | change | place |", "|---|---|---|---|---|")
            yield from (_markdown_row(change, allowed=changes.is_allowed(change)) for change in of)
    if changes.not_allowed:
        codes = " ".join(f"--allow {code}" for code in sorted({change.code for change in changes.not_allowed}))
        yield from ("", f"To accept the changes that loosen after review, pass `{codes}`.")


def _markdown_row(change: GradedChange, *, allowed: bool) -> str:
    sign = _GRADE_SIGNS[change.grade] + (" (allowed)" if allowed else "")
    cells = (sign, change.code, _code_cell(change.about), escape_cell(change.message), _code_cell(change.place))
    return f"| {' | '.join(cells)} |"


def _code_cell(text: str | None) -> str:
    return f"`{escape_cell(text).replace('`', '')}`" if text else ""


def escape_cell(text: str) -> str:
    """Escape a text for a cell of a Markdown table.

    >>> escape_cell("a | b <c>")
    'a \\\\| b &lt;c&gt;'
    """
    plain = " ".join(text.split())
    for letter, instead in (("\\", "\\\\"), ("|", "\\|"), ("<", "&lt;"), (">", "&gt;"), ("@", "&#64;"), ("*", "\\*")):
        plain = plain.replace(letter, instead)
    return plain
