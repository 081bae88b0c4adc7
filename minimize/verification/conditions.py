"""Whether a condition holds, as far as an output can tell: true, false, or None for what it does not show."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal
from typing import Any, Final

from minimize.pointer import Pointer

_SECONDS: Final[Mapping[str, int]] = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}


def holds(condition: Mapping[str, Any], shown: Mapping[Pointer, Any]) -> bool | None:
    """The condition over a record of which these values are shown as they came in; null never matches.

    >>> holds({"kind": ["a", "b"], "feature": "usage"}, {Pointer(("kind",)): "c"})
    False
    >>> holds({"kind": ["a", "b"], "feature": "usage"}, {Pointer(("kind",)): "a"}) is None
    True
    """
    return _every(_entry(str(word), below, shown) for word, below in condition.items())


def fields_of(condition: Mapping[str, Any]) -> Iterator[Pointer]:
    """The fields that a condition reads."""
    for word, below in condition.items():
        if word in ("any", "all"):
            for part in below:
                yield from fields_of(part)
        elif word not in ("feature", "level"):
            yield Pointer.parse(str(word))
            if isinstance(below, Mapping) and "of" in below:
                yield Pointer.parse(str(below["of"]))


def _entry(word: str, below: Any, shown: Mapping[Pointer, Any]) -> bool | None:
    if word == "any":
        return _some(holds(part, shown) for part in below)
    if word == "all":
        return _every(holds(part, shown) for part in below)
    pointer = Pointer.parse(word)
    if word in ("feature", "level") or pointer not in shown:
        return None
    value = shown[pointer]
    if isinstance(below, Mapping):
        return _within(value, below, shown)
    return any(_same(value, wanted) for wanted in (below if isinstance(below, list) else [below]))


def _within(value: Any, said: Mapping[str, Any], shown: Mapping[Pointer, Any]) -> bool | None:
    """Whether a time is less than so long before another; both are nanoseconds, and compared to the microsecond."""
    other = Pointer.parse(str(said["of"])) if "of" in said else None
    if other is None or other not in shown:
        return None
    times = (value, shown[other])
    if any(not isinstance(each, int) for each in times):
        return False
    count, unit = int(str(said["within"])[:-1]), str(said["within"])[-1]
    return bool(times[1] // 1_000 - times[0] // 1_000 < count * _SECONDS[unit] * 1_000_000)


def _every(parts: Iterable[bool | None]) -> bool | None:
    found = set(parts)
    return False if False in found else None if None in found else True


def _some(parts: Iterable[bool | None]) -> bool | None:
    found = set(parts)
    return True if True in found else None if None in found else False


def _same(value: Any, wanted: Any) -> bool:
    if value is None or isinstance(value, bool) != isinstance(wanted, bool):
        return False
    if isinstance(value, Decimal) and isinstance(wanted, int | float):
        return value == Decimal(repr(wanted))
    return bool(value == wanted)
