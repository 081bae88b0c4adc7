"""Rules: the values that a technique can return, written only from its definition.

The table has one rule per technique. In a chain the last step decides. Values that it passes unchanged must also obey the
previous step.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from decimal import Decimal
from functools import partial
from types import MappingProxyType
from typing import Any, Final

import pyarrow as pa

from minimize.verification.policy_reading import StepView
from minimize.verification.rules.base import ColumnContext, Parameters, RuleFactory, RuleUnavailable, ValueRule
from minimize.verification.rules.numeric import (
    ages,
    bin_values,
    bounded_values,
    grid_centres,
    h3_cells,
    multiples,
    time_starts,
)
from minimize.verification.rules.text import (
    email_domains,
    hierarchy_labels,
    hosts,
    mapped_words,
    masked_texts,
    networks,
    presence_flags,
    pseudonyms,
    redacted_texts,
    sizes,
    tokens,
    top_values,
    versions,
)

__all__ = [
    "RULES",
    "ColumnContext",
    "RuleFactory",
    "RuleUnavailable",
    "ValueRule",
    "chain_rule",
    "output_family",
    "type_family",
]


def any_value(parameters: Parameters, place: ColumnContext) -> ValueRule:
    """Accepts every value: `keep`, and `shift_dates`, which only the counts of the receipt can check."""
    return _accept


def _accept(value: Any) -> bool:
    return True


RULES: Final[Mapping[str, RuleFactory]] = MappingProxyType(
    {
        "keep": any_value,
        "pseudonymize": pseudonyms,
        "tokenize": tokens,
        "mask": masked_texts,
        "round": multiples,
        "bin": bin_values,
        "clip": bounded_values,
        "truncate_time": time_starts,
        "age": ages,
        "shift_dates": any_value,
        "truncate_ip": networks,
        "truncate_version": versions,
        "generalize": hierarchy_labels,
        "map": mapped_words,
        "top": top_values,
        "grid": grid_centres,
        "h3": h3_cells,
        "keep_host": hosts,
        "email_domain": email_domains,
        "redact": redacted_texts,
        "presence": presence_flags,
        "size": sizes,
    }
)


_TEXT_TECHNIQUES: Final = frozenset(
    (
        *("pseudonymize", "tokenize", "mask", "truncate_ip", "truncate_version", "generalize", "map", "top", "h3"),
        *("keep_host", "email_domain", "redact"),
    )
)
_FIXED_FAMILIES: Final = {"presence": "boolean", "size": "integer", "age": "integer", "grid": "struct"}


def chain_rule(chain: Sequence[StepView], place: ColumnContext) -> ValueRule:
    """The check of a chain's values. Raises RuleUnavailable if a rule lacks something."""
    *before, last = chain
    obeys = _rule_of_step(last, place)
    if not before or last.technique not in ("keep", "top", "clip"):
        return obeys
    earlier = chain_rule(before, place)
    passed = _replacement_values(last)
    return lambda value: obeys(value) and (value in passed or earlier(value))


def _rule_of_step(step: StepView, place: ColumnContext) -> ValueRule:
    """The check of one step. A value of a type that it cannot check does not obey."""
    rule, obeys = RULES.get(step.technique), None
    with suppress(KeyError, TypeError, ValueError, ArithmeticError):
        obeys = None if rule is None else rule(step.parameters, place)
    if obeys is None:
        raise RuleUnavailable(step.technique)
    return partial(_obeys_safely, obeys)


def _obeys_safely(obeys: ValueRule, value: Any) -> bool:
    try:
        return obeys(value)
    except (TypeError, ValueError, ArithmeticError, AttributeError):
        return False


def _replacement_values(step: StepView) -> list[Any]:
    """Values that a step inserts itself, so that the previous step does not apply to them."""
    if step.technique == "top":
        return [str(step.parameters.get("other", "other"))]
    return [Decimal(repr(step.parameters[bound])) for bound in ("min", "max") if bound in step.parameters]


def output_family(chain: Sequence[StepView], declared: str) -> str:
    """The type family of a chain's column, in the terms of policies.

    >>> output_family([StepView("bin", {"width": 10, "as": "label"})], "double")
    'string'
    """
    family = declared.partition("(")[0]
    for step in chain:
        family = _family_after(step, family)
    return family


def _family_after(step: StepView, family: str) -> str:
    if step.technique in _TEXT_TECHNIQUES:
        return "string"
    if step.technique == "bin":
        return {"label": "string", "middle": "double"}.get(str(step.parameters.get("as", "lower")), family)
    return _FIXED_FAMILIES.get(step.technique, family)


def type_family(type_: pa.DataType) -> str:
    """The policy's name for the type of a column."""
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
