"""Graded changes: stable codes (`J`; `F` for fixtures), the text of a change, the report, Markdown.

Each change has a grade: a changed value, condition, technique chain or case tightens, loosens or is neutral.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from types import MappingProxyType
from typing import Any, Final, Literal

from minimize.forms.yaml_nodes import scalar_text
from minimize.pages import Block, Section, StatusLine, Table
from minimize.plan.model import least_revealing, step_residual
from minimize.policy.condition import AllOf, AnyOf, Condition, FieldEquals, LevelAtLeast, TimeWithin
from minimize.policy.fields import treatments_of
from minimize.policy.model import Field, FieldCase, Role
from minimize.policy.treatments import Treatment
from minimize.results import JsonResult, Line
from minimize.review.consequences import CONSEQUENCES, Consequence
from minimize.techniques import TechniqueStep
from minimize.techniques.base import RESIDUAL_ORDER
from minimize.text import count_noun, place_text
from minimize.times import duration_text

Grade = Literal["tightens", "loosens", "neutral"]
Comparison = Callable[[Any, Any], Grade]
"""Takes the old and the new value, returns the grade of the change."""
GRADE_ORDER: Final[tuple[Grade, ...]] = ("loosens", "tightens", "neutral")


def join_grades(grades: Iterable[Grade]) -> Grade:
    """Grade of several changes together: `loosens` if one loosens, else `tightens` if one tightens.

    >>> join_grades(["neutral", "tightens"]), join_grades(["tightens", "loosens"]), join_grades([])
    ('tightens', 'loosens', 'neutral')
    """
    return min(grades, key=GRADE_ORDER.index, default="neutral")


def compare_entries(order: Comparison, old: Mapping[Any, Any], new: Mapping[Any, Any], missing: Any = None) -> Grade:
    """Grade of two mappings, entry by entry. `missing` stands for an entry that only one side has."""
    return join_grades(order(old.get(name, missing), new.get(name, missing)) for name in {**old, **new})


def condition_grade(old: Condition | None, new: Condition | None, levels: Sequence[str] = ()) -> Grade:
    """Grade of a change of the condition for collecting a value. None means that the value is always collected.

    >>> condition_grade(FieldEquals("a", (1, 2)), FieldEquals("a", (1,))), condition_grade(FieldEquals("a", (1,)), None)
    ('tightens', 'loosens')
    """
    if old is None or new is None:
        return "neutral" if old is new else "tightens" if old is None else "loosens"
    narrower, wider = implies(new, old, levels), implies(old, new, levels)
    return "neutral" if narrower and wider else "tightens" if narrower else "loosens"


def implies(first: Condition, second: Condition, levels: Sequence[str] = ()) -> bool:
    """Whether the first condition certainly implies the second. May miss an implication, but never invents one.

    Conditions have no `not`, so comparing their parts is enough. Takes the levels from the lowest to the highest.
    """
    if repr(first) == repr(second):  # `repr`, because Python treats 1 and True as equal
        return True
    if isinstance(first, AnyOf):
        return all(implies(part, second, levels) for part in first.parts)
    if isinstance(second, AllOf):
        return all(implies(first, part, levels) for part in second.parts)
    if isinstance(first, AllOf) and any(implies(part, second, levels) for part in first.parts):
        return True
    if isinstance(second, AnyOf):
        return any(implies(first, part, levels) for part in second.parts)
    return _atom_implies(first, second, levels)


def _atom_implies(first: Condition, second: Condition, levels: Sequence[str]) -> bool:
    if isinstance(first, FieldEquals) and isinstance(second, FieldEquals):
        return first.field == second.field and set(map(repr, first.values)) <= set(map(repr, second.values))
    if isinstance(first, TimeWithin) and isinstance(second, TimeWithin):
        return (first.field, first.reference) == (second.field, second.reference) and first.age <= second.age
    if isinstance(first, LevelAtLeast) and isinstance(second, LevelAtLeast):
        known = first.name in levels and second.name in levels
        return known and levels.index(first.name) >= levels.index(second.name)
    return False


def chain_grade(old: Treatment, new: Treatment, roles: Collection[Role] = ()) -> Grade:
    """Grade of a change from one form to another.

    Takes chains of steps or `drop`, and the roles of their fields.

    >>> from minimize.techniques.mask import Mask
    >>> chain_grade((Mask(keep_last=4),), (Mask(keep_last=2),)), chain_grade("drop", (Mask(keep_last=2),))
    ('tightens', 'loosens')
    """
    if isinstance(old, str) or isinstance(new, str):
        return "neutral" if old == new else "tightens" if isinstance(new, str) else "loosens"
    before, after = _effective_steps(old), _effective_steps(new)
    forms = [[(step.name, step.parameters()) for step in steps] for steps in (before, after)]
    if forms[0] == forms[1]:
        return "neutral"
    if [step.name for step in before] == [step.name for step in after]:
        return join_grades(map(_step_grade, before, after))
    if forms[1][: len(before)] == forms[0] or forms[0][: len(after)] == forms[1]:
        return "tightens" if len(after) > len(before) else "loosens"
    return _grade_by_residual(old, new, roles)


def _effective_steps(chain: tuple[TechniqueStep, ...]) -> list[TechniqueStep]:
    """The steps that change values."""
    return [step for step in chain if not step.changes_nothing]


def _step_grade(old: TechniqueStep, new: TechniqueStep) -> Grade:
    """Grade of a change of the parameters of one technique."""
    before, after = old.parameters(), new.parameters()
    return join_grades(order.grade(before[name], after[name]) for name, order in old.parameter_orders().items())


def _grade_by_residual(
    old: tuple[TechniqueStep, ...], new: tuple[TechniqueStep, ...], roles: Collection[Role]
) -> Grade:
    if old[-1].shows_presence_only or new[-1].shows_presence_only:
        return "tightens" if new[-1].shows_presence_only else "loosens"
    before, after = (
        RESIDUAL_ORDER.index(least_revealing(step_residual(step, roles) for step in chain)) for chain in (old, new)
    )
    return "tightens" if after < before else "loosens"


FormPair = tuple[Treatment, Treatment]
"""A previous form of a value, and a form that it may have now."""


def cases_grade(old: Field, new: Field, roles: Collection[Role]) -> Grade:
    """Grade of a change of `do`, or of cases.

    With the same conditions, compares case by case. If cases were only added or only removed, compares the forms of the values
    they cover. Otherwise compares every old form with every new one.
    """
    return join_grades(chain_grade(before, after, roles) for before, after in _form_pairs(old, new))


def aggregate_input_grade(old: Field, new: Field, roles: Collection[Role]) -> Grade:
    """Grade of a change of the form in aggregates: `in_aggregates`, or the released form if that is not set."""
    pairs = ((before, after) for before in _aggregate_forms(old) for after in _aggregate_forms(new))
    return join_grades(chain_grade(before, after, roles) for before, after in pairs)


def _aggregate_forms(field: Field) -> list[Treatment]:
    return [field.in_aggregates] if field.in_aggregates else list(treatments_of(field))


def _form_pairs(old: Field, new: Field) -> Iterator[FormPair]:
    before, after = _case_forms(old), _case_forms(new)
    if [when for when, _ in before] == [when for when, _ in after]:
        yield from zip(treatments_of(old), treatments_of(new), strict=True)
    elif (removed := _extra_cases(old.cases, new.cases)) is not None and _otherwise_text(old) == _otherwise_text(new):
        yield from ((case.do, way) for place, case in removed for way in _forms_after(new, place))
    elif (added := _extra_cases(new.cases, old.cases)) is not None and _otherwise_text(old) == _otherwise_text(new):
        yield from ((way, case.do) for place, case in added for way in _forms_after(old, place))
    else:
        yield from ((old_way, new_way) for old_way in treatments_of(old) for new_way in treatments_of(new))


def _case_forms(field: Field) -> list[tuple[str, Treatment]]:
    return [(repr(case.when), case.do) for case in field.cases]


def _otherwise_text(field: Field) -> str:
    return repr(field.otherwise if field.cases else field.do)


def _extra_cases(longer: Sequence[FieldCase], shorter: Sequence[FieldCase]) -> list[tuple[int, FieldCase]] | None:
    """Cases that only the longer list has, with their position in the shorter one; None if that is not a part of it."""
    extra_cases, place = [], 0
    for case in longer:
        if place < len(shorter) and repr(case) == repr(shorter[place]):
            place += 1
        else:
            extra_cases.append((place, case))
    return extra_cases if place == len(shorter) else None


def _forms_after(field: Field, place: int) -> list[Treatment]:
    """Possible forms of a value that no case before this position matches."""
    return [*(case.do for case in field.cases[place:]), field.otherwise if field.cases else field.do]


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
        "J041": "the bound on what combinations of values disclose",
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
        "F007": "an attack on the released records succeeds more often than its limit",
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
    old: str = ""
    """The names of the compared files or folders."""
    new: str = ""

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
        """The status, a table of the changes, and what the codes of those that weaken protection mean."""
        rows = [
            (
                change.code,
                f"{change.grade}{self.is_allowed(change) * ' (allowed)'}",
                change.about or "",
                change.message,
                change.place,
            )
            for change in self.changes
        ]
        if rows:
            yield str(status_line(self))
            yield Table.filled("", ("code", "grade", "about", "change", "where"), rows)
        for code, consequence in weakening_codes(self):
            yield f"{code}  {consequence.meaning} {consequence.action}".replace("`", "")
        yield headline(self)

    def is_allowed(self, change: GradedChange) -> bool:
        """Whether this change loosens and is allowed to."""
        return change.grade == "loosens" and change not in self.not_allowed


def collect_changes(changes: Iterable[GradedChange]) -> ChangeReport:
    """Each change once; those that loosen first, then by file and line."""
    unique = dict.fromkeys(changes)
    return ChangeReport(
        tuple(
            sorted(
                unique,
                key=lambda change: (GRADE_ORDER.index(change.grade), change.file or "", change.line or 0, change.code),
            )
        )
    )


_GRADE_SIGNS: Final = {"loosens": "🔓 loosens", "tightens": "🔒 tightens", "neutral": "neutral"}
_GRADE_TITLES: Final[Mapping[Grade, str]] = {
    "loosens": "Weakens protection",
    "tightens": "Strengthens protection",
    "neutral": "Does not affect protection",
}


def _grade_count(grade: Grade, count: int) -> str:
    """A number of changes with their grade: `1 tightens`, `2 tighten`."""
    return f"{count} {grade if count == 1 else grade.removesuffix('s')}"


def headline(changes: ChangeReport) -> str:
    """Number of changes per grade, as text.

    >>> headline(ChangeReport(()))
    'nothing changed'
    """
    counts = [_grade_count(grade, count) for grade, count in changes.counts.items() if count]
    allowed = sum(map(changes.is_allowed, changes.changes))
    return ", ".join([*counts, *([f"{allowed} of them allowed"] if allowed else [])]) or "nothing changed"


def status_line(changes: ChangeReport) -> StatusLine:
    """Whether the changes can be merged, and the number of changes of the other grades.

    >>> print(status_line(ChangeReport(())))
    Nothing changed
    >>> print(status_line(ChangeReport((GradedChange("J020", "loosens", ""), GradedChange("J029", "neutral", "")))))
    1 change weakens protection: do not merge without review · 1 neutral
    """
    counts = changes.counts
    others = [_grade_count(grade, counts[grade]) for grade in GRADE_ORDER[1:] if counts[grade]]
    weakening, refused = counts["loosens"], len(changes.not_allowed)
    if not changes.changes:
        return StatusLine("good", "Nothing changed")
    if not weakening:
        return StatusLine("good", "No change weakens protection", others)
    headline_text = f"{count_noun(weakening, 'change')} {'weakens' if weakening == 1 else 'weaken'} protection"
    if not refused:
        return StatusLine("attention", headline_text, ["allowed on the command line", *others])
    allowed = [f"{weakening - refused} of them allowed"] if weakening > refused else []
    return StatusLine("bad", headline_text, ["do not merge without review", *allowed, *others])


def weakening_codes(changes: ChangeReport) -> Iterator[tuple[str, Consequence]]:
    """The codes of the changes that weaken protection, each with its meaning and what to do."""
    codes = dict.fromkeys(change.code for change in changes.changes if change.grade == "loosens")
    yield from ((code, CONSEQUENCES[code]) for code in codes if code in CONSEQUENCES)


def changes_document(changes: ChangeReport) -> Section:
    """The changes as a document: the status, what the weakening ones mean, then one table for each grade."""
    head = ("code", "about", "change", "place", "allowed")
    rows: dict[Grade, list[tuple[str, ...]]] = {}
    for change in changes.changes:
        allowed = "yes" if changes.is_allowed(change) else "no" if change.grade == "loosens" else ""
        cells = (change.code, change.about or "", change.message, change.place, allowed)
        rows.setdefault(change.grade, []).append(cells)
    meanings = [(code, CODES[code], *consequence) for code, consequence in weakening_codes(changes)]
    sections = [
        Section(
            f"{_GRADE_TITLES[grade]}: {len(rows[grade])}",
            (Table.filled("", head, rows[grade]), *(_meaning_blocks(meanings) if grade == "loosens" else ())),
            is_folded=grade != "loosens",
        )
        for grade in GRADE_ORDER
        if grade in rows
    ]
    compared = f"Old: {changes.old}. New: {changes.new}." if changes.old or changes.new else ""
    return Section("Policy review", (status_line(changes), compared, *sections))


def _meaning_blocks(meanings: Sequence[tuple[str, ...]]) -> Iterator[Block]:
    if meanings:
        yield Section(
            "What these codes mean, and what to do", (Table("", ("code", "is about", "meaning", "do"), meanings),)
        )
        codes = " ".join(f"--allow {code}" for code, *_ in meanings)
        yield f"After review, accept these changes with `{codes}`."


def changes_markdown(changes: ChangeReport) -> str:
    """A comment for a pull request: what loosens first, each change with its place."""
    return "\n".join(_markdown_lines(changes))


def _markdown_lines(changes: ChangeReport) -> Iterator[str]:
    status = status_line(changes)
    yield f"### Policy review: {escape_cell(str(status))}"
    for grade in GRADE_ORDER:
        graded_changes = [change for change in changes.changes if change.grade == grade]
        if graded_changes:
            yield from ("", "| | code | about | change | place |", "|---|---|---|---|---|")
            yield from (_markdown_row(change, allowed=changes.is_allowed(change)) for change in graded_changes)
        if graded_changes and grade == "loosens":
            yield ""
            for code, consequence in weakening_codes(changes):
                yield f"- **{code}**: {consequence.meaning} {consequence.action}"
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
