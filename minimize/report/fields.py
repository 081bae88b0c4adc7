"""Fields of a report: precision lost in bits, treatments in plain words, and the facts of each field.

Precision is measured in bits: log2 of the number of fine values that share a coarse one. By width, if the size of a
technique's cell and the finest step of the type are known (an integer's 1, a time's second, a date's day, an address's bit):
log2 of cell divided by step. By distinct values: log2 of the number in the source divided by the number in the output.
Both treat all fine values as equally likely. Neither measures how hard a value is to guess.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from math import log2
from types import MappingProxyType
from typing import Any, Final

from minimize.output.folder import RECORDS
from minimize.policy.describe import condition_text, gate_texts, step_text
from minimize.policy.model import Field, Policy
from minimize.policy.treatments import Treatment
from minimize.receipts import FieldReceipt, Receipt, files_in_force
from minimize.report.context import ReportContext
from minimize.report.distinct_values import DAMAGED, NO_KEY, DistinctCounter, tally_records, tally_source
from minimize.report.facts import ROUNDING_STEP, FieldFacts, PrecisionLoss, RoundedCount
from minimize.report.row_flow import current_runs, hides_rows, sum_counts
from minimize.techniques import TechniqueStep

SECONDS_OF_UNIT: Final = {
    "minute": 60,
    "hour": 3_600,
    "day": 86_400,
    "week": 604_800,
    "month": 2_629_746,
    "quarter": 7_889_238,
    "year": 31_556_952,
}
_AGE_UNITS: Final = {"days": "day", "months": "month", "years": "year"}
_ONE_TO_ONE: Final = frozenset({"keep", "pseudonymize", "tokenize"})
"""Techniques that keep different values different."""


def loss_by_width(do: Treatment, type_: str) -> PrecisionLoss | None:
    """Bits that a chain gives up, by the width of its cells; None if the width is unknown."""
    if isinstance(do, str):
        return None
    found = [_loss_of_step(step, type_) for step in do if step.name not in _ONE_TO_ONE]
    if not found:
        return PrecisionLoss(0.0, "different values stay different")
    return found[0] if len(found) == 1 else None


def loss_by_distinct(before: RoundedCount | None, after: RoundedCount | None) -> PrecisionLoss | None:
    """Bits by distinct values, from rounded figures; None if one of them is unknown."""
    if before is None or after is None or not before.value or not after:
        return None
    number = log2(before.value / (ROUNDING_STEP - 1 if after.is_few else after.value))
    return PrecisionLoss(max(0.0, number), "by distinct values", at_least=after.is_few)


def is_one_to_one(do: Treatment) -> bool:
    """Whether this form keeps different values different, so that the number of distinct values does not change."""
    return not isinstance(do, str) and all(
        step.name in _ONE_TO_ONE and not getattr(step, "rotate", None) for step in do
    )


def _loss_of_step(step: TechniqueStep, type_: str) -> PrecisionLoss | None:
    values: Any = step
    match step.name:
        case "truncate_time":
            return _loss_of_time(values.to, type_)
        case "age":
            return _loss_of_time(_AGE_UNITS[values.unit], type_)
        case "truncate_ip":
            return PrecisionLoss(
                32.0 - values.v4,
                f"by width: {32 - values.v4} of 32 bits of an IPv4 address; {128 - values.v6} of 128 of IPv6",
            )
        case "bin" if values.width is not None and type_ == "integer":
            return _loss_of_cell(float(values.width), "whole numbers", "an interval")
        case "round" if type_ == "integer":
            return _loss_of_cell(float(values.to), "whole numbers", "a step")
    return None


def _loss_of_time(unit: str, type_: str) -> PrecisionLoss | None:
    if type_ == "date":
        return _loss_of_cell(SECONDS_OF_UNIT[unit] / SECONDS_OF_UNIT["day"], "days", f"a {unit}")
    return _loss_of_cell(SECONDS_OF_UNIT[unit], "seconds", f"{'an' if unit == 'hour' else 'a'} {unit}")


def _loss_of_cell(size: float, finer: str, cell: str) -> PrecisionLoss:
    return PrecisionLoss(max(0.0, log2(max(size, 1.0))), f"by width: {size:,.0f} {finer} in {cell}")


StepPhrase = Callable[[Any], str]


def _pseudonymize_phrase(step: Any) -> str:
    within = f", different for each {step.per}" if step.per else ""
    turned = f", changed every {step.rotate}" if step.rotate else ""
    return f"replaced by a keyed pseudonym{within}{turned}"


def _mask_phrase(step: Any) -> str:
    last = step.keep_last is not None
    number = step.keep_last if last else step.keep_first
    return f"masked except the {'last' if last else 'first'} {number} characters"


def _bin_phrase(step: Any) -> str:
    if step.width is not None:
        return f"replaced by its interval of width {_number_text(step.width)}"
    return f"replaced by its interval, with bounds at {', '.join(map(_number_text, step.edges or ()))}"


def _clip_phrase(step: Any) -> str:
    low = "" if step.min is None else f" below {_number_text(step.min)}"
    high = "" if step.max is None else f" above {_number_text(step.max)}"
    return f"values{low}{' or' if low and high else ''}{high} become the bound"


def _time_phrase(step: Any) -> str:
    return f"truncated to the {step.to}{'' if step.zone == 'UTC' else f' in {step.zone}'}"


def _age_phrase(step: Any) -> str:
    since = "the run" if step.at == "run" else step.at
    return f"completed {step.unit} until {since}"


_PHRASES: Final[Mapping[str, StepPhrase]] = MappingProxyType(
    {
        "keep": lambda _: "unchanged",
        "pseudonymize": _pseudonymize_phrase,
        "tokenize": lambda _: "encrypted; reversible only with the keyring",
        "mask": _mask_phrase,
        "round": lambda step: f"rounded to the nearest {_number_text(step.to)}",
        "bin": _bin_phrase,
        "clip": _clip_phrase,
        "truncate_time": _time_phrase,
        "age": _age_phrase,
        "shift_dates": lambda step: (
            f"shifted by a secret number of days, up to {step.max_days}, the same for each {step.per}"
        ),
        "truncate_ip": lambda step: f"its network: the first {step.v4} bits (IPv4) or {step.v6} bits (IPv6)",
        "truncate_version": lambda step: f"its first {step.parts} parts" if step.parts != 1 else "its first part",
        "generalize": lambda step: f"generalized by {step.level} levels of its hierarchy",
        "map": lambda step: f"one of {len(set(step.values.values()))} words of a table",
        "top": lambda step: f"one of the {step.keep} most frequent values; the others are combined",
        "grid": lambda step: f"the centre of a cell of {step.metres:g} metres",
        "h3": lambda step: f"its H3 cell of resolution {step.resolution}",
        "keep_host": lambda _: "only the host of the address",
        "email_domain": lambda _: "only the domain of the address",
        "redact": lambda step: f"text with {', '.join(step.patterns)} redacted",
        "presence": lambda _: "whether there is a value",
        "size": lambda _: "the number of elements",
    }
)
DROPPED: Final = "dropped"


def step_phrase(step: TechniqueStep) -> str:
    """One step as text.

    >>> from minimize.techniques.mask import Mask
    >>> step_phrase(Mask(keep_last=4))
    'masked except the last 4 characters'
    """
    phrase = _PHRASES.get(step.name)
    return step_text(step) if phrase is None else phrase(step)


def treatment_phrase(do: Treatment) -> str:
    """A chain as text."""
    return DROPPED if isinstance(do, str) else ", then ".join(map(step_phrase, do))


def field_phrase(field: Field) -> str:
    """The released form of a field as text, including its cases."""
    if not field.cases:
        return treatment_phrase(field.do)
    cases = [f"{treatment_phrase(case.do)} if {condition_text(case.when)}" for case in field.cases]
    return "; ".join([*cases, f"otherwise {treatment_phrase(field.otherwise)}"])


def _number_text(value: Any) -> str:
    number = float(value)
    return f"{number:,.0f}" if number.is_integer() else f"{number:g}"


_LOSS_REASONS: Final = {"gated": "not collected", "dropped": "dropped by a case", "unparsable": "could not be treated"}
_NOTHING_LEFT: Final = PrecisionLoss(None, "all information is removed")
_NOT_COUNTED: Final = "not recorded in receipts"


def field_facts(context: ReportContext) -> tuple[FieldFacts, ...]:
    """The fields of the last run's policy. Raises PolicyError, OutputError if it cannot be read."""
    newest = context.newest
    policy = context.policy_of(newest)
    counts = [each.fields for each in current_runs(context.chain) if not hides_rows(each)]
    kept = [key for key, each in newest.fields.items() if each.did != "drop" and key in policy.fields]
    files = files_in_force(context.chain).get(RECORDS, [])
    tallies = tally_records(context.output, files, kept, context.kms)
    for why, keys in _unreadable_fields(tallies).items():
        context.hide(f"distinct values of {len(keys)} fields", why)
    return tuple(_facts_by_field(policy, newest, counts, tallies, _source_tallies(context, kept)))


def _source_tallies(context: ReportContext, keys: Sequence[str]) -> Mapping[str, DistinctCounter]:
    """Distinct values of the source, if requested and the source is unchanged."""
    if not context.request.source:
        return {}
    return context.attempt("distinct values in the source", lambda: tally_source(context, keys)) or {}


def _unreadable_fields(tallies: Mapping[str, DistinctCounter]) -> dict[str, list[str]]:
    """The fields that could not be read, by reason."""
    found: dict[str, list[str]] = {}
    for key, tally in tallies.items():
        if tally.reason in (NO_KEY, DAMAGED):
            found.setdefault(tally.reason, []).append(key)
    return found


def undeclared_counts(receipts: Sequence[Receipt]) -> dict[str, RoundedCount]:
    """Counts of undeclared fields, by name or masked name."""
    each = [
        {name: RoundedCount.rounded(number) for name, number in receipt.undeclared.items()}
        for receipt in current_runs(receipts)
    ]
    return sum_counts(each)


def _facts_by_field(
    policy: Policy,
    newest: Receipt,
    receipts: Sequence[Mapping[str, FieldReceipt]],
    tallies: Mapping[str, DistinctCounter],
    came: Mapping[str, DistinctCounter],
) -> Iterator[FieldFacts]:
    for key, field in policy.fields.items():
        mine = [each[key] for each in receipts if key in each]
        yield (
            _kept_field(field, mine, tallies[key], came.get(key))
            if key in tallies
            else _dropped_field(field, newest.purpose)
        )


def _kept_field(
    field: Field, receipts: Sequence[FieldReceipt], distinct: DistinctCounter, came: DistinctCounter | None
) -> FieldFacts:
    counted = [each for each in receipts if each.values is not None]
    fates = sum_counts(
        {words: RoundedCount.rounded(getattr(each, name)) for name, words in _LOSS_REASONS.items()} for each in counted
    )
    changed = RoundedCount.total(RoundedCount.rounded(each.changed) for each in counted)
    same = RoundedCount.total(RoundedCount.rounded(_unchanged_values(each)) for each in counted)
    after, after_how = distinct.count()
    before, before_how = _distinct_before(field, after) if came is None else came.count()
    return FieldFacts(
        field.key,
        field.type,
        field.role,
        field_phrase(field),
        "present",
        tuple(gate_texts(field)),
        RoundedCount.total([same, changed, *fates.values()]) if counted else None,
        changed if counted else None,
        {words: count for words, count in fates.items() if count},
        before,
        before_how,
        after,
        after_how,
        _precision_loss(field, before, after),
    )


def _dropped_field(field: Field, purpose: str) -> FieldFacts:
    other = bool(field.purposes) and purpose not in field.purposes
    form = f"{DROPPED}, only for {', '.join(field.purposes)}" if other else DROPPED
    return FieldFacts(
        field.key,
        field.type,
        field.role,
        form,
        "absent",
        (),
        None,
        None,
        {},
        None,
        _NOT_COUNTED,
        None,
        "",
        _NOTHING_LEFT,
    )


def _unchanged_values(each: FieldReceipt) -> int:
    return max(0, (each.values or 0) - each.changed - each.gated - each.unparsable - each.dropped)


def _distinct_before(field: Field, after: RoundedCount | None) -> tuple[RoundedCount | None, str]:
    """Distinct values in the source: known if the form keeps different values different, else not counted."""
    if field.cases or after is None or not is_one_to_one(field.do):
        return None, _NOT_COUNTED
    return after, "as many as in the output: different values stay different"


def _precision_loss(field: Field, before: RoundedCount | None, after: RoundedCount | None) -> PrecisionLoss:
    found = None if field.cases else loss_by_width(field.do, field.type)
    return found or loss_by_distinct(before, after) or PrecisionLoss(None, _no_loss_reason(field, before, after))


def _no_loss_reason(field: Field, before: RoundedCount | None, after: RoundedCount | None) -> str:
    if before is None or after is None:
        return "the form depends on the case" if field.cases else "distinct values in the source were not counted"
    return "too few values in the source" if before.is_few else "the source or the output has no values"
