"""Each field: the form in which it came and that in which it left, what became of its values, and what precision went."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from minimize.policy.model import Field, Policy
from minimize.receipt import FieldReceipt, Receipt, in_force
from minimize.report.arrived import arrived
from minimize.report.bits import by_distinct, by_width, keeps_apart
from minimize.report.distinct import DAMAGED, UNKNOWN, Tally, distinct
from minimize.report.facts import Bits, FieldFacts
from minimize.report.flowing import added, current, hides_rows
from minimize.report.phrases import DROPPED, conditions_of, forms_of
from minimize.report.rounding import Count
from minimize.report.standing import Standing

RECORDS: Final = "records"
_FATES: Final = {"gated": "not collected", "dropped": "dropped by a case", "unparsable": "could not be treated"}
_GONE: Final = Bits(None, "nothing of it is left: all that it told")
_NOT_TOLD: Final = "receipts do not tell"


def fields_of(standing: Standing) -> tuple[FieldFacts, ...]:
    """The fields of the policy of the last run. Raises PolicyError, OutputError where that cannot be read."""
    newest = standing.newest
    policy = standing.policy_of(newest)
    said = [each.fields for each in current(standing.chain) if not hides_rows(each)]
    kept = [key for key, each in newest.fields.items() if each.did != "drop" and key in policy.fields]
    files = in_force(standing.chain).get(RECORDS, [])
    tallies = distinct(standing.output, files, kept, standing.kms)
    for why, keys in _unread(tallies).items():
        standing.hide(f"distinct values of {len(keys)} fields", why)
    return tuple(_fields(policy, newest, said, tallies, _came_in(standing, kept)))


def _came_in(standing: Standing, keys: Sequence[str]) -> Mapping[str, Tally]:
    """What came in, where somebody asks for it and the source still stands."""
    if not standing.asked.source:
        return {}
    return standing.try_to("distinct values that came in", lambda: arrived(standing, keys)) or {}


def _unread(tallies: Mapping[str, Tally]) -> dict[str, list[str]]:
    """The fields that could not be read, by why."""
    found: dict[str, list[str]] = {}
    for key, tally in tallies.items():
        if tally.why in (UNKNOWN, DAMAGED):
            found.setdefault(tally.why, []).append(key)
    return found


def undeclared_of(receipts: Sequence[Receipt]) -> dict[str, Count]:
    """What arrived that nobody declared, by its name where it may be told."""
    each = [{name: Count.of(number) for name, number in receipt.undeclared.items()} for receipt in current(receipts)]
    return added(each)


def _fields(
    policy: Policy,
    newest: Receipt,
    said: Sequence[Mapping[str, FieldReceipt]],
    tallies: Mapping[str, Tally],
    came: Mapping[str, Tally],
) -> Iterator[FieldFacts]:
    for key, field in policy.fields.items():
        mine = [each[key] for each in said if key in each]
        yield _field(field, mine, tallies[key], came.get(key)) if key in tallies else _dropped(field, newest.purpose)


def _field(field: Field, said: Sequence[FieldReceipt], stands: Tally, came: Tally | None) -> FieldFacts:
    counted = [each for each in said if each.values is not None]
    fates = added({words: Count.of(getattr(each, name)) for name, words in _FATES.items()} for each in counted)
    changed = Count.total(Count.of(each.changed) for each in counted)
    same = Count.total(Count.of(_unchanged(each)) for each in counted)
    after, after_how = stands.count()
    before, before_how = _before(field, after) if came is None else came.count()
    return FieldFacts(
        field.key,
        field.type,
        field.role,
        forms_of(field),
        "present",
        conditions_of(field),
        Count.total([same, changed, *fates.values()]) if counted else None,
        changed if counted else None,
        {words: count for words, count in fates.items() if count},
        before,
        before_how,
        after,
        after_how,
        _bits(field, before, after),
    )


def _dropped(field: Field, purpose: str) -> FieldFacts:
    other = bool(field.purposes) and purpose not in field.purposes
    form = f"{DROPPED}, for {', '.join(field.purposes)} alone" if other else DROPPED
    return FieldFacts(
        field.key, field.type, field.role, form, "absent", (), None, None, {}, None, _NOT_TOLD, None, "", _GONE
    )


def _unchanged(each: FieldReceipt) -> int:
    return max(0, (each.values or 0) - each.changed - each.gated - each.unparsable - each.dropped)


def _before(field: Field, after: Count | None) -> tuple[Count | None, str]:
    """Known where values that differ still differ; else nobody counted."""
    if field.cases or after is None or not keeps_apart(field.do):
        return None, _NOT_TOLD
    return after, "as many as stand: values that differ still differ"


def _bits(field: Field, before: Count | None, after: Count | None) -> Bits:
    found = None if field.cases else by_width(field.do, field.type)
    return found or by_distinct(before, after) or Bits(None, _why_none(field, before, after))


def _why_none(field: Field, before: Count | None, after: Count | None) -> str:
    if before is None or after is None:
        return "the form depends on the case" if field.cases else "distinct values that came in were not counted"
    return "too few values came in" if before.is_few else "nothing came in, or nothing of it stands"
