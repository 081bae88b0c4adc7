"""What a technique does to a value, in a sentence that needs no manual."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Final

from minimize.policy.model import Do, Field
from minimize.policy.words import condition_text, step_text
from minimize.techniques import Step

Phrase = Callable[[Any], str]


def _pseudonymize(step: Any) -> str:
    within = f", other for each {step.per}" if step.per else ""
    turned = f", new each {step.rotate}" if step.rotate else ""
    return f"a keyed pseudonym in its place{within}{turned}"


def _mask(step: Any) -> str:
    last = step.keep_last is not None
    number = step.keep_last if last else step.keep_first
    return f"masked but for the {'last' if last else 'first'} {number} characters"


def _bin(step: Any) -> str:
    if step.width is not None:
        return f"the interval of width {_number(step.width)} that it lies in"
    return f"the interval that it lies in, of those cut at {', '.join(map(_number, step.edges or ()))}"


def _clip(step: Any) -> str:
    low = "" if step.min is None else f" below {_number(step.min)}"
    high = "" if step.max is None else f" above {_number(step.max)}"
    return f"what lies{low}{' or' if low and high else ''}{high} takes the bound"


def _time(step: Any) -> str:
    return f"cut to the {step.to}{'' if step.zone == 'UTC' else f' in {step.zone}'}"


def _age(step: Any) -> str:
    since = "the run" if step.at == "run" else step.at
    return f"completed {step.unit} until {since}"


_PHRASES: Final[Mapping[str, Phrase]] = MappingProxyType(
    {
        "keep": lambda _: "as it came",
        "pseudonymize": _pseudonymize,
        "tokenize": lambda _: "encrypted; only the keyring turns it back",
        "mask": _mask,
        "round": lambda step: f"rounded to the nearest {_number(step.to)}",
        "bin": _bin,
        "clip": _clip,
        "truncate_time": _time,
        "age": _age,
        "shift_dates": lambda step: f"moved by a secret number of days, up to {step.max_days}, one for each {step.per}",
        "truncate_ip": lambda step: f"its network: the first {step.v4} bits (IPv4) or {step.v6} bits (IPv6)",
        "truncate_version": lambda step: f"its first {step.parts} parts" if step.parts != 1 else "its first part",
        "generalize": lambda step: f"a coarser word, {step.level} steps up its hierarchy",
        "map": lambda step: f"one of {len(set(step.values.values()))} words by a table",
        "top": lambda step: f"one of the {step.keep} most frequent, the rest together",
        "grid": lambda step: f"the centre of a cell of {step.metres:g} metres",
        "h3": lambda step: f"its H3 cell of resolution {step.resolution}",
        "keep_host": lambda _: "the host of the address alone",
        "email_domain": lambda _: "the domain of the address alone",
        "redact": lambda step: f"text in which {', '.join(step.patterns)} are marked out",
        "presence": lambda _: "whether there is a value",
        "size": lambda _: "how many elements there are",
    }
)
DROPPED: Final = "dropped"


def phrase(step: Step) -> str:
    """One step in words.

    >>> from minimize.techniques.mask import Mask
    >>> phrase(Mask(keep_last=4))
    'masked but for the last 4 characters'
    """
    said = _PHRASES.get(step.name)
    return step_text(step) if said is None else said(step)


def form_of(do: Do) -> str:
    """A chain in words."""
    return DROPPED if isinstance(do, str) else ", then ".join(map(phrase, do))


def forms_of(field: Field) -> str:
    """What becomes of a field, its cases included."""
    if not field.cases:
        return form_of(field.do)
    cases = [f"{form_of(case.do)} where {condition_text(case.when)}" for case in field.cases]
    return "; ".join([*cases, f"otherwise {form_of(field.otherwise)}"])


def conditions_of(field: Field) -> tuple[str, ...]:
    """What must hold for a value to be collected at all."""
    said = [f"feature {field.feature} is on"] if field.feature else []
    said += [f"level is {field.level} or higher"] if field.level else []
    said += [condition_text(field.collect_if)] if field.collect_if is not None else []
    return tuple(said)


def _number(value: Any) -> str:
    number = float(value)
    return f"{number:,.0f}" if number.is_integer() else f"{number:g}"
