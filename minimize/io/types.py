"""The policy's type words and Arrow's types.

A source keeps the widths that it has: `integer` is any integer, `double` any floating point number, `string` any kind of
string, dictionary-encoded or not. Where a source has no types of its own (NDJSON, CSV) the word decides.

>>> str(arrow_type("timestamp")), str(arrow_type("decimal(10, 2)"))
('timestamp[us, tz=UTC]', 'decimal128(10, 2)')
>>> accepts("integer", pa.int16()), accepts("integer", pa.float64())
(True, False)
"""

from __future__ import annotations

import re
from collections.abc import Callable

import pyarrow as pa

_DECIMAL = re.compile(r"decimal\(\s*(\d{1,2})\s*(?:,\s*(\d{1,2})\s*)?\)")
CONTAINERS = ("list", "struct", "map")

is_string = pa.types.is_string, pa.types.is_large_string, pa.types.is_string_view
is_binary = (
    pa.types.is_binary,
    pa.types.is_large_binary,
    pa.types.is_fixed_size_binary,
    pa.types.is_binary_view,
)
is_list = (
    pa.types.is_list,
    pa.types.is_large_list,
    pa.types.is_fixed_size_list,
    pa.types.is_list_view,
    pa.types.is_large_list_view,
)

_FAMILIES: dict[str, tuple[Callable[[pa.DataType], bool], ...]] = {
    "string": is_string,
    "boolean": (pa.types.is_boolean,),
    "integer": (pa.types.is_integer,),
    "double": (pa.types.is_floating,),
    "decimal": (pa.types.is_decimal,),
    "timestamp": (pa.types.is_timestamp,),
    "date": (pa.types.is_date,),
    "binary": is_binary,
    "list": is_list,
    "struct": (pa.types.is_struct,),
    "map": (pa.types.is_map,),
}

_ARROW: dict[str, pa.DataType] = {
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
    """The Arrow type that a policy's word stands for where the source has no types of its own.

    A container whose parts nobody asked for is hollow: it has its shape and no values. Raises ValueError for another word.
    """
    digits = decimal_digits(word)
    if digits is not None:
        return pa.decimal128(*digits) if digits[0] <= 38 else pa.decimal256(*digits)
    if word not in _ARROW:
        raise ValueError(f"a type is one of {', '.join(WORDS)}")
    return _ARROW[word]


def decimal_digits(word: str) -> tuple[int, int] | None:
    """The precision and scale of `decimal(p,s)`; None for another word. Raises ValueError where they cannot be."""
    match = _DECIMAL.fullmatch(word.strip())
    if match is None:
        return None
    precision, scale = int(match[1]), int(match[2] or 0)
    if not 1 <= precision <= 76 or scale > precision:
        raise ValueError("a decimal has 1 to 76 digits, and no more of them after the point than in all")
    return precision, scale


def family(word: str) -> str:
    """The word without its digits: `decimal(10,2)` is `decimal`."""
    return word.split("(", 1)[0].strip()


def plain(type_: pa.DataType) -> pa.DataType:
    """The type behind a dictionary encoding, a run-end encoding or an extension; other types as they are."""
    if pa.types.is_dictionary(type_) or pa.types.is_run_end_encoded(type_):
        return plain(type_.value_type)
    return plain(type_.storage_type) if isinstance(type_, pa.BaseExtensionType) else type_


def accepts(word: str, type_: pa.DataType) -> bool:
    """Whether values of this Arrow type are what the policy's word means; a column of nothing but nulls is any type."""
    kind = plain(type_)
    if pa.types.is_null(kind):
        return True
    if not any(test(kind) for test in _FAMILIES.get(family(word), ())):
        return False
    digits = decimal_digits(word)
    return digits is None or (kind.precision - kind.scale <= digits[0] - digits[1] and kind.scale <= digits[1])


def word_of(type_: pa.DataType) -> str | None:
    """The policy's word for an Arrow type; None for one that no policy names (time, duration, interval)."""
    kind = plain(type_)
    if pa.types.is_decimal(kind):
        return f"decimal({kind.precision},{kind.scale})"
    return next((word for word, tests in _FAMILIES.items() if any(test(kind) for test in tests)), None)


def found(type_: pa.DataType) -> str:
    """How a diff names what a source has: the policy's word, and Arrow's where the policy has none."""
    return word_of(type_) or f"{plain(type_)}, which no policy type stands for"


WORDS = (*(word for word in _FAMILIES if word != "decimal"), "decimal(p,s)")
