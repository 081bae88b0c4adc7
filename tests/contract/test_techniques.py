"""Every technique with every Arrow type: it refuses, or it gives what it says, of equal length, null for null, however the
column is cut or encoded."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from minimize.arrow.dictionaries import value_type
from minimize.techniques import (
    TECHNIQUES,
    Context,
    Technique,
    TechniqueResult,
    UnsupportedType,
    is_published_unchanged,
    published_techniques,
    treat,
    type_family,
)
from minimize.techniques.parameters import Order

AT = datetime(2026, 11, 25, 12, tzinfo=UTC)


class OneKey:
    """A key source with one key under every name."""

    def bytes_of(self, name: str, version: int | None = None) -> bytes:
        return bytes(range(32))

    def version_of(self, name: str) -> int:
        return 1


TEXTS = [
    "203.0.113.77",
    "ann@example.com",
    "https://example.com/x",
    "10.0.19045",
    "",
    None,
    "Ann",
    "+33612345678",
    "a",
    "a",
]
INTEGERS = [0, 1, 5, 37, 100, None, 15, 25, 7, 7]
FLOATS = [0.0, 48.8566, -3.25, float("nan"), float("inf"), None, 87.0, 0.25, -0.0, 87.0]
DECIMALS = [None if value is None else Decimal(value) / 4 for value in INTEGERS]
TIMES = [None if value is None else datetime(1969 + value, 3, 31, 23, 59, 7, tzinfo=UTC) for value in INTEGERS]
DATES = [None if value is None else value.date() for value in TIMES]
BYTES = [None if value is None else f"{value:04}".encode() for value in INTEGERS]
LISTS = [None if value is None else [value] * (value % 3) for value in INTEGERS]
PAIRS = [[value, value] if value is not None and value % 2 else None for value in INTEGERS]
PLACES = [
    {"latitude": 48.8566, "longitude": 2.3522},
    {"latitude": None, "longitude": 2.3522},
    {"latitude": 91.0, "longitude": 0.0},
    {"latitude": 90.0, "longitude": 180.0},
    {"latitude": float("nan"), "longitude": 0.0},
    None,
    {"latitude": -33.9, "longitude": 18.4},
    {"latitude": 0.0, "longitude": -180.0},
    {"latitude": 48.8566, "longitude": 2.3522},
    {"latitude": 48.8566, "longitude": 2.3522},
]
ZONES = (None, "UTC", "Europe/Paris")


def columns() -> Iterator[pa.Array]:
    for text in (pa.string(), pa.large_string(), pa.string_view()):
        yield pa.array(TEXTS, text)
    for bits in (8, 16, 32, 64):
        yield pa.array(INTEGERS, getattr(pa, f"int{bits}")())
        yield pa.array(INTEGERS, getattr(pa, f"uint{bits}")())
    yield pa.array([None if value is None else np.float16(value) for value in FLOATS], pa.float16())
    yield from (pa.array(FLOATS, kind) for kind in (pa.float32(), pa.float64()))
    yield from (pa.array(DECIMALS, kind) for kind in (pa.decimal128(12, 2), pa.decimal256(40, 2)))
    yield from (
        pa.array(DECIMALS, pa.decimal128(9, 2)).cast(kind) for kind in (pa.decimal32(9, 2), pa.decimal64(12, 2))
    )
    yield pa.array([None if value is None else value > 5 for value in INTEGERS])
    yield from (pa.array(TIMES, pa.timestamp(unit, zone)) for unit in ("s", "ms", "us", "ns") for zone in ZONES)
    yield from (pa.array(DATES, kind) for kind in (pa.date32(), pa.date64()))
    yield from (pa.array(BYTES, kind) for kind in (pa.binary(), pa.large_binary(), pa.binary_view(), pa.binary(4)))
    yield from (
        pa.array(LISTS, kind) for kind in (pa.list_(pa.int8()), pa.large_list(pa.int8()), pa.list_view(pa.int8()))
    )
    yield pa.array(PAIRS, pa.list_(pa.int8(), 2))
    yield pa.array(PLACES)
    yield pa.array(PLACES, pa.struct([("latitude", pa.float32()), ("longitude", pa.float32())]))
    yield pa.array([None if value is None else [("k", value)] for value in INTEGERS], pa.map_(pa.string(), pa.int8()))
    yield pa.array([None if value is None else {"only": value} for value in INTEGERS])
    yield pa.nulls(len(INTEGERS))
    yield pa.array([None if value is None else value * 1000 for value in INTEGERS], pa.time64("us"))
    yield pa.array(INTEGERS, pa.duration("s"))


COLUMNS = {str(column.type): column for column in columns()}

PARAMETERS: dict[str, list[dict[str, Any]]] = {
    "pseudonymize": [{"key": "k"}, {"key": "k", "per": "tenant", "rotate": "month", "fold": True}],
    "tokenize": [{"key": "k"}, {"key": "k", "per": "tenant"}],
    "mask": [{"keep_last": 4}, {"keep_first": 1}],
    "round": [{"to": 10}, {"to": 0.1}, {"to": 0.25}],
    "bin": [{"width": 10}, {"width": 10, "as": "middle"}, {"edges": [1, 10, 50], "as": "label"}, {"edges": [1, 50]}],
    "clip": [{"min": 2, "max": 50}, {"max": 50}],
    "truncate_time": [{"to": "hour"}, {"to": "week"}, {"to": "quarter", "zone": "Europe/Paris"}],
    "age": [{"unit": "months"}, {"unit": "days", "at": "seen"}],
    "shift_dates": [{"key": "k", "per": "tenant", "max_days": 30}],
    "truncate_ip": [{}, {"v4": 28, "as": "network"}],
    "truncate_version": [{"parts": 2}],
    "generalize": [{"hierarchy": "ages.csv", "level": 1}],
    "map": [{"values": {"Ann": "a", "1": "one", "true": "yes"}, "otherwise": "other"}],
    "grid": [{"metres": 300}],
    "h3": [{"resolution": 7}],
    "top": [{"keep": 3, "other": "other"}],
}
PARTICULAR = {"round", "bin", "clip", "truncate_time", "grid", "h3", "top"}
"""Which may refuse a type of a family that they take: their parameters do not fit it."""
TRIALS = [
    pytest.param(word, parameters, name, id=f"{word}-{index}-{name}")
    for word in TECHNIQUES
    for index, parameters in enumerate(PARAMETERS.get(word, [{}]))
    for name in COLUMNS
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("hierarchies")
    (made / "ages.csv").write_text("5;0-9;*\n7;0-9;*\n15;10-19;*\nAnn;person;*\n")
    return made


def context(rows: slice = slice(None)) -> Context:
    tenant = pa.array(["t1", "t2", None, "t1", "t1", "t2", "t1", "t1", "t2", "t2"])[rows]
    seen = pa.array([date(2026, 11, 25)] * 9 + [None])[rows]
    time = pa.array([datetime(2026, 11, 25, tzinfo=UTC)] * 8 + [None, None], pa.timestamp("us", "UTC"))[rows]
    return Context("f", AT, OneKey(), {"tenant": tenant, "seen": seen}, time)


def same(one: TechniqueResult, other: TechniqueResult) -> bool:
    return listed(one) == listed(other) and masked(one) == masked(other)


def listed(treated: TechniqueResult) -> list[str]:
    return [repr(value.as_py()) for value in treated.values]


def masked(treated: TechniqueResult) -> list[bool]:
    return [False] * len(treated.values) if treated.untreated is None else treated.untreated.to_pylist()


def joined(*parts: TechniqueResult) -> tuple[list[str], list[bool]]:
    return [value for part in parts for value in listed(part)], [flag for part in parts for flag in masked(part)]


def bound(
    word: str, parameters: dict[str, Any], type_: pa.DataType, folder: Path
) -> tuple[Technique, pa.DataType] | None:
    """The technique and what it gives; None where it refuses, or is a step without apply."""
    step = TECHNIQUES[word].model_validate(parameters, context={"folder": folder})
    try:
        given = step.output_type(type_)
    except UnsupportedType:
        return None
    return (step, given) if isinstance(step, Technique) else None


@pytest.mark.parametrize(("word", "parameters", "name"), TRIALS)
def test_refuses_or_keeps_its_word(word: str, parameters: dict[str, Any], name: str, folder: Path) -> None:
    values = COLUMNS[name]
    found = bound(word, parameters, values.type, folder)
    if found is None:
        assert type_family(values.type) not in TECHNIQUES[word].takes or word in PARTICULAR
        return
    technique, given = found
    whole = technique.apply(values, context())
    whole.values.validate(full=True)
    assert whole.values.type == given
    assert len(whole.values) == len(values)
    assert all(
        out is None for out, value in zip(whole.values.to_pylist(), values.is_null().to_pylist(), strict=True) if value
    )
    assert not any(flag and null for flag, null in zip(masked(whole), values.is_null().to_pylist(), strict=True))
    assert all(out == "None" for out, flag in zip(listed(whole), masked(whole), strict=True) if flag)

    first, second = slice(0, 4), slice(4, 10)
    parts = [technique.apply(values[rows], context(rows)) for rows in (first, second)]
    assert joined(*parts) == (listed(whole), masked(whole))

    empty = technique.apply(values[:0], context(slice(0, 0)))
    assert (empty.values.type, len(empty.values)) == (given, 0)
    nothing = technique.apply(pa.nulls(10, values.type), context())
    assert nothing.values.null_count == 10
    assert not any(masked(nothing))


@pytest.mark.parametrize(("word", "parameters", "name"), TRIALS)
def test_an_encoded_column_comes_out_as_a_plain_one_does(
    word: str, parameters: dict[str, Any], name: str, folder: Path
) -> None:
    values = COLUMNS[name]
    found = bound(word, parameters, values.type, folder)
    if found is None:
        assert type_family(values.type) not in TECHNIQUES[word].takes or word in PARTICULAR
        return
    technique, given = found
    places = pa.array([*range(5), None, *range(6, 10)], pa.int32())
    encoded = pa.DictionaryArray.from_arrays(places, values)
    treated = treat(technique, encoded, context())
    assert value_type(treated.values.type) == given
    assert technique.output_type(encoded.type) == given
    assert same(treated, technique.apply(values, context()))
    assert joined(*(treat(technique, encoded[rows], context(rows)) for rows in (slice(0, 3), slice(3, 10)))) == (
        listed(treated),
        masked(treated),
    )


@pytest.mark.parametrize("word", TECHNIQUES)
def test_every_technique_states_its_facts(word: str) -> None:
    kind = TECHNIQUES[word]
    assert kind.name == word
    assert {"name", "takes", "residual", "source", "about"} <= vars(kind).keys()
    assert kind.residual != "coarse" or "singles_out" in vars(kind)


@pytest.mark.parametrize("word", TECHNIQUES)
def test_every_parameter_has_an_order(word: str) -> None:
    fields = TECHNIQUES[word].model_fields.items()
    assert [name for name, info in fields if not any(isinstance(each, Order) for each in info.metadata)] == []


def test_each_kind_of_field_has_one_proposal() -> None:
    kinds = [kind for technique in TECHNIQUES.values() for kind in technique.proposed_for]
    assert len(kinds) == len(set(kinds))


def test_an_unknown_name_in_metadata_is_the_more_revealing_case() -> None:
    (unknown,) = published_techniques("shuffle")
    assert (unknown.is_pseudonym(), unknown.is_keyed(), unknown.residual) == (True, True, "original")
    assert not is_published_unchanged("shuffle")
    assert not is_published_unchanged("")
    assert is_published_unchanged("keep")
