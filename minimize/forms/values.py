"""Types of the values in forms: names, durations, days. Each has its fault code and its JSON Schema."""

from __future__ import annotations

import re
from datetime import date, timedelta
from typing import Annotated, Any, Final, Literal, get_args

from pydantic import BeforeValidator, Field, WithJsonSchema

from minimize.forms import Expected, Reading, form_error, when_read
from minimize.forms.yaml_nodes import LARGEST_INTEGER
from minimize.techniques.parameters import LOWER_TIGHTENS, ranked
from minimize.text import did_you_mean
from minimize.times import parse_iso_date

FIELD_TYPES: Final = (
    "string",
    "boolean",
    "integer",
    "double",
    "decimal",
    "timestamp",
    "date",
    "binary",
    "list",
    "struct",
    "map",
)
DECIMAL_PATTERN: Final = r"decimal\(\s*([0-9]{1,3})\s*,\s*([0-9]{1,3})\s*\)"
MAX_DECIMAL_DIGITS: Final = 38
NAME_PATTERN: Final = r"[A-Za-z_][A-Za-z0-9_-]{0,63}"
DURATION_PATTERN: Final = r"^[1-9][0-9]{0,5}[smhdw]$"
DAY_PATTERN: Final = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$"


CategoryName = Literal["identified", "pseudonymized", "aggregated"]
CategoryLimit = Annotated[CategoryName | None, ranked((*get_args(CategoryName)[::-1], None))]
"""The highest permitted category; None means no limit."""
EncryptBy = Literal["off", "identified", "by_category"]


def read_encryption_word(value: Any) -> Any:
    """A word of a file in its present form: `none` was the former word for `off`."""
    return "off" if value == "none" else value


def parse_duration(text: object) -> timedelta | None:
    """The duration of a text such as `24h`; None if the text is not a duration.

    >>> parse_duration("24h")
    datetime.timedelta(days=1)
    >>> parse_duration("30") is None
    True
    """
    if not isinstance(text, str) or not re.fullmatch(DURATION_PATTERN, text):
        return None
    count = int(text[:-1])
    return {
        "s": timedelta(seconds=count),
        "m": timedelta(minutes=count),
        "h": timedelta(hours=count),
        "d": timedelta(days=count),
        "w": timedelta(weeks=count),
    }[text[-1]]


def _parse_day(value: object) -> object:
    """The day of a text; any other value as it is, for the type to refuse."""
    return (isinstance(value, str) and re.fullmatch(DAY_PATTERN, value) and parse_iso_date(value)) or value


def _field_type(text: str, _: Reading) -> str:
    """The word for a type. Raises PydanticCustomError for another word, and for a decimal that no value can have."""
    digits = re.fullmatch(DECIMAL_PATTERN, text)
    if digits:
        precision, scale = int(digits[1]), int(digits[2])
        if 1 <= precision <= MAX_DECIMAL_DIGITS and scale <= precision:
            return f"decimal({precision},{scale})"
        hint = f"Use decimal(p,s) with p from 1 to {MAX_DECIMAL_DIGITS} and s at most p."
        raise form_error("P006", f"decimal({precision},{scale}) is not a valid type", hint)
    if text in FIELD_TYPES and text != "decimal":
        return text
    is_decimal = text.startswith("decimal")
    hint = 'Quote it: type: "decimal(10,2)".' if is_decimal else did_you_mean(text, FIELD_TYPES)
    raise form_error("P007", f"unknown type `{text}`", hint)


Name = Annotated[
    str,
    Field(pattern=f"^{NAME_PATTERN}$"),
    Expected("is not a valid name", "P015", "Use a letter or _, then letters, digits, _ and -."),
]
"""A name that is valid in paths and receipts."""
Names = Annotated[tuple[str, ...], Expected("must be a list of names")]
PositiveInteger = Annotated[int, Field(ge=1, le=LARGEST_INTEGER), Expected("must be a whole number from 1")]
Duration = Annotated[
    timedelta,
    BeforeValidator(lambda value: parse_duration(value) or value),
    Expected("must be a duration", hint="Use a whole number and a unit: 45s, 15m, 24h, 30d, 2w."),
    WithJsonSchema({"type": "string", "pattern": DURATION_PATTERN, "examples": ["30d"]}),
]
DurationLimit = Annotated[Duration | None, LOWER_TIGHTENS]
"""The longest permitted duration; None means no limit."""
Day = Annotated[
    date,
    BeforeValidator(_parse_day),
    Expected("must be a day", hint="Use YYYY-MM-DD."),
    WithJsonSchema({"type": "string", "pattern": DAY_PATTERN, "examples": ["2026-11-25"]}),
]
LastDay = Annotated[Day | None, LOWER_TIGHTENS]
"""An end; None means that there is none."""
Share = Annotated[float, Field(ge=0, le=1), Expected("must be a share of the rows, from 0 to 1")]
ShareLimit = Annotated[Share | None, LOWER_TIGHTENS]
"""The highest permitted share; None means no limit."""
_DECIMAL_SCHEMA: Final = {
    "type": "string",
    "pattern": f"^{DECIMAL_PATTERN}$",
    "description": "A decimal of p digits, s of them after the point.",
}
FieldType = Annotated[
    str,
    when_read(_field_type),
    WithJsonSchema({"anyOf": [{"enum": [word for word in FIELD_TYPES if word != "decimal"]}, _DECIMAL_SCHEMA]}),
]
"""The type of a field's values."""
