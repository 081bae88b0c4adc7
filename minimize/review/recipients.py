"""Two states of a recipient compared, and two of the list of subprocessors."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from minimize.policy.words import chain_text
from minimize.recipients.model import Contract, Function, Recipient, Shared
from minimize.recipients.subprocessors import Subprocessor, Subprocessors
from minimize.review.change import Change
from minimize.review.fields import ROLES
from minimize.review.forms import form_grade
from minimize.review.grades import Grade, changed, fewer, joined, lower, ranked
from minimize.review.words import CATEGORIES, arrow, listed, plain, span

_STANDINGS: Final = ("agent", "independent")
"""Who acts for us alone, then who acts for itself, too."""
Told = tuple[str, str, str, str, Grade]
"""Code, what it is, what was, what is, the grade."""


def recipient_changes(old: Recipient, new: Recipient, file: str | None) -> Iterator[Change]:
    """What changed about a recipient: its standing, its contract, its functions and what goes with each."""
    yield from _changes([*_head(old, new), *_contract(old.contract, new.contract)], file)
    for name in {**old.functions, **new.functions}:
        yield from _function(old.functions.get(name), new.functions.get(name), name, file)


def subprocessor_changes(old: Subprocessors, new: Subprocessors, file: str | None) -> Iterator[Change]:
    """What changed about the list of subprocessors: for how long who may act for us."""
    before, after = ({(each.name, each.from_): each for each in side.entries} for side in (old, new))
    for key in {**before, **after}:
        was, now = before.get(key), after.get(key)
        if was is None or now is None:
            grade: Grade = "tightens" if now is None else "loosens"
            line = None if now is None else now.line
            yield Change("J060", grade, "gone from the list" if now is None else "new on the list", file, line, key[0])
        elif was.until != now.until:
            yield Change("J060", lower(was.until, now.until), arrow(_until(was), _until(now)), file, now.line, key[0])


def _until(each: Subprocessor) -> str:
    return f"from {each.from_} until {each.until or 'it is ended'}"


def _changes(told: list[Told], file: str | None, line: int | None = None, about: str | None = None) -> Iterator[Change]:
    for code, key, before, after, grade in told:
        if before != after or grade != "neutral":
            yield Change(code, grade, f"{key}: {arrow(before, after)}", file, line, about)


def _head(old: Recipient, new: Recipient) -> list[Told]:
    listing = changed(old.subprocessor, new.subprocessor)
    return [
        ("J060", "standing", old.standing, new.standing, ranked(_STANDINGS)(old.standing, new.standing)),
        ("J060", "subprocessor", plain(old.subprocessor), plain(new.subprocessor), listing),
        ("J029", "about", plain(old.about), plain(new.about), "neutral"),
        ("J029", "ending", plain(old.ending), plain(new.ending), "neutral"),
    ]


def _contract(old: Contract | None, new: Contract | None) -> list[Told]:
    if old is None or new is None:
        grade: Grade = "neutral" if old is new else "loosens" if old is None else "tightens"
        words = ["no contract" if each is None else f"contract {each.reference}" for each in (old, new)]
        return [("J061", "contract", words[0], words[1], grade)]
    days = joined((lower(old.until, new.until), "neutral" if old.from_ == new.from_ else _begins(old, new)))
    permits = [each.permitted_fields if each.permits_transmission else () for each in (old, new)]
    return [
        ("J061", "reference", old.reference, new.reference, changed(old.reference, new.reference)),
        ("J061", "in force", _days(old), _days(new), days),
        ("J061", "permits", listed(permits[0]), listed(permits[1]), fewer(permits[0], permits[1])),
        ("J061", "retention", span(old.retention), span(new.retention), lower(old.retention, new.retention)),
        (
            "J061",
            "deletes within",
            plain(old.deletes_within),
            plain(new.deletes_within),
            lower(old.deletes_within, new.deletes_within),
        ),
    ]


def _begins(old: Contract, new: Contract) -> Grade:
    return "tightens" if new.from_ > old.from_ else "loosens"


def _days(contract: Contract) -> str:
    return f"from {contract.from_} until {contract.until or 'it is ended'}"


def _function(old: Function | None, new: Function | None, name: str, file: str | None) -> Iterator[Change]:
    if old is None or new is None:
        grade: Grade = "tightens" if new is None else "loosens"
        message = "the function is gone" if new is None else f"a new function, for {new.purpose}"
        yield Change("J062", grade, message, file, None if new is None else new.line, name)
        return
    yield from _changes(_function_parts(old, new), file, new.line, name)
    for key in {**old.fields, **new.fields}:
        yield from _shared(old.fields.get(key), new.fields.get(key), f"{name}: {key}", file, new.line)


def _function_parts(old: Function, new: Function) -> list[Told]:
    text: Grade = "neutral" if old.text == new.text or new.text_version > old.text_version else "loosens"
    text = "loosens" if new.text_version < old.text_version else text
    return [
        ("J062", "direction", old.direction, new.direction, changed(old.direction, new.direction)),
        ("J062", "purpose", old.purpose, new.purpose, changed(old.purpose, new.purpose)),
        ("J062", "requires", listed(old.requires), listed(new.requires), fewer(new.requires, old.requires)),
        ("J062", "aggregate", plain(old.aggregate), plain(new.aggregate), changed(old.aggregate, new.aggregate)),
        ("J064", "must_be", plain(old.must_be), plain(new.must_be), ranked(CATEGORIES)(old.must_be, new.must_be)),
        ("J065", "text", f"version {old.text_version}", f"version {new.text_version}", text),
    ]


def _shared(old: Shared | None, new: Shared | None, about: str, file: str | None, line: int | None) -> Iterator[Change]:
    if old is None or new is None:
        field, grade = (old, "tightens") if new is None else (new, "loosens")
        leaves = field is not None and (bool(field.chain) or field.passes)
        word, told = "gone" if new is None else "new", "" if field is None else chain_text(field.do)
        final: Grade = "neutral" if not leaves else "tightens" if grade == "tightens" else "loosens"
        yield Change("J063", final, f"{word}: {told}", file, line if new is None else new.line, about)
        return
    form = form_grade(old.form, new.form, {old.role, new.role})
    passes: Grade = "neutral" if old.passes == new.passes else "loosens" if new.passes else "tightens"
    parts: list[Told] = [
        ("J063", "form", chain_text(old.form), chain_text(new.form), form),
        ("J063", "values", _listed(old), _listed(new), _values(old, new)),
        ("J063", "passes through", plain(old.passes), plain(new.passes), passes),
        ("J029", "optional", plain(old.optional), plain(new.optional), "neutral"),
        ("J029", "protocol", plain(old.protocol), plain(new.protocol), "neutral"),
        ("J015", "role", old.role, new.role, ranked(ROLES)(old.role, new.role)),
        ("J014", "type", old.type, new.type, changed(old.type, new.type) if old.chain or new.chain else "neutral"),
    ]
    yield from _changes(parts, file, new.line, about)


def _listed(field: Shared) -> str:
    return listed(field.values) if field.values else "any"


def _values(old: Shared, new: Shared) -> Grade:
    """Fewer values are less; any value is the most."""
    if not old.values or not new.values:
        return "neutral" if old.values == new.values else "tightens" if new.values else "loosens"
    return fewer(old.values, new.values)
