"""Two states of one field compared, part by part."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

from minimize.policy.fields import is_dropped
from minimize.policy.model import Field, Policy, Role
from minimize.policy.words import chain_text, condition_text
from minimize.review.change import Change
from minimize.review.conditions import condition_grade
from minimize.review.grades import Grade, changed, fewer, joined, ranked, said
from minimize.review.ways import measured_grade, ways_grade
from minimize.review.words import arrow

ROLES: Final[tuple[Role, ...]] = ("secret", "identifier", "free_text", "sensitive", "quasi", "plain")
"""From the one that is guarded most."""
TYPES: Final = ("boolean", "integer", "double", "string")
"""Each takes what those before it take."""
TIMES: Final = ("date", "timestamp")


@dataclass(frozen=True, slots=True)
class Sides:
    """A policy as it was and as it is, and what its file is called on either side."""

    old: Policy
    new: Policy
    was: str | None = None
    now: str | None = None

    @property
    def levels(self) -> tuple[str, ...]:
        """The levels, lowest first, where both sides have the same."""
        return self.new.levels if self.old.levels == self.new.levels else ()

    def level_grade(self, old: str | None, new: str | None) -> Grade:
        """The grade of a change of the level that is asked for; the first is always on, like none."""
        if not self.levels:
            return said(old, new)
        return ranked(self.levels[::-1])(old or self.levels[0], new or self.levels[0])

    def roles(self, *fields: Field) -> frozenset[Role]:
        """The roles of a field on both sides, and of what it is made from."""
        inputs = {key for field in fields for key in field.from_}
        made = {side.fields[key].role for side in (self.old, self.new) for key in inputs & set(side.fields)}
        return frozenset(made | {field.role for field in fields})


@dataclass(frozen=True, slots=True)
class Part:
    """A part of a field: the code of its change, its keys in the file, how people read it, how it is compared."""

    code: str
    keys: tuple[str, ...]
    words: Callable[[Field], str]
    grade: Callable[[Sides, Field, Field], Grade]


def field_changes(sides: Sides, key: str) -> Iterator[Change]:
    """What changed about one field."""
    old, new = sides.old.fields.get(key), sides.new.fields.get(key)
    if old is None and new is not None:
        yield Change("J010", "loosens" if _shows(new) else "neutral", f"new: {_told(new)}", sides.now, new.line, key)
    elif new is None and old is not None:
        message = f"gone, and so dropped; it was {_told(old)}"
        yield Change("J010", "tightens" if _shows(old) else "neutral", message, sides.was, old.line, key)
    elif old is not None and new is not None:
        for part in PARTS:
            yield from _of_part(sides, part, old, new)


def _of_part(sides: Sides, part: Part, old: Field, new: Field) -> Iterator[Change]:
    before, after, grade = part.words(old), part.words(new), part.grade(sides, old, new)
    if before != after or grade != "neutral":
        lines = (sides.new.lines.get(("fields", new.key, key)) for key in part.keys)
        line = next((line for line in lines if line is not None), new.line)
        yield Change(part.code, grade, arrow(before, after), sides.now, line, new.key)


def gate_grade(sides: Sides, old: Field, new: Field) -> Grade:
    """The grade of a change of feature, level and condition; all of them must let a value through."""
    return joined(
        (
            said(old.feature, new.feature),
            sides.level_grade(old.level, new.level),
            condition_grade(old.collect_if, new.collect_if, sides.levels),
        )
    )


def purposes_grade(sides: Sides, old: Field, new: Field) -> Grade:
    """The grade of a change of purposes; none named are all that the policy lists."""
    if not old.purposes or not new.purposes:
        return "neutral" if old.purposes == new.purposes else "tightens" if new.purposes else "loosens"
    return fewer(old.purposes, new.purposes)


def type_grade(sides: Sides, old: Field, new: Field) -> Grade:
    """The grade of a change of type: one that takes more lets more in. Of what leaves nobody it does not matter."""
    if not _shows(old) and not _shows(new):
        return "neutral"
    words = TIMES if {old.type, new.type} <= set(TIMES) else TYPES
    return ranked(words)(old.type, new.type)


def _seen_grade(sides: Sides, old: Field, new: Field) -> Grade:
    if not old.in_aggregates and not new.in_aggregates:
        return "neutral"
    return measured_grade(old, new, sides.roles(old, new))


def _shows(field: Field) -> bool:
    """Whether anything of it leaves, in records or in aggregates."""
    return not is_dropped(field) or bool(field.in_aggregates)


def _told(field: Field) -> str:
    return _form(field) + (f", {_seen(field)}" if field.in_aggregates else "")


def _form(field: Field) -> str:
    if not field.cases:
        return chain_text(field.do)
    cases = (f"if {condition_text(case.when)}: {chain_text(case.do)}" for case in field.cases)
    return "; ".join([*cases, f"otherwise {chain_text(field.otherwise)}"])


def _seen(field: Field) -> str:
    return f"aggregates see {chain_text(field.in_aggregates) if field.in_aggregates else 'what is released'}"


def _gate(field: Field) -> str:
    parts = [f"feature {field.feature} is on"] if field.feature else []
    parts += [f"level is {field.level} or higher"] if field.level else []
    parts += [condition_text(field.collect_if)] if field.collect_if is not None else []
    return f"collected if {' and '.join(parts)}" if parts else "collected always"


def _inputs(field: Field) -> str:
    return f"made from {', '.join(field.from_) or 'itself'}"


def _words(field: Field) -> str:
    marks = [word for word in ("required", "optional") if getattr(field, word)]
    return ", ".join([*marks, *(text for text in (field.about, field.unit) if text)]) or "no words"


PARTS: Final = (
    Part("J011", ("do", "cases", "otherwise"), _form, lambda s, o, n: ways_grade(o, n, s.roles(o, n))),
    Part("J012", ("feature", "level", "collect_if"), _gate, gate_grade),
    Part("J013", ("purposes",), lambda field: f"for {', '.join(field.purposes) or 'all purposes'}", purposes_grade),
    Part("J014", ("type",), lambda field: field.type, type_grade),
    Part("J015", ("role",), lambda field: f"role {field.role}", lambda s, o, n: ranked(ROLES)(o.role, n.role)),
    Part("J016", ("in_aggregates",), _seen, _seen_grade),
    Part(
        "J017",
        ("from",),
        lambda field: f"from {', '.join(field.from_) or 'itself'}",
        lambda s, o, n: changed(o.from_, n.from_),
    ),
    Part("J029", ("about", "unit", "required", "optional"), _words, lambda s, o, n: "neutral"),
)
"""In the order in which they are told."""
