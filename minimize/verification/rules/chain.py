"""Rules for whole chains: the last step decides, and what it lets through unchanged must obey the step before."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from decimal import Decimal
from functools import partial
from typing import Any, Final

import pyarrow as pa

from minimize.verification.policy import StepView
from minimize.verification.rules.base import Obeys, Place, Unchecked
from minimize.verification.rules.table import RULES

_TEXTS: Final = frozenset(
    (
        *("pseudonymize", "tokenize", "mask", "truncate_ip", "truncate_version", "generalize", "map", "top", "h3"),
        *("keep_host", "email_domain", "redact"),
    )
)
_FIXED: Final = {"presence": "boolean", "size": "integer", "age": "integer", "grid": "struct"}


def chain_rule(chain: Sequence[StepView], place: Place) -> Obeys:
    """The judge of a chain's values. Raises Unchecked where a rule lacks something."""
    *before, last = chain
    obeys = _judge(last, place)
    if not before or last.word not in ("keep", "top", "clip"):
        return obeys
    earlier = chain_rule(before, place)
    passed = _stand_ins(last)
    return lambda value: obeys(value) and (value in passed or earlier(value))


def _judge(step: StepView, place: Place) -> Obeys:
    """The judge of one step: what it cannot even look at (another type) does not obey."""
    rule, obeys = RULES.get(step.word), None
    with suppress(KeyError, TypeError, ValueError, ArithmeticError):
        obeys = None if rule is None else rule(step.given, place)
    if obeys is None:
        raise Unchecked(step.word)
    return partial(_looked_at, obeys)


def _looked_at(obeys: Obeys, value: Any) -> bool:
    try:
        return obeys(value)
    except (TypeError, ValueError, ArithmeticError, AttributeError):
        return False


def _stand_ins(step: StepView) -> list[Any]:
    """Values that a step puts in itself, so that the step before says nothing about them."""
    if step.word == "top":
        return [str(step.given.get("other", "other"))]
    return [Decimal(repr(step.given[bound])) for bound in ("min", "max") if bound in step.given]


def given_family(chain: Sequence[StepView], declared: str) -> str:
    """The type family of a chain's column, in the words of policies.

    >>> given_family([StepView("bin", {"width": 10, "as": "label"})], "double")
    'string'
    """
    family = declared.partition("(")[0]
    for step in chain:
        family = _family(step, family)
    return family


def _family(step: StepView, family: str) -> str:
    if step.word in _TEXTS:
        return "string"
    if step.word == "bin":
        return {"label": "string", "middle": "double"}.get(str(step.given.get("as", "lower")), family)
    return _FIXED.get(step.word, family)


def family_of(type_: pa.DataType) -> str:
    """The policy's word for the type of a column."""
    for test, word in (
        (pa.types.is_boolean, "boolean"),
        (pa.types.is_integer, "integer"),
        (pa.types.is_floating, "double"),
        (pa.types.is_decimal, "decimal"),
        (pa.types.is_timestamp, "timestamp"),
        (pa.types.is_date, "date"),
        (pa.types.is_struct, "struct"),
        (pa.types.is_map, "map"),
        (pa.types.is_nested, "list"),
    ):
        if test(type_):
            return word
    return "string" if "string" in str(type_) else "binary" if "binary" in str(type_) else str(type_)
