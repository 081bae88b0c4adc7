"""Rules: the values that a technique can return, written only from its definition.

The table has one rule per technique, with other facts that the checks need. In a chain the last step decides. Values that it
passes unchanged must also obey the previous step.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import suppress
from decimal import Decimal
from fractions import Fraction
from functools import partial
from itertools import pairwise
from typing import Any, Final

import pyarrow as pa

from minimize.verification.rules.base import (
    ColumnContext,
    Parameters,
    RuleUnavailable,
    StepView,
    TechniqueRule,
    ValueRule,
    exact_fraction,
)
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
    "RuleUnavailable",
    "StepView",
    "TechniqueRule",
    "ValueRule",
    "chain_rule",
    "may_identify",
    "may_locate",
    "output_family",
    "techniques_without_rule",
    "type_family",
]


def any_value(parameters: Parameters, place: ColumnContext) -> ValueRule:
    """Accepts every value: `keep`, and `shift_dates`, which only the counts of the receipt can check."""
    return _accept


def _accept(value: Any) -> bool:
    return True


RULES: Final[dict[str, TechniqueRule]] = {
    "keep": TechniqueRule(any_value),
    "pseudonymize": TechniqueRule(pseudonyms, "string", "key", identifies=False, keyed=True),
    "tokenize": TechniqueRule(tokens, "string", "key", keyed=True),
    "mask": TechniqueRule(masked_texts, "string"),
    "round": TechniqueRule(multiples, lone="to", blurs=lambda parameters: _is_tenth(exact_fraction(parameters["to"]))),
    "bin": TechniqueRule(bin_values, blurs=lambda parameters: all(map(_is_tenth, _bin_widths(parameters)))),
    "clip": TechniqueRule(bounded_values),
    "truncate_time": TechniqueRule(time_starts, lone="to", identifies=False),
    "age": TechniqueRule(ages, "integer", "unit", identifies=False),
    "shift_dates": TechniqueRule(any_value, keyed=True),
    "truncate_ip": TechniqueRule(networks, "string", identifies=False),
    "truncate_version": TechniqueRule(versions, "string", "parts", identifies=False),
    "generalize": TechniqueRule(hierarchy_labels, "string", identifies=False),
    "map": TechniqueRule(mapped_words, "string", "values", may_lose=True),
    "top": TechniqueRule(top_values, "string", identifies=False),
    "grid": TechniqueRule(
        grid_centres,
        "struct",
        "metres",
        identifies=False,
        locates=lambda parameters: float(parameters.get("metres", 300)) < 10_000,
        may_lose=True,
    ),
    "h3": TechniqueRule(
        h3_cells,
        "string",
        "resolution",
        identifies=False,
        locates=lambda parameters: int(parameters["resolution"]) > 4,
        may_lose=True,
    ),
    "keep_host": TechniqueRule(hosts, "string"),
    "email_domain": TechniqueRule(email_domains, "string", identifies=False),
    "redact": TechniqueRule(redacted_texts, "string", "patterns"),
    "presence": TechniqueRule(presence_flags, "boolean", identifies=False),
    "size": TechniqueRule(sizes, "integer", identifies=False),
}
"""A technique that is not in this table is refused: its output is an error of `verify`."""


def chain_rule(chain: Sequence[StepView], place: ColumnContext) -> ValueRule:
    """The check of a chain's values. Raises RuleUnavailable if a technique has no rule, or a rule lacks something."""
    for name in techniques_without_rule([chain]):
        raise RuleUnavailable(name)
    *before, last = chain
    obeys = _rule_of_step(last, place)
    if not before or last.technique not in ("keep", "top", "clip"):
        return obeys
    earlier = chain_rule(before, place)
    passed = _replacement_values(last)
    return lambda value: obeys(value) and (value in passed or earlier(value))


def at_finest_level(step: StepView) -> StepView:
    """A step whose level a search chose (`auto`), at the finest level: coarser results have its form, too."""
    parameters = dict(step.parameters)
    chosen = [name for name, value in parameters.items() if value == "auto"]
    if not chosen or step.technique == "generalize":
        return step
    steps = parameters.pop("steps", None) or ()
    for name in chosen:
        parameters[name] = steps[0] if steps else _FINEST_LEVELS.get((step.technique, name))
    return StepView(step.technique, parameters)


_FINEST_LEVELS: Final[dict[tuple[str, str], Any]] = {
    ("truncate_ip", "v4"): 24,
    ("truncate_ip", "v6"): 48,
    ("truncate_time", "to"): "hour",
    ("truncate_version", "parts"): 3,
}


def techniques_without_rule(chains: Iterable[Sequence[StepView]]) -> list[str]:
    """The techniques of some chains that have no rule, each once."""
    return [name for name in dict.fromkeys(step.technique for chain in chains for step in chain) if name not in RULES]


def may_identify(step: StepView) -> bool:
    """Whether an identifier can be recognized or guessed from the result of a step. Without a rule it can."""
    if step.technique == "top":
        return int(step.parameters.get("at_least", 10)) < 10
    return step.technique not in RULES or RULES[step.technique].identifies


def may_locate(step: StepView, *, coordinate: bool) -> bool:
    """Whether a position finer than 10 km can be read from the result of a step.

    `coordinate` tells whether the value is a latitude or a longitude.
    """
    rule = RULES.get(step.technique)
    if rule is None or (rule.locates is None and rule.blurs is None):
        return coordinate and may_identify(step)
    if rule.locates is not None:
        return rule.locates(step.parameters)
    return coordinate and rule.blurs is not None and not rule.blurs(step.parameters)


def _is_tenth(width: Fraction) -> bool:
    return width >= Fraction(1, 10)


def _bin_widths(parameters: Parameters) -> list[Fraction]:
    edges = [exact_fraction(edge) for edge in parameters.get("edges") or ()]
    return [upper - lower for lower, upper in pairwise(edges)] if edges else [exact_fraction(parameters["width"])]


def _rule_of_step(step: StepView, place: ColumnContext) -> ValueRule:
    """The check of one step. A value of a type that it cannot check does not obey."""
    obeys, step = None, at_finest_level(step)
    with suppress(KeyError, TypeError, ValueError, ArithmeticError):
        obeys = RULES[step.technique].values(step.parameters, place)
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
    if step.technique == "bin":
        return {"label": "string", "middle": "double"}.get(str(step.parameters.get("as", "lower")), family)
    return (RULES[step.technique].family if step.technique in RULES else "") or family


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
