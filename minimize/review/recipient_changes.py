"""Changes of a recipient (standing, contract, functions, shared fields) and of the list of subprocessors."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from minimize.policy.describe import treatment_text
from minimize.policy.treatments import DROP
from minimize.recipients.load import Subprocessor, Subprocessors
from minimize.recipients.model import Contract, Function, Recipient, SharedField
from minimize.review.changes import GradedChange, change_text, list_text, retention_text, value_text
from minimize.review.grades import (
    CATEGORY_LIMITS,
    Grade,
    chain_grade,
    change_loosens,
    fewer_tightens,
    join_grades,
    lower_tightens,
    ranked_comparison,
)
from minimize.review.policy_changes import ROLE_ORDER

_STANDING_ORDER: Final = ("agent", "independent")
"""An agent acts only for the organization; an independent recipient also acts for itself. Strictest first."""
RecipientPart = tuple[str, str, str, str, Grade]
"""Code, name of the part, old state, new state, grade."""


def recipient_changes(old: Recipient, new: Recipient, file: str | None) -> Iterator[GradedChange]:
    """Changes of a recipient: standing, contract, functions and their shared fields."""
    yield from _part_changes([*_head_parts(old, new), *_contract_parts(old.contract, new.contract)], file)
    for name in {**old.functions, **new.functions}:
        yield from _function_changes(old.functions.get(name), new.functions.get(name), name, file)


def subprocessor_changes(old: Subprocessors, new: Subprocessors, file: str | None) -> Iterator[GradedChange]:
    """Changes of the list of subprocessors and their periods."""
    before, after = ({(each.name, each.from_): each for each in side.entries} for side in (old, new))
    for key in {**before, **after}:
        was, now = before.get(key), after.get(key)
        if was is None or now is None:
            grade: Grade = "tightens" if now is None else "loosens"
            line = None if now is None else now.line
            yield GradedChange(
                "J060", grade, "removed from the list" if now is None else "added to the list", file, line, key[0]
            )
        elif was.until != now.until:
            yield GradedChange(
                "J060",
                lower_tightens(was.until, now.until),
                change_text(_period_text(was), _period_text(now)),
                file,
                now.line,
                key[0],
            )


def _period_text(each: Subprocessor | Contract) -> str:
    return f"from {each.from_} until {each.until or 'terminated'}"


def _part_changes(
    parts: list[RecipientPart], file: str | None, line: int | None = None, about: str | None = None
) -> Iterator[GradedChange]:
    for code, key, before, after, grade in parts:
        if before != after or grade != "neutral":
            yield GradedChange(code, grade, f"{key}: {change_text(before, after)}", file, line, about)


def _head_parts(old: Recipient, new: Recipient) -> list[RecipientPart]:
    listing = change_loosens(old.subprocessor, new.subprocessor)
    return [
        (
            "J060",
            "standing",
            old.standing,
            new.standing,
            ranked_comparison(_STANDING_ORDER)(old.standing, new.standing),
        ),
        ("J060", "subprocessor", value_text(old.subprocessor), value_text(new.subprocessor), listing),
        ("J029", "about", value_text(old.about), value_text(new.about), "neutral"),
        ("J029", "ending", value_text(old.ending), value_text(new.ending), "neutral"),
    ]


def _contract_parts(old: Contract | None, new: Contract | None) -> list[RecipientPart]:
    if old is None or new is None:
        grade: Grade = "neutral" if old is new else "loosens" if old is None else "tightens"
        words = ["no contract" if each is None else f"contract {each.reference}" for each in (old, new)]
        return [("J061", "contract", words[0], words[1], grade)]
    days = join_grades(
        (lower_tightens(old.until, new.until), "neutral" if old.from_ == new.from_ else _begin_grade(old, new))
    )
    permits = [each.permitted_fields if each.permits_transmission else () for each in (old, new)]
    return [
        ("J061", "reference", old.reference, new.reference, change_loosens(old.reference, new.reference)),
        ("J061", "in force", _period_text(old), _period_text(new), days),
        ("J061", "permits", list_text(permits[0]), list_text(permits[1]), fewer_tightens(permits[0], permits[1])),
        (
            "J061",
            "retention",
            retention_text(old.retention),
            retention_text(new.retention),
            lower_tightens(old.retention, new.retention),
        ),
        (
            "J061",
            "deletes within",
            value_text(old.deletes_within),
            value_text(new.deletes_within),
            lower_tightens(old.deletes_within, new.deletes_within),
        ),
    ]


def _begin_grade(old: Contract, new: Contract) -> Grade:
    return "tightens" if new.from_ > old.from_ else "loosens"


def _function_changes(
    old: Function | None, new: Function | None, name: str, file: str | None
) -> Iterator[GradedChange]:
    if old is None or new is None:
        grade: Grade = "tightens" if new is None else "loosens"
        message = "function removed" if new is None else f"function added, for {new.purpose}"
        yield GradedChange("J062", grade, message, file, None if new is None else new.line, name)
        return
    yield from _part_changes(_function_parts(old, new), file, new.line, name)
    for key in {**old.fields, **new.fields}:
        yield from _shared_field_changes(old.fields.get(key), new.fields.get(key), f"{name}: {key}", file, new.line)


def _function_parts(old: Function, new: Function) -> list[RecipientPart]:
    text: Grade = "neutral" if old.text == new.text or new.text_version > old.text_version else "loosens"
    text = "loosens" if new.text_version < old.text_version else text
    return [
        ("J062", "direction", old.direction, new.direction, change_loosens(old.direction, new.direction)),
        ("J062", "purpose", old.purpose, new.purpose, change_loosens(old.purpose, new.purpose)),
        (
            "J062",
            "requires",
            list_text(old.requires),
            list_text(new.requires),
            fewer_tightens(new.requires, old.requires),
        ),
        (
            "J062",
            "aggregate",
            value_text(old.aggregate),
            value_text(new.aggregate),
            change_loosens(old.aggregate, new.aggregate),
        ),
        (
            "J064",
            "must_be",
            value_text(old.must_be),
            value_text(new.must_be),
            ranked_comparison(CATEGORY_LIMITS)(old.must_be, new.must_be),
        ),
        ("J065", "text", f"version {old.text_version}", f"version {new.text_version}", text),
    ]


def _shared_field_changes(
    old: SharedField | None, new: SharedField | None, about: str, file: str | None, line: int | None
) -> Iterator[GradedChange]:
    if old is None or new is None:
        field, grade = (old, "tightens") if new is None else (new, "loosens")
        leaves = field is not None and (bool(field.chain) or field.passes)
        word, form_text = (
            "removed" if new is None else "added",
            "" if field is None else treatment_text(field.chain or DROP),
        )
        final: Grade = "neutral" if not leaves else "tightens" if grade == "tightens" else "loosens"
        yield GradedChange("J063", final, f"{word}: {form_text}", file, line if new is None else new.line, about)
        return
    form = chain_grade(old.form, new.form, {old.role, new.role})
    passes: Grade = "neutral" if old.passes == new.passes else "loosens" if new.passes else "tightens"
    parts: list[RecipientPart] = [
        ("J063", "form", treatment_text(old.form), treatment_text(new.form), form),
        ("J063", "values", _values_text(old), _values_text(new), _values_grade(old, new)),
        ("J063", "passes through", value_text(old.passes), value_text(new.passes), passes),
        ("J029", "optional", value_text(old.optional), value_text(new.optional), "neutral"),
        ("J029", "protocol", value_text(old.protocol), value_text(new.protocol), "neutral"),
        ("J015", "role", old.role, new.role, ranked_comparison(ROLE_ORDER)(old.role, new.role)),
        (
            "J014",
            "type",
            old.type,
            new.type,
            change_loosens(old.type, new.type) if old.chain or new.chain else "neutral",
        ),
    ]
    yield from _part_changes(parts, file, new.line, about)


def _values_text(field: SharedField) -> str:
    return list_text(field.values) if field.values else "any"


def _values_grade(old: SharedField, new: SharedField) -> Grade:
    """Grade of a change of listed values. Fewer values tighten; no list means any value."""
    if not old.values or not new.values:
        return "neutral" if old.values == new.values else "tightens" if new.values else "loosens"
    return fewer_tightens(old.values, new.values)
