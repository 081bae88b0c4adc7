"""Each technique gives what its definition says: written again in plain Python, for one value at a time.

The rule of verification cannot see a result that is valid but not that of its value, such as a number rounded down. The second
half of the file makes such techniques: the check must find them.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

import pyarrow as pa
import pytest

from minimize.techniques import Context, Technique, TechniqueResult
from minimize.techniques.base import apply_per_distinct
from tests.contract.test_technique_statements import (
    PARTS,
    Part,
    changed_part,
    digits_part,
    made,
    samples,
    trials,
)

Parameters = Mapping[str, Any]
Definition = Callable[[Any, Any, Parameters], bool]
"""Whether a result is that of a value."""


@pytest.fixture(name="folder", scope="module")
def _folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("definitions")
    (folder / "ages.csv").write_text("".join(f"{age},{age // 10 * 10}+,*\n" for age in range(100)))
    return folder


def exact(value: Any) -> Decimal:
    """A number as it is written in decimal."""
    return Decimal(str(value))


def tolerance(value: Any) -> Decimal:
    """The error of a number with single precision."""
    return Decimal("1e-6") * max(Decimal(1), abs(exact(value)))


def is_near(one: Any, other: Any) -> bool:
    return abs(exact(one) - exact(other)) <= tolerance(other)


def masked(value: str, result: str, how: Parameters) -> bool:
    kept = value[-how["keep_last"] :] if "keep_last" in how else value[: how["keep_first"]]
    if len(value) <= len(kept):
        return result == "****"
    return result == (f"****{kept}" if "keep_last" in how else f"{kept}****")


def rounded(value: Any, result: Any, how: Parameters) -> bool:
    """A multiple of the step, and none is nearer."""
    step = exact(how["to"])
    near = tolerance(value)
    rest = exact(result) % step
    return min(abs(rest), step - abs(rest)) <= near and abs(exact(value) - exact(result)) <= step / 2 + near


def binned(value: Any, result: Any, how: Parameters) -> bool:
    """The lower bound or the middle of the bin that has the value, or both bounds in words."""
    if "edges" in how:
        below = [edge for edge in how["edges"] if edge <= value]
        return not below or is_near(result, below[-1])
    width = exact(how["width"])
    lower = exact(value) // width * width
    lower -= width if lower > exact(value) else 0
    if how.get("as") == "label":
        return f"{lower.normalize():f}" in result
    return is_near(result, lower + (width / 2 if how.get("as") == "middle" else 0))


def clipped(value: Any, result: Any, how: Parameters) -> bool:
    at_least = max(value, how.get("min", value))
    return is_near(result, min(at_least, how.get("max", at_least)))


def start_of(day: date, unit: str) -> date:
    months = {"month": day.month, "quarter": (day.month - 1) // 3 * 3 + 1, "year": 1}
    if unit == "week":
        return day - timedelta(days=day.weekday())
    return day if unit not in months else date(day.year, months[unit], 1)


def truncated_time(value: Any, result: Any, how: Parameters) -> bool:
    unit, zone = how["to"], ZoneInfo(how.get("zone", "UTC"))
    if not isinstance(value, datetime):
        return bool(result == (value if unit in ("minute", "hour") else start_of(value, unit)))
    local = value.astimezone(zone)
    if unit in ("minute", "hour"):
        start = local.replace(second=0, microsecond=0, minute=local.minute if unit == "minute" else 0)
    else:
        start = datetime.combine(start_of(local.date(), unit), time(), zone)
    return bool(result.astimezone(UTC) == start.astimezone(UTC))


def truncated_address(value: str, result: str, how: Parameters) -> bool:
    address = ipaddress.ip_address(value)
    bits = how.get("v4", 24) if address.version == 4 else how.get("v6", 48)
    network = ipaddress.ip_network(f"{value}/{bits}", strict=False)
    return ipaddress.ip_network(result if "/" in result else f"{result}/{bits}") == network


def word_of(value: Any) -> str:
    """A value as a policy writes it."""
    return str(value).lower() if isinstance(value, bool) else str(value)


DEFINITIONS: dict[str, Definition] = {
    "keep": lambda value, result, how: bool(result == value),
    "mask": masked,
    "round": rounded,
    "bin": binned,
    "clip": clipped,
    "truncate_time": truncated_time,
    "truncate_ip": truncated_address,
    "truncate_version": lambda value, result, how: bool(result == ".".join(value.split(".")[: how["parts"]])),
    "map": lambda value, result, how: bool(result == how["values"].get(word_of(value), how.get("otherwise"))),
    "keep_host": lambda value, result, how: bool(result == urlsplit(value).hostname),
    "email_domain": lambda value, result, how: bool(result == value.rpartition("@")[2]),
    "presence": lambda value, result, how: result is True,
    "size": lambda value, result, how: bool(result == len(value)),
}
COLUMNS = {
    "truncate_ip": {"ip", "ip6"},
    "truncate_version": {"version"},
    "keep_host": {"url"},
    "email_domain": {"email"},
}
"""The columns of techniques that read a certain kind of text."""
WITHOUT_DEFINITION = {
    "pseudonymize": "vectors in tests/techniques/test_pseudonymize.py",
    "tokenize": "vectors in tests/techniques/test_tokenize.py",
    "age": "tests/techniques/test_age.py compares leap days and zones",
    "shift_dates": "each subject has a secret shift",
    "generalize": "the hierarchy is its definition",
    "grid": "tests/techniques/test_grid.py compares the width of cells",
    "h3": "the results are those of the package h3",
    "redact": "the patterns are its definition",
}
"""Techniques that have no definition here, each with the reason."""


def false_results(part: Part, definition: Definition, folder: Path, word: str) -> list[str]:
    """The results that are not those of their values."""
    columns = {name: values for name, values in samples().items() if name in COLUMNS.get(word, samples())}
    found = []
    for parameters in part.variants:
        for trial in trials(made(part, parameters, folder), columns):
            pairs = zip(trial.values.to_pylist(), trial.results.to_pylist(), strict=True)
            wrong = [pair for pair in pairs if None not in pair and not definition(*pair, parameters)]
            if wrong:
                found.append(f"{word} {parameters} on {trial.column}: {wrong[0]!r}")
    return found


def test_every_technique_has_a_definition_or_a_reason() -> None:
    assert {*DEFINITIONS, *WITHOUT_DEFINITION} == {*PARTS}
    assert not DEFINITIONS.keys() & WITHOUT_DEFINITION.keys()


@pytest.mark.parametrize("word", DEFINITIONS)
def test_results_are_those_of_the_definition(word: str, folder: Path) -> None:
    assert false_results(PARTS[word], DEFINITIONS[word], folder, word) == []


def significant(value: Any, result: Any, how: Parameters) -> bool:
    """The nearest number with so many digits."""
    step = Decimal(1).scaleb(exact(value).adjusted() - how["digits"] + 1)
    return abs(exact(value) - exact(result)) <= step / 2 + tolerance(value)


def test_results_of_the_technique_from_outside_are_those_of_its_definition(folder: Path) -> None:
    assert false_results(digits_part(), significant, folder, "keep_digits") == []


def digits_down(self: Any, values: pa.Array, context: Context) -> TechniqueResult:
    """The first digits, not rounded."""
    kind = int if pa.types.is_integer(values.type) else float

    def down(value: Any) -> Any:
        step = Decimal(1).scaleb(exact(value).adjusted() - self.digits + 1)
        return kind(exact(value) // step * step) if value else value

    return apply_per_distinct(values, down, values.type)


def step_down(self: Any, values: pa.Array, context: Context) -> TechniqueResult:
    """The multiple of the step towards zero."""
    step = exact(self.to)
    return apply_per_distinct(values, lambda value: type(value)(exact(value) // step * step), values.type)


def next_value(kind: type[Technique]) -> Callable[..., TechniqueResult]:
    """A technique that gives each row the result of the next one."""

    def apply(self: Any, values: pa.Array, context: Context) -> TechniqueResult:
        found = kind.apply(self, values, context).values
        return TechniqueResult(pa.concat_arrays([found.slice(1), found.slice(0, 1)]))

    return apply


def test_digits_that_are_rounded_down_are_found(folder: Path) -> None:
    assert false_results(digits_part(apply=digits_down), significant, folder, "keep_digits")


def test_a_step_that_is_rounded_down_is_found(folder: Path) -> None:
    part = changed_part("round", apply=step_down)
    numbers = Part(part.kind, part.rule, [{"to": 10}])
    assert false_results(numbers, DEFINITIONS["round"], folder, "round")


@pytest.mark.parametrize("word", [word for word in DEFINITIONS if word != "presence"])
def test_the_result_of_another_row_is_found(word: str, folder: Path) -> None:
    part = changed_part(word, apply=next_value(PARTS[word].kind))
    assert false_results(part, DEFINITIONS[word], folder, word)
