"""Few rows of a keyed technique, looked up one by one: below some hundred rows that costs less than finding the distinct ones."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pyarrow as pa

from minimize.techniques.base import FEW, Treated, family
from minimize.techniques.distinct import decoded, listed
from minimize.techniques.recall import Recall

Asked = tuple[Any, ...]
"""What a result belongs to: the key, the value, and each part of its scope."""


def are_few(values: pa.Array, beside: Sequence[pa.Array]) -> bool:
    """Whether these rows are few, and their values and scopes of types whose Python objects say everything."""
    return len(values) <= FEW and all(family(column.type) in _TOLD for column in (values, *beside))


def each_scoped(
    values: pa.Array, beside: Sequence[pa.Array], key: Any, of: Callable[[Asked], str], recall: Recall
) -> Treated:
    """What each value becomes in its scope; a value cannot be treated where a part of its scope is null."""
    given = listed(decoded(values))
    scopes = list(zip(*(listed(decoded(column)) for column in beside), strict=True)) if beside else [()] * len(given)
    asked = [
        None if value is None or None in scope else (key, value, *scope)
        for value, scope in zip(given, scopes, strict=True)
    ]
    lost = [one is None and value is not None for one, value in zip(asked, given, strict=True)]
    results = pa.array(recall.each(asked, of), pa.string())
    return Treated(results, pa.array(lost, pa.bool_()) if any(lost) else None)


_TOLD = ("string", "integer", "binary", "date", "timestamp")
