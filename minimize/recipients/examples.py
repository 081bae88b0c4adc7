"""A field's example, and what it looks like once the field's techniques have treated it: worked out, never written by hand."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Final

import pyarrow as pa

from minimize.io.types import arrow_type
from minimize.recipients.model import Shared
from minimize.techniques import Context, Step, Technique, treat
from minimize.techniques.age import Age

_NOON: Final = datetime(2000, 1, 1, tzinfo=UTC)
"""No technique that is shown reads the run's time."""


def before(field: Shared) -> str:
    """The example, as the file has it.

    >>> before(Shared(key="managed", type="boolean", example=True))
    'true'
    """
    return _word(field.example)


def after(field: Shared) -> str:
    """What becomes of the example; nothing where it depends on a key, a time or another field, or where nothing leaves.

    >>> from minimize.techniques.mask import Mask
    >>> after(Shared(key="phone", example="+33612345678", do=(Mask(keep_last=4),)))
    '****5678'
    """
    values = as_array(field)
    if values is None or not field.chain or any(map(_depends, field.chain)):
        return ""
    context = Context(field.key, _NOON)
    for step in field.chain:
        values = treat(step, values, context).values if isinstance(step, Technique) else values
    return _word(values[0].as_py())


def as_array(field: Shared) -> pa.Array | None:
    """The example as a column of its field's type; None where there is none, or it is not of that type."""
    if field.example is None:
        return None
    try:
        return pa.array([field.example]).cast(arrow_type(field.type))
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError, pa.ArrowTypeError):
        return None


def _depends(step: Step) -> bool:
    return bool(step.key_names or step.reads() or step.needs_time) or isinstance(step, Age)


def _word(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%dT%H:%M:%SZ}"
    return str(value).lower() if isinstance(value, bool) else str(value)
