"""The types of the policy: the Arrow type of each, and strict parsing of text as each.

A source keeps its own widths: `integer` is any integer, `double` any floating point number, `string` any
kind of string, dictionary-encoded or not. If a source has no types of its own (NDJSON, CSV), the policy's type
decides.

>>> str(arrow_type("timestamp")), str(arrow_type("decimal(10, 2)"))
('timestamp[us, tz=UTC]', 'decimal128(10, 2)')
>>> accepts_type("integer", pa.int16()), accepts_type("integer", pa.float64())
(True, False)

Text that cannot be parsed as its type is reported, never coerced:

        timestamp  ISO 8601 / RFC 3339: date, `T` or a space, hours and minutes, seconds with up to nine digits (digits
                   below a microsecond are cut off), `Z` or an offset; without a zone it is UTC. Leap seconds are invalid.
    date       YYYY-MM-DD
    integer    digits with a sign, within 64 bits
    double     a decimal number, finite
    decimal    a number with no more digits than declared
    boolean    true, false
    binary     base64 (RFC 4648, padded)

>>> values, bad = parse_texts(pa.array(["1", "x", None]), "integer")
>>> values.to_pylist(), bad.tolist()
([1, None, None], [False, True, False])
"""

from __future__ import annotations

import base64
import re
from collections.abc import Callable
from contextlib import suppress
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from minimize.times import EPOCH, epoch_microseconds

_DECIMAL = re.compile(r"decimal\(\s*(\d{1,2})\s*(?:,\s*(\d{1,2})\s*)?\)")
CONTAINER_TYPES = ("list", "struct", "map")


class IntegerText(str):
    """The text of a number without fraction or exponent, in a format that distinguishes numbers from texts."""

    __slots__ = ()


class FractionText(str):
    """The text of a number with a fraction or an exponent, in a format that distinguishes numbers from texts."""

    __slots__ = ()


STRING_TESTS = pa.types.is_string, pa.types.is_large_string, pa.types.is_string_view
BINARY_TESTS = (
    pa.types.is_binary,
    pa.types.is_large_binary,
    pa.types.is_fixed_size_binary,
    pa.types.is_binary_view,
)
LIST_TESTS = (
    pa.types.is_list,
    pa.types.is_large_list,
    pa.types.is_fixed_size_list,
    pa.types.is_list_view,
    pa.types.is_large_list_view,
)

_TYPE_TESTS: dict[str, tuple[Callable[[pa.DataType], bool], ...]] = {
    "string": STRING_TESTS,
    "boolean": (pa.types.is_boolean,),
    "integer": (pa.types.is_integer,),
    "double": (pa.types.is_floating,),
    "decimal": (pa.types.is_decimal,),
    "timestamp": (pa.types.is_timestamp,),
    "date": (pa.types.is_date,),
    "binary": BINARY_TESTS,
    "list": LIST_TESTS,
    "struct": (pa.types.is_struct,),
    "map": (pa.types.is_map,),
}

_ARROW_TYPES: dict[str, pa.DataType] = {
    "string": pa.string(),
    "boolean": pa.bool_(),
    "integer": pa.int64(),
    "double": pa.float64(),
    "timestamp": pa.timestamp("us", "UTC"),
    "date": pa.date32(),
    "binary": pa.binary(),
    "list": pa.list_(pa.null()),
    "struct": pa.struct([]),
    "map": pa.map_(pa.string(), pa.null()),
}


def arrow_type(word: str) -> pa.DataType:
    """The Arrow type of a policy type, for sources without types of their own.

    A container without requested parts has a shape and no values. Raises ValueError for an unknown type.
    """
    digits = decimal_digits(word)
    if digits is not None:
        return pa.decimal128(*digits) if digits[0] <= 38 else pa.decimal256(*digits)
    if word not in _ARROW_TYPES:
        raise ValueError(f"unknown type. The types are {', '.join(TYPE_WORDS)}")
    return _ARROW_TYPES[word]


def decimal_digits(word: str) -> tuple[int, int] | None:
    """The precision and scale of `decimal(p,s)`; None for another type. Raises ValueError if they are invalid."""
    match = _DECIMAL.fullmatch(word.strip())
    if match is None:
        return None
    precision, scale = int(match[1]), int(match[2] or 0)
    if not 1 <= precision <= 76 or scale > precision:
        raise ValueError("the precision of a decimal must be from 1 to 76, and its scale at most the precision")
    return precision, scale


def type_family(word: str) -> str:
    """The type without its digits: `decimal(10,2)` is `decimal`."""
    return word.split("(", 1)[0].strip()


def storage_type(type_: pa.DataType) -> pa.DataType:
    """The type behind a dictionary encoding, a run-end encoding or an extension; other types unchanged."""
    if pa.types.is_dictionary(type_) or pa.types.is_run_end_encoded(type_):
        return storage_type(type_.value_type)
    return storage_type(type_.storage_type) if isinstance(type_, pa.BaseExtensionType) else type_


def accepts_type(word: str, type_: pa.DataType) -> bool:
    """Whether values of this Arrow type match the policy type. A column of only nulls matches any type."""
    kind = storage_type(type_)
    if pa.types.is_null(kind):
        return True
    if not any(test(kind) for test in _TYPE_TESTS.get(type_family(word), ())):
        return False
    digits = decimal_digits(word)
    return digits is None or (kind.precision - kind.scale <= digits[0] - digits[1] and kind.scale <= digits[1])


def type_word(type_: pa.DataType) -> str | None:
    """The policy type of an Arrow type; None for types without one (time, duration, interval)."""
    kind = storage_type(type_)
    if pa.types.is_decimal(kind):
        return f"decimal({kind.precision},{kind.scale})"
    return next((word for word, tests in _TYPE_TESTS.items() if any(test(kind) for test in tests)), None)


def describe_type(type_: pa.DataType) -> str:
    """The description of a source's type in a finding: the policy type, or Arrow's if there is none."""
    return type_word(type_) or f"{storage_type(type_)}, for which the policy has no type"


TYPE_WORDS = (*(word for word in _TYPE_TESTS if word != "decimal"), "decimal(p,s)")


_ZERO, _TEN = b"0"[0], 10
_ZONE = re.compile(r"[-+][0-9:]*$")


def have_same_shape(times: pa.StringArray, shape: str) -> bool:
    """Whether all texts are times or days of the same shape as the first, which must match this one. Nulls are ignored.

    The first digit and the digits of a UTC offset must be equal in all texts, because not every digit is valid there.

    >>> have_same_shape(pa.array(["2026-11-24", None, "2025-01-02"]), "^[12][0-9]{3}-[0-9]{2}-[0-9]{2}$")
    True
    >>> have_same_shape(pa.array(["2026-11-24", "yesterday!"]), "^[12][0-9]{3}-[0-9]{2}-[0-9]{2}$")
    False
    """
    valid = times.drop_null() if times.null_count else times
    if not len(valid):
        return True
    first = valid[0].as_py()
    if re.fullmatch(shape, first) is None:
        return False
    rows = _byte_rows(valid, len(first))
    return rows is not None and bool((rows - _least_bytes(first) < _allowed_counts(first)).all())


def _byte_rows(texts: pa.StringArray, width: int) -> npt.NDArray[np.uint8] | None:
    """The bytes of texts, one row each; None if their lengths differ."""
    _, ends, data = texts.buffers()
    offsets = np.frombuffer(ends, np.int32)[texts.offset : texts.offset + len(texts) + 1]
    if (offsets[1:] - offsets[:-1] != width).any():
        return None
    return np.frombuffer(data, np.uint8)[offsets[0] : offsets[-1]].reshape(-1, width)


def _least_bytes(text: str) -> npt.NDArray[np.uint8]:
    """The smallest byte at each position."""
    free = _free_digits(text)
    return np.array([_ZERO if place in free else ord(mark) for place, mark in enumerate(text)], np.uint8)


def _allowed_counts(text: str) -> npt.NDArray[np.uint8]:
    """Number of consecutive byte values allowed at each position."""
    free = _free_digits(text)
    return np.array([_TEN if place in free else 1 for place in range(len(text))], np.uint8)


def _free_digits(text: str) -> set[int]:
    """The positions at which any digit is allowed."""
    zone = _ZONE.search(text, 11)
    end = zone.start() if zone else len(text)
    return {place for place, mark in enumerate(text[:end]) if place and mark.isdigit()}


_DAY = r"[0-9]{4}-[0-9]{2}-[0-9]{2}"
_USUAL_DAY = r"[12][0-9]{3}-[0-9]{2}-[0-9]{2}"
_NUMBER = r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?"
_INTEGER = r"[-+]?[0-9]{1,25}"
_TIME = re.compile(
    rf"({_DAY})[Tt ]([0-9]{{2}}:[0-9]{{2}})(:[0-9]{{2}})?(\.[0-9]{{1,9}})?(?:([Zz])|([-+])([0-9]{{2}})(?::?([0-9]{{2}}))?)?"
)
_DIGITS = 400
"""Longer than any valid number. Longer texts are not parsed."""

_USUAL_SHAPES = {
    "timestamp": rf"^{_USUAL_DAY}[T ][0-9]{{2}}:[0-9]{{2}}:[0-9]{{2}}(\.[0-9]{{1,6}})?(Z|[-+]([01][0-9]|2[0-3]):[0-5][0-9])$",
    "date": rf"^{_USUAL_DAY}$",
    "integer": r"^-?[0-9]{1,19}$",
    "double": rf"^{_NUMBER}$",
    "boolean": r"^(true|false)$",
}
"""The common shapes, for which Arrow's parser has the same results. Other texts are parsed one by one."""


def parse_texts(texts: pa.StringArray, word: str) -> tuple[pa.Array, npt.NDArray[np.bool_]]:
    """Text as values of a policy type, and a mask of invalid texts. Null stays null and is not invalid."""
    if word == "string":
        return texts, np.zeros(len(texts), bool)
    shape = _USUAL_SHAPES.get(word)
    if shape is None:
        return _parse_distinct(texts, word)
    if word in ("timestamp", "date") and have_same_shape(texts, shape):
        return _cast_usual(texts, word)
    usual = pc.match_substring_regex(texts, shape)
    if pc.all(usual).as_py() is not False:
        return _cast_usual(texts, word)
    odd = np.flatnonzero(~np.asarray(pc.fill_null(usual, True)))
    if len(odd) * 2 > len(texts):
        return _parse_distinct(texts, word)
    values, bad = _cast_usual(pc.if_else(usual, texts, None), word)
    return _with_replaced(values, bad, odd, *_parse_distinct(texts.take(pa.array(odd)), word))


def parse_text(text: str, word: str) -> Any:
    """One text as a value that Arrow accepts for the policy type; None if it is invalid."""
    reader = _PARSERS[type_family(word)]
    with suppress(ValueError, ArithmeticError):
        return reader(text, word) if len(text) <= _DIGITS or type_family(word) == "binary" else None
    return None


def parse_timestamp(text: str, word: str = "timestamp") -> int | None:
    """A time in microseconds since 1970, UTC. Raises ValueError for a day or an hour that does not exist."""
    match = _TIME.fullmatch(text)
    if match is None or (match[4] and not match[3]):
        return None
    start = datetime.fromisoformat(f"{match[1]}T{match[2]}{match[3] or ':00'}+00:00")
    offset = timedelta(hours=int(match[7] or 0), minutes=int(match[8] or 0))
    if offset >= timedelta(days=1) or int(match[8] or 0) > 59:
        return None
    moment = start - (-offset if match[6] == "-" else offset)
    return epoch_microseconds(moment) + int((match[4] or ".")[1:7].ljust(6, "0"))


def _cast_usual(texts: pa.StringArray, word: str) -> tuple[pa.Array, npt.NDArray[np.bool_]]:
    """Parse texts of the usual shape. If a day does not exist, they are parsed one by one."""
    with suppress(pa.ArrowException):
        return _without_nonfinite(texts.cast(arrow_type(word)))
    return _parse_distinct(texts, word)


def _with_replaced(
    values: pa.Array,
    bad: npt.NDArray[np.bool_],
    places: npt.NDArray[np.int64],
    odd: pa.Array,
    odd_bad: npt.NDArray[np.bool_],
) -> tuple[pa.Array, npt.NDArray[np.bool_]]:
    """Values with those at some positions replaced."""
    mask = np.zeros(len(values), bool)
    mask[places], bad = True, bad.copy()
    bad[places] = odd_bad
    return pc.replace_with_mask(values, pa.array(mask), odd), bad


def _parse_distinct(texts: pa.StringArray, word: str) -> tuple[pa.Array, npt.NDArray[np.bool_]]:
    """Parse distinct texts in Python. Shapes that Arrow parses differently are rare, and so are invalid texts."""
    encoded = texts.dictionary_encode()
    parsed = [parse_text(text, word) for text in encoded.dictionary.to_pylist()]
    values = pa.array(parsed, arrow_type(word)).take(encoded.indices)
    return values, np.asarray(values.is_null()) & np.asarray(texts.is_valid())


def _without_nonfinite(values: pa.Array) -> tuple[pa.Array, npt.NDArray[np.bool_]]:
    none = np.zeros(len(values), bool)
    if not pa.types.is_floating(values.type):
        return values, none
    bad = np.asarray(pc.fill_null(pc.invert(pc.is_finite(values)), False))
    return (pc.if_else(pa.array(bad), pa.nulls(len(values), values.type), values) if bad.any() else values), bad


def _parse_date(text: str, word: str) -> int | None:
    match = re.fullmatch(_DAY, text)
    return None if match is None else (date.fromisoformat(text) - EPOCH.date()).days


def _parse_integer(text: str, word: str) -> int | None:
    value = int(text) if re.fullmatch(_INTEGER, text) else None
    return value if value is not None and -(2**63) <= value < 2**63 else None


def _parse_double(text: str, word: str) -> float | None:
    value = float(text) if re.fullmatch(_NUMBER, text) else np.inf
    return value if np.isfinite(value) else None


def _parse_decimal(text: str, word: str) -> Decimal | None:
    digits = decimal_digits(word)
    if digits is None or not re.fullmatch(_NUMBER, text):
        return None
    return exact_decimal(Decimal(text), *digits)


def exact_decimal(value: Decimal, precision: int, scale: int) -> Decimal | None:
    """The number at this scale, if no digit is lost and the precision is sufficient; otherwise None."""
    sign, numerals, exponent = value.as_tuple()
    if not isinstance(exponent, int) or (value and not -200 <= exponent <= 200):
        return None
    whole = "".join(map(str, numerals)) if value else "0"
    exponent = exponent if value else 0
    moved = (
        whole + "0" * (exponent + scale) if exponent + scale >= 0 else _drop_trailing_zeros(whole, -(exponent + scale))
    )
    if moved is None or len(moved.lstrip("0")) > precision:
        return None
    return Decimal((sign, tuple(map(int, moved or "0")), -scale))


def _drop_trailing_zeros(numerals: str, places: int) -> str | None:
    """The digits without the last `places`, if those are all zero; otherwise None."""
    return numerals[:-places] if not numerals[-places:].strip("0") else None


def _parse_boolean(text: str, word: str) -> bool | None:
    return {"true": True, "false": False}.get(text)


def _parse_binary(text: str, word: str) -> bytes:
    return base64.b64decode(text.encode("ascii"), validate=True)


_PARSERS: dict[str, Callable[[str, str], Any]] = {
    "string": lambda text, word: text,
    "timestamp": parse_timestamp,
    "date": _parse_date,
    "integer": _parse_integer,
    "double": _parse_double,
    "decimal": _parse_decimal,
    "boolean": _parse_boolean,
    "binary": _parse_binary,
}
