"""The statements of every technique, and of its rule of verification, are true of data.

Each check returns the statements that data contradict. The second half of the file changes one statement of a technique
at a time: the check must find it.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from functools import cache
from itertools import permutations
from pathlib import Path
from typing import Annotated, Any, ClassVar, NamedTuple, cast

import pyarrow as pa
import pyarrow.compute as pc
import pytest
from pydantic import Field

from minimize.policy.fields import compare_coarseness
from minimize.policy.treatments import main_parameter
from minimize.review.changes import chain_grade
from minimize.techniques import TECHNIQUES, Context, Family, Residual, Technique, TechniqueResult, UnsupportedType
from minimize.techniques.base import apply_per_distinct
from minimize.techniques.parameters import HIGHER_TIGHTENS, LOWER_TIGHTENS, NEUTRAL, Order
from minimize.verification.policy_reading import read_chain
from minimize.verification.rules import (
    RULES,
    ColumnContext,
    StepView,
    TechniqueRule,
    chain_rule,
    may_locate,
    output_family,
    type_family,
)
from minimize.verification.values import distinct_rows
from tests.contract.test_custom_technique import KeepDigits, significant_numbers
from tests.contract.test_techniques import AT, PARAMETERS, OneKey

ROWS = 400
Parameters = Mapping[str, Any]


@cache
def samples() -> dict[str, pa.Array]:
    """Random columns, by their names. Equal values occur in most of them."""
    draw = random.Random(39)

    def column(value: Callable[[], Any], type_: pa.DataType | None = None) -> pa.Array:
        return pa.array([value() for _ in range(ROWS)], type_)

    start = datetime(2020, 1, 1, tzinfo=UTC)
    return {
        "age": column(lambda: draw.randrange(100), pa.int64()),
        "integer": column(lambda: draw.randrange(-5000, 5000), pa.int64()),
        "double": column(lambda: round(draw.gauss(0, 60), 4), pa.float64()),
        "single": column(lambda: round(draw.gauss(0, 60), 2), pa.float32()),
        "decimal": column(lambda: Decimal(draw.randrange(-90_000, 90_000)).scaleb(-2), pa.decimal128(12, 2)),
        "timestamp": column(
            lambda: start + timedelta(seconds=draw.randrange(6 * 365 * 86_400)), pa.timestamp("us", "UTC")
        ),
        "date": column(lambda: date(1960, 1, 1) + timedelta(days=draw.randrange(60 * 365)), pa.date32()),
        "ip": column(lambda: f"203.0.{draw.randrange(9)}.{draw.randrange(256)}"),
        "ip6": column(lambda: f"2001:db8:{draw.randrange(9):x}:{draw.randrange(99):x}::{draw.randrange(1, 9999):x}"),
        "version": column(lambda: f"{draw.randrange(4)}.{draw.randrange(20)}.{draw.randrange(9999)}"),
        "url": column(lambda: f"https://h{draw.randrange(20)}.example.com/u/{draw.randrange(9999)}"),
        "email": column(lambda: f"ann.{draw.randrange(9999)}@h{draw.randrange(9)}.example.com"),
        "phone": column(lambda: f"+336{draw.randrange(10**8):08}"),
        "sentence": column(lambda: f"call +336{draw.randrange(10**8):08} or ann{draw.randrange(99)}@example.com today"),
        "word": column(lambda: draw.choice(["Ann", "Bob", "Cleo", "Dora", "1", "true"])),
        "boolean": column(lambda: draw.random() < 0.5),
        "binary": column(lambda: draw.randbytes(6)),
        "list": column(lambda: [draw.randrange(9) for _ in range(draw.randrange(5))], pa.list_(pa.int64())),
        "place": column(
            lambda: {"latitude": round(draw.uniform(48, 49), 4), "longitude": round(draw.uniform(2, 3), 4)}
        ),
    }


@cache
def identifiers() -> dict[str, pa.Array]:
    """Columns whose values each identify a person: near numbers, as they are given out, and texts."""
    draw = random.Random(8)
    numbers = [356_938_035_640_000 + 20 * row + draw.randrange(20) for row in range(ROWS)]
    return {
        "number": pa.array(numbers, pa.int64()),
        "phone": pa.array([f"+336{number % 10**8:08}" for number in numbers]),
        "email": pa.array([f"ann.{number}@h{number % 5}.example.com" for number in numbers]),
        "ip": pa.array([f"203.0.{row // 250}.{row % 250 + 1}" for row in range(ROWS)]),
        "url": pa.array([f"https://example.com/u/{number}" for number in numbers]),
    }


LATITUDES = pa.array([48 + row / 100 for row in range(ROWS)], pa.float64())
"""One value for each hundredth of a degree (1.1 km)."""

VARIANTS: dict[str, list[dict[str, Any]]] = {
    "keep": [{}],
    "pseudonymize": [
        {"key": "k", **more}
        for more in ({}, {"per": "tenant"}, {"rotate": "month"}, {"rotate": "day"}, {"link": "l"}, {"fold": True})
    ]
    + [{"key": "other"}],
    "tokenize": [{"key": "k"}, {"key": "k", "per": "tenant"}, {"key": "other"}],
    "mask": [{"keep_last": number} for number in (1, 2, 4, 6)] + [{"keep_first": number} for number in (1, 3, 5)],
    "round": [{"to": step} for step in (0.01, 0.1, 0.5, 1, 5, 10, 15, 100, 1000)],
    "bin": [{"width": width} for width in (0.5, 5, 10, 25, 100)]
    + [{"width": 10, "as": form} for form in ("middle", "label")]
    + [{"edges": edges} for edges in ([-50, 1, 10, 50, 90], [-50, 1, 10, 90], [-50, 10], [-50, 90])],
    "clip": [{"min": 2, "max": 50}, {"min": 10, "max": 50}, {"min": 2, "max": 40}, {"max": 50}, {"min": 10}],
    "truncate_time": [{"to": unit} for unit in ("minute", "hour", "day", "week", "month", "quarter", "year")]
    + [{"to": unit, "zone": "Europe/Paris"} for unit in ("day", "month")],
    "age": [{"unit": unit} for unit in ("days", "months", "years")],
    "shift_dates": [{"key": "k", "per": "tenant", "max_days": 30}],
    "truncate_ip": [
        *({"v4": bits} for bits in (8, 16, 24, 28)),
        *({"v6": bits} for bits in (32, 40, 64)),
        {"as": "network"},
    ],
    "truncate_version": [{"parts": number} for number in (1, 2, 3)],
    "generalize": [{"hierarchy": "ages.csv", "level": level} for level in (1, 2)],
    "map": [
        {"values": {"Ann": "a", "1": "one", "true": "yes", "Bob": "b"}, "otherwise": "other"},
        {"values": {"Ann": "a", "1": "one"}, "otherwise": "other"},
        {"values": {"Ann": "a", "Bob": "b"}},
        {"values": {"Ann": "a"}},
    ],
    "grid": [{"metres": metres} for metres in (300, 1000, 20_000)],
    "h3": [{"resolution": level} for level in (4, 7, 9)],
    "keep_host": [{}],
    "email_domain": [{}],
    "redact": [{}, {"patterns": ["email"]}, {"patterns": ["email", "phone"]}, {"mark": "***"}],
    "presence": [{}],
    "size": [{}],
}
"""Parameters of each technique that differ in one place. A technique that is not applied column by column has none."""

WITHOUT_RAW_CHECK = {"shift_dates": "each time is a possible result; the receipt counts the changed values"}
"""Techniques whose rule cannot tell a raw value from a result, each with the reason."""
LEAST_LENGTH = {"mask": 7}
"""The length of texts for which the order of a technique's parameters holds: a shorter value is hidden completely as long as
more characters are kept than it has."""


class Part(NamedTuple):
    """A technique with its rule, and some of its parameters."""

    kind: type[Technique]
    rule: TechniqueRule
    variants: list[dict[str, Any]]


class Trial(NamedTuple):
    """A technique applied to a column."""

    column: str
    values: pa.Array
    results: pa.Array


@pytest.fixture(scope="module", name="folder")
def _folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("hierarchies")
    rows = [f"{age};{age // 10 * 10}-{age // 10 * 10 + 9};*" for age in range(100)]
    (made / "ages.csv").write_text("".join(f"{row}\n" for row in [*rows, "Ann;person;*", "Bob;person;*"]))
    return made


def parts() -> Iterator[tuple[str, Part]]:
    for word, kind in TECHNIQUES.items():
        if issubclass(kind, Technique):
            yield word, Part(kind, RULES[word], VARIANTS[word])


PARTS = dict(parts())


def made(part: Part, parameters: Parameters, folder: Path) -> Technique:
    return part.kind.model_validate(parameters, context={"folder": folder})


def apply(technique: Technique, values: pa.Array) -> pa.Array | None:
    """The results; None if it refuses the type."""
    try:
        technique.output_type(values.type)
    except UnsupportedType:
        return None
    tenant = pa.array([f"t{row % 3}" for row in range(len(values))])
    time = pa.array([AT - timedelta(days=row % 90) for row in range(len(values))], pa.timestamp("us", "UTC"))
    seen = pa.array([date(2027, 1, 1)] * len(values))
    return technique.apply(values, Context("f", AT, NamedKeys(), {"tenant": tenant, "seen": seen}, time)).values


class NamedKeys(OneKey):
    """A key source with another key under each name."""

    def bytes_of(self, name: str, version: int | None = None) -> bytes:
        return name.encode().ljust(32, b".")


def trials(technique: Technique, columns: Mapping[str, pa.Array]) -> Iterator[Trial]:
    """The columns with at least half of their values treated."""
    for name, values in columns.items():
        results = apply(technique, values)
        if results is not None and results.null_count * 2 < len(values):
            yield Trial(name, values, results)


def texts(values: pa.Array) -> list[str]:
    return [repr(value) for value in values.to_pylist()]


def distinct(values: pa.Array) -> int:
    return len(set(texts(values)) - {"None"})


def false_rules(part: Part, folder: Path, word: str) -> list[str]:
    """The rule accepts each result, and rejects nine of ten raw values that the technique changes."""
    found = []
    for parameters in part.variants:
        for trial in trials(made(part, parameters, folder), samples()):
            if pa.types.is_list(trial.results.type):
                continue
            obeys = chain_rule([StepView(word, parameters)], ColumnContext(trial.results.type, folder))
            if not all(obeys(value) for (value,) in distinct_rows([trial.results])):
                found.append(f"{word} {parameters}: the rule rejects a result of {trial.column}")
            if trial.results.type != trial.values.type or word in WITHOUT_RAW_CHECK:
                continue
            changed = [
                value != result
                for value, result in zip(trial.values.to_pylist(), trial.results.to_pylist(), strict=True)
            ]
            raw = (
                [value for (value,) in distinct_rows([trial.values.filter(pa.array(changed))])] if any(changed) else []
            )
            fresh = chain_rule([StepView(word, parameters)], ColumnContext(trial.results.type, folder))
            if sum(map(fresh, raw)) * 10 > len(raw):
                found.append(f"{word} {parameters}: the rule accepts raw values of {trial.column}")
    return found


def false_facts_of_rule(part: Part, folder: Path, word: str) -> list[str]:
    """Family, key, short form and position are those of the technique."""
    found = []
    main = main_parameter(part.kind)
    if main is not None and (read_chain([{word: "x"}]) or ())[0].parameters != {main: "x"}:
        found.append(f"{word}: policy and `verify` read the short form differently")
    if part.rule.keyed != part.kind.is_keyed():
        found.append(f"{word}: keyed")
    for parameters in part.variants:
        technique = made(part, parameters, folder)
        for trial in trials(technique, samples()):
            family = type_family(trial.values.type)
            if output_family([StepView(word, parameters)], family) != type_family(trial.results.type):
                found.append(f"{word} {parameters}: family of {trial.column}")
        step = StepView(word, parameters)
        if any(
            technique.locates_finely(coordinate=coordinate) and not may_locate(step, coordinate=coordinate)
            for coordinate in (False, True)
        ):
            found.append(f"{word} {parameters}: the rule takes its position for coarse")
    return found


def ordered_samples(word: str) -> dict[str, pa.Array]:
    """The columns for which the order of a technique's parameters holds."""
    least = LEAST_LENGTH.get(word, 0)
    return {
        name: values.filter(pc.greater_equal(pc.utf8_length(values), least)) if least and is_text(values) else values
        for name, values in samples().items()
    }


def is_text(values: pa.Array) -> bool:
    return bool(pa.types.is_string(values.type))


def linked_rows(values: pa.Array) -> int:
    return sum(count * (count - 1) for count in Counter(texts(values)).values())


def false_orders(part: Part, folder: Path, word: str) -> list[str]:
    """What `diff` calls tightening never shows more distinct values (of pseudonyms: never links more rows), and what it
    calls neutral tells the same rows apart."""
    found = []
    columns = ordered_samples(word)
    steps = [made(part, each, folder) for each in part.variants]
    applied = [(step, {name: apply(step, values) for name, values in columns.items()}) for step in steps]
    for (old, old_results), (new, new_results) in permutations(applied, 2):
        grade = chain_grade((old,), (new,))
        if grade == "loosens":
            continue
        for name in columns:
            before, after = old_results[name], new_results[name]
            if before is None or after is None:
                continue
            if grade == "neutral":
                is_wrong = part.kind.is_keyed() is False and pattern(before) != pattern(after)
            elif part.kind.is_pseudonym():
                is_wrong = linked_rows(after) > linked_rows(before)
            else:
                is_wrong = distinct(after) > distinct(before)
            if is_wrong:
                found.append(f"{word}: {old!r} to {new!r} {grade} on {name}")
    return found


def pattern(values: pa.Array) -> list[int]:
    """The first row with the same value, of each row."""
    seen: dict[str, int] = {}
    return [seen.setdefault(text, row) for row, text in enumerate(texts(values))]


def false_coarseness(part: Part, folder: Path, word: str) -> list[str]:
    """A result that is said to be made from a finer one is the one that is made from the values."""
    found = []
    for then, today in permutations([made(part, each, folder) for each in part.variants], 2):
        if compare_coarseness(then, today) != "coarser":
            continue
        for name, values in ordered_samples(word).items():
            finer, coarser = apply(then, values), apply(today, values)
            if finer is not None and coarser is not None and not same(apply(today, finer), coarser):
                found.append(f"{word}: {today!r} of {then!r} on {name}")
    return found


def same(one: pa.Array | None, other: pa.Array) -> bool:
    return one is not None and texts(one) == texts(other)


def false_remains(part: Part, folder: Path, word: str) -> list[str]:
    """`nothing` remains of a value only if most values change and different values become equal; `linkable` and
    `reversible` results keep values apart. An identifier is recognized if most results have one candidate."""
    found = []
    for parameters in PARAMETERS.get(word, part.variants):
        technique = made(part, parameters, folder)
        for trial in trials(technique, samples()):
            has_form = part.kind.residual == "coarse" and not part.kind.shows_presence_only
            if has_form and trial.results.type == trial.values.type:
                unchanged = sum(map(str.__eq__, texts(trial.values), texts(trial.results)))
                if unchanged * 2 > len(trial.values):
                    found.append(f"{word} {parameters}: values of {trial.column} remain")
            if part.kind.changes_nothing and not same(trial.results, trial.values):
                found.append(f"{word} {parameters}: it changes {trial.column}")
            if part.kind.shows_presence_only and distinct(trial.results) > 1:
                found.append(f"{word} {parameters}: more than presence of {trial.column}")
            if part.kind.is_pseudonym() and not technique.folds and distinct(trial.results) < distinct(trial.values):
                found.append(f"{word} {parameters}: values of {trial.column} become equal")
        if technique.residual_for(identifier=True) == "coarse" or not part.rule.identifies:
            found += [
                f"{word} {parameters}: an identifier can be guessed from the result of {trial.column}"
                for trial in trials(technique, identifiers())
                if not part.kind.is_keyed() and recognized(trial) * 2 > ROWS
            ]
        results = apply(technique, LATITUDES)
        if (
            results is not None
            and not technique.locates_finely(coordinate=True)
            and distinct(results) * 0.08 > ROWS / 100
        ):
            found.append(f"{word} {parameters}: a position finer than 10 km")
    return found


def recognized(trial: Trial) -> int:
    """The number of rows whose result no other value has."""
    pairs = {*zip(texts(trial.values), texts(trial.results), strict=True)}
    candidates = Counter(result for _, result in pairs)
    return sum(candidates[result] == 1 for result in texts(trial.results))


Check = Callable[[Part, Path, str], list[str]]
CHECKS: list[Check] = [false_rules, false_facts_of_rule, false_orders, false_coarseness, false_remains]


def test_every_technique_has_parameters_here() -> None:
    assert set(VARIANTS) == set(PARTS)


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
@pytest.mark.parametrize("word", PARTS)
def test_data_do_not_contradict_a_statement(word: str, check: Check, folder: Path) -> None:
    assert check(PARTS[word], folder, word) == []


@pytest.mark.parametrize("word", PARTS)
def test_every_technique_is_tried_with_a_column(word: str, folder: Path) -> None:
    assert any(True for each in VARIANTS[word] for _ in trials(made(PARTS[word], each, folder), samples()))


def test_a_mask_of_a_mask_is_the_mark_alone(folder: Path) -> None:
    for parameters in VARIANTS["mask"]:
        results = apply(made(PARTS["mask"], parameters, folder), pa.array(["****", "***"]))
        assert results is not None
        assert results[0].as_py() == "****"


class WrongStatement(NamedTuple):
    """A technique with one wrong statement, and the check that finds it."""

    word: str
    part: Part
    check: Check


def digits_part(rule: TechniqueRule | None = None, order: Order = LOWER_TIGHTENS, **facts: Any) -> Part:
    """The technique of the contract from outside, with some of its statements changed."""
    kind = type(
        "KeepDigits",
        (KeepDigits,),
        {**facts, "__annotations__": {"digits": Annotated[int, order]}, "digits": Field(ge=1)},
    )
    right = TechniqueRule(significant_numbers, lone="digits")
    return Part(cast("type[Technique]", kind), rule or right, [{"digits": digits} for digits in (1, 2, 3, 5)])


def unchanged(self: Technique, values: pa.Array, context: Context) -> TechniqueResult:
    """The values."""
    return TechniqueResult(values)


def accept_any(parameters: Parameters, place: ColumnContext) -> Callable[[Any], bool]:
    """Accepts every value."""
    return lambda value: True


def one_digit_less(parameters: Parameters, place: ColumnContext) -> Callable[[Any], bool]:
    """Accepts only what one digit less would give."""
    return significant_numbers({"digits": int(parameters["digits"]) - 1}, place)


def changed_part(word: str, rule: TechniqueRule | None = None, **facts: Any) -> Part:
    """A shipped technique with some of its statements changed."""
    part = PARTS[word]
    return Part(
        cast("type[Technique]", type(part.kind.__name__, (part.kind,), facts)), rule or part.rule, part.variants
    )


class LastDigits(Technique):
    """The last digits of a text: an identifier is recognized by them."""

    name: ClassVar[str] = "last_digits"
    takes: ClassVar[tuple[Family, ...]] = ("string",)
    residual: ClassVar[Residual] = "coarse"
    singles_out: ClassVar[bool] = False
    source: ClassVar[str] = "—"
    about: ClassVar[str] = "the last digits"

    def apply(self, values: pa.Array, context: Context) -> TechniqueResult:
        """The digits."""
        return apply_per_distinct(values, lambda value: "".join(filter(str.isdigit, value))[-8:], values.type)


def wrong_statements() -> Iterator[Any]:
    def wrong(what: str, word: str, part: Part, check: Check) -> Any:
        return pytest.param(WrongStatement(word, part, check), id=what)

    digits = "keep_digits"
    yield wrong("a higher number of digits tightens", digits, digits_part(order=HIGHER_TIGHTENS), false_orders)
    yield wrong("the number of digits is neutral", digits, digits_part(order=NEUTRAL), false_orders)
    yield wrong("nothing remains of an age", digits, digits_part(residual="coarse"), false_remains)
    yield wrong(
        "a rule that accepts any value", digits, digits_part(TechniqueRule(accept_any, lone="digits")), false_rules
    )
    yield wrong("values are published", digits, digits_part(apply=unchanged), false_rules)
    yield wrong(
        "a rule that is too strict", digits, digits_part(TechniqueRule(one_digit_less, lone="digits")), false_rules
    )
    yield wrong(
        "no short form in the rule", digits, digits_part(TechniqueRule(significant_numbers)), false_facts_of_rule
    )
    not_keyed = TechniqueRule(significant_numbers, lone="digits", keyed=True)
    yield wrong("a rule with a key", digits, digits_part(not_keyed), false_facts_of_rule)
    text = TechniqueRule(significant_numbers, "string", "digits")
    yield wrong("a rule of another family", digits, digits_part(text), false_facts_of_rule)
    yield wrong(
        "rounding twice is rounding once", "round", changed_part("round", coarsens_itself=True), false_coarseness
    )
    blind = TechniqueRule(RULES["round"].values, lone="to", identifies=False)
    yield wrong("no identifier is recognized by the rule", "round", changed_part("round", blind), false_remains)
    coarse = TechniqueRule(RULES["round"].values, lone="to", blurs=lambda parameters: True)
    yield wrong("a position is coarse", "round", changed_part("round", coarse), false_facts_of_rule)
    yield wrong(
        "a position is never fine",
        "keep",
        changed_part("keep", locates_finely=lambda self, *, coordinate: False),
        false_remains,
    )
    yield wrong(
        "no identifier is singled out", "last_digits", Part(LastDigits, TechniqueRule(accept_any), [{}]), false_remains
    )
    yield wrong("a mask is linkable", "mask", changed_part("mask", residual="linkable"), false_remains)
    yield wrong("a clipped value is unchanged", "clip", changed_part("clip", changes_nothing=True), false_remains)
    yield wrong("only presence is shown", "mask", changed_part("mask", shows_presence_only=True), false_remains)


@pytest.mark.parametrize("wrong", [*wrong_statements()])
def test_a_wrong_statement_is_found(wrong: WrongStatement, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(RULES, wrong.word, wrong.part.rule)
    assert wrong.check(wrong.part, folder, wrong.word)


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_the_technique_from_outside_states_its_facts_rightly(
    check: Check, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    part = digits_part()
    monkeypatch.setitem(RULES, "keep_digits", part.rule)
    assert check(part, folder, "keep_digits") == []
