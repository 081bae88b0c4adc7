"""Why a step about an incident is refused: rules by name, each with its code and its words."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from minimize.errors import Finding, RefusedError

_RULES: Final[Mapping[str, tuple[str, str, str]]] = MappingProxyType(
    {
        "same_person": ("K021", "it takes a second person", "somebody else has to do it"),
        "untold": ("K022", "tenants that are to be told were not yet", "minimize incident notice, or exempt"),
    }
)


def refused(rule: str, message: str, *, tenants: int | None = None) -> RefusedError:
    """The refusal by a rule.

    >>> refused("same_person", "the exception is refused").findings[0].code
    'K021'
    """
    code, why, hint = _RULES[rule]
    counted = why if tenants is None else f"{why}: {tenants:,}"
    return RefusedError(message, findings=[Finding(code, counted, hint=hint)])
