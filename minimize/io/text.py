"""Text as typed values, strictly: what does not read as its type is told apart, never coerced.

    timestamp  ISO 8601 / RFC 3339: date, `T` or a space, hours and minutes, seconds with up to nine digits (what is finer than
               a microsecond is cut), `Z` or an offset; without a zone it is UTC. A leap second is no time.
    date       YYYY-MM-DD
    integer    digits with a sign, within 64 bits
    double     a decimal number, finite
    decimal    a number with no more digits than declared
    boolean    true, false
    binary     base64 (RFC 4648, padded)

>>> values, bad = read(pa.array(["1", "x", None]), "integer")
>>> values.to_pylist(), bad.tolist()
([1, None, None], [False, True, False])
"""

from __future__ import annotations

import base64
import re
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from minimize.io.alike import alike
from minimize.io.types import arrow_type, decimal_digits, family

_DAY = r"[0-9]{4}-[0-9]{2}-[0-9]{2}"
_USUAL = r"[12][0-9]{3}-[0-9]{2}-[0-9]{2}"
_NUMBER = r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?"
_INTEGER = r"[-+]?[0-9]{1,25}"
_TIME = re.compile(
    rf"({_DAY})[Tt ]([0-9]{{2}}:[0-9]{{2}})(:[0-9]{{2}})?(\.[0-9]{{1,9}})?(?:([Zz])|([-+])([0-9]{{2}})(?::?([0-9]{{2}}))?)?"
)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_DIGITS = 400
"""Longer than any number that is one: a text above it is not even looked at."""

_SHAPES = {
    "timestamp": rf"^{_USUAL}[T ][0-9]{{2}}:[0-9]{{2}}:[0-9]{{2}}(\.[0-9]{{1,6}})?(Z|[-+]([01][0-9]|2[0-3]):[0-5][0-9])$",
    "date": rf"^{_USUAL}$",
    "integer": r"^-?[0-9]{1,19}$",
    "double": rf"^{_NUMBER}$",
    "boolean": r"^(true|false)$",
}
"""The common shapes, which Arrow reads as we do; anything else is read value by value."""


def read(texts: pa.StringArray, word: str) -> tuple[pa.Array, npt.NDArray[np.bool_]]:
    """Text as values of a policy's type, and where it is none; null stays null and is not bad."""
    if word == "string":
        return texts, np.zeros(len(texts), bool)
    shape = _SHAPES.get(word)
    if shape is None:
        return _one_by_one(texts, word)
    if word in ("timestamp", "date") and alike(texts, shape):
        return _cast(texts, word)
    usual = pc.match_substring_regex(texts, shape)
    if pc.all(usual).as_py() is not False:
        return _cast(texts, word)
    odd = np.flatnonzero(~np.asarray(pc.fill_null(usual, True)))
    if len(odd) * 2 > len(texts):
        return _one_by_one(texts, word)
    values, bad = _cast(pc.if_else(usual, texts, None), word)
    return _with(values, bad, odd, *_one_by_one(texts.take(pa.array(odd)), word))


def one(text: str, word: str) -> Any:
    """One text as a value that Arrow takes for the policy's type; None where it is none."""
    reader = _READERS[family(word)]
    with suppress(ValueError, ArithmeticError):
        return reader(text, word) if len(text) <= _DIGITS or family(word) == "binary" else None
    return None


def microseconds(text: str, word: str = "timestamp") -> int | None:
    """A time as microseconds since 1970, UTC. Raises ValueError for a day or an hour that does not exist."""
    match = _TIME.fullmatch(text)
    if match is None or (match[4] and not match[3]):
        return None
    start = datetime.fromisoformat(f"{match[1]}T{match[2]}{match[3] or ':00'}+00:00")
    offset = timedelta(hours=int(match[7] or 0), minutes=int(match[8] or 0))
    if offset >= timedelta(days=1) or int(match[8] or 0) > 59:
        return None
    since = start - (-offset if match[6] == "-" else offset) - _EPOCH
    return since // _MICROSECOND + int((match[4] or ".")[1:7].ljust(6, "0"))


def _cast(texts: pa.StringArray, word: str) -> tuple[pa.Array, npt.NDArray[np.bool_]]:
    """Reads texts of the usual shape; a day that does not exist is found one by one."""
    with suppress(pa.ArrowException):
        return _finite(texts.cast(arrow_type(word)))
    return _one_by_one(texts, word)


def _with(
    values: pa.Array,
    bad: npt.NDArray[np.bool_],
    places: npt.NDArray[np.int64],
    odd: pa.Array,
    odd_bad: npt.NDArray[np.bool_],
) -> tuple[pa.Array, npt.NDArray[np.bool_]]:
    """Values with others at some places."""
    mask = np.zeros(len(values), bool)
    mask[places], bad = True, bad.copy()
    bad[places] = odd_bad
    return pc.replace_with_mask(values, pa.array(mask), odd), bad


def _one_by_one(texts: pa.StringArray, word: str) -> tuple[pa.Array, npt.NDArray[np.bool_]]:
    """Reads distinct texts in Python: shapes that Arrow reads otherwise than we do are rare, and so are faults."""
    encoded = texts.dictionary_encode()
    found = [one(text, word) for text in encoded.dictionary.to_pylist()]
    values = pa.array(found, arrow_type(word)).take(encoded.indices)
    return values, np.asarray(values.is_null()) & np.asarray(texts.is_valid())


def _finite(values: pa.Array) -> tuple[pa.Array, npt.NDArray[np.bool_]]:
    none = np.zeros(len(values), bool)
    if not pa.types.is_floating(values.type):
        return values, none
    bad = np.asarray(pc.fill_null(pc.invert(pc.is_finite(values)), False))
    return (pc.if_else(pa.array(bad), pa.nulls(len(values), values.type), values) if bad.any() else values), bad


def _date(text: str, word: str) -> int | None:
    match = re.fullmatch(_DAY, text)
    return None if match is None else (date.fromisoformat(text) - _EPOCH.date()).days


def _integer(text: str, word: str) -> int | None:
    value = int(text) if re.fullmatch(_INTEGER, text) else None
    return value if value is not None and -(2**63) <= value < 2**63 else None


def _double(text: str, word: str) -> float | None:
    value = float(text) if re.fullmatch(_NUMBER, text) else np.inf
    return value if np.isfinite(value) else None


def _decimal(text: str, word: str) -> Decimal | None:
    digits = decimal_digits(word)
    if digits is None or not re.fullmatch(_NUMBER, text):
        return None
    return exactly(Decimal(text), *digits)


def exactly(value: Decimal, precision: int, scale: int) -> Decimal | None:
    """The number at this scale, where no digit is lost and none is too many; else None."""
    sign, numerals, exponent = value.as_tuple()
    if not isinstance(exponent, int) or (value and not -200 <= exponent <= 200):
        return None
    whole = "".join(map(str, numerals)) if value else "0"
    exponent = exponent if value else 0
    moved = whole + "0" * (exponent + scale) if exponent + scale >= 0 else _cut(whole, -(exponent + scale))
    if moved is None or len(moved.lstrip("0")) > precision:
        return None
    return Decimal((sign, tuple(map(int, moved or "0")), -scale))


def _cut(numerals: str, places: int) -> str | None:
    """The digits without their last ones, if those are all zero."""
    return numerals[:-places] if not numerals[-places:].strip("0") else None


def _boolean(text: str, word: str) -> bool | None:
    return {"true": True, "false": False}.get(text)


def _binary(text: str, word: str) -> bytes:
    return base64.b64decode(text.encode("ascii"), validate=True)


_READERS: dict[str, Callable[[str, str], Any]] = {
    "string": lambda text, word: text,
    "timestamp": microseconds,
    "date": _date,
    "integer": _integer,
    "double": _double,
    "decimal": _decimal,
    "boolean": _boolean,
    "binary": _binary,
}
