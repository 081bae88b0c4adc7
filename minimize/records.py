"""Records: `@dataclass(frozen=True)` of the standard library, with or without slots, made in a tenth of the time.

Up to Python 3.12 the standard library writes and compiles six methods for each such class: 0.4 ms a class, of which a command
imports two hundred. Here the methods are the same functions for all classes, told of their fields; the fields themselves,
the slots and what `replace`, `fields`, `asdict` and `match` need come from the standard library as ever. Other kinds of
dataclasses (mutable, ordered, by keyword) are handed to it whole. To type checkers this is `dataclasses.dataclass`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import MISSING, FrozenInstanceError
from functools import partial
from inspect import Parameter, Signature
from operator import attrgetter
from reprlib import recursive_repr
from typing import TYPE_CHECKING, Any, Final, TypeVar

__all__ = ["dataclass"]

T = TypeVar("T")
_UNSET: Final = object()
"""In place of a value: `__post_init__` will set it, or nobody."""


def _dataclass(given: type[Any] | None = None, /, **options: bool) -> Any:
    """As `dataclasses.dataclass`, with its options."""
    if options in ({"frozen": True, "slots": True}, {"frozen": True}):
        return partial(_record, slots="slots" in options)
    return dataclasses.dataclass(given, **options)


def _record(given: type[T], *, slots: bool) -> type[T]:
    """A class whose instances are not changed once they are made."""
    if given.__doc__ is None:
        given.__doc__ = f"{given.__name__}(...)"  # else it is made from a signature, which takes long
    kind = dataclasses.dataclass(init=False, repr=False, eq=False, slots=slots)(given)
    known = dataclasses.fields(kind)  # type: ignore[arg-type]
    compared = _values([each.name for each in known if each.compare])
    hashed = _values([each.name for each in known if (each.compare if each.hash is None else each.hash)])
    own = {
        "__init__": _init(kind, known, slots=slots),
        "__repr__": _repr([each.name for each in known if each.repr]),
        "__eq__": _eq(compared),
    }
    for name, method in own.items():
        if name not in kind.__dict__:
            setattr(kind, name, method)
    if kind.__dict__.get("__hash__") is None:
        kind.__hash__ = lambda self: hash(hashed(self))  # type: ignore[method-assign]
    if slots and "__getstate__" not in kind.__dict__:
        _kept(kind, [each.name for each in known])
    _frozen(kind, frozenset(each.name for each in known))
    kind.__signature__ = _Signed()  # type: ignore[attr-defined]
    return kind


def _init(kind: type, known: Sequence[dataclasses.Field[Any]], *, slots: bool) -> Callable[..., None]:
    """`__init__`: values in the order of the fields, or by their names, and defaults for the rest."""
    wanted = [each for each in known if each.init]
    rest = [each for each in known if not each.init]
    puts = [getattr(kind, each.name).__set__ if slots else _put(each.name) for each in (*wanted, *rest)]
    finish = getattr(kind, "__post_init__", None)
    plain = len(wanted) if not rest else -1

    def init(self: Any, *given: Any, **named: Any) -> None:
        if named or len(given) != plain:
            given = (*_completed(kind, wanted, given, named), *map(_default, rest))
        for put, value in zip(puts, given, strict=True):
            if value is not _UNSET:
                put(self, value)
        if finish is not None:
            finish(self)

    return init


def _put(name: str) -> Callable[[Any, Any], None]:
    return lambda self, value: object.__setattr__(self, name, value)


def _completed(
    kind: type, wanted: Sequence[dataclasses.Field[Any]], given: Sequence[Any], named: Mapping[str, Any]
) -> list[Any]:
    """A value for each field. Raises TypeError where one is missing, unknown or given twice."""
    values = list(given)
    used = 0
    missing = []
    for each in wanted[len(given) :]:
        if each.name in named:
            used += 1
            values.append(named[each.name])
        else:
            values.append(_default(each))
            if values[-1] is _UNSET:
                missing.append(each.name)
    if missing:
        raise TypeError(f"{kind.__qualname__} misses {', '.join(missing)}")
    if len(given) > len(wanted):
        raise TypeError(f"{kind.__qualname__} takes {len(wanted)} values, and {len(given)} were given")
    if used < len(named):
        wrong = sorted(named.keys() - {each.name for each in wanted[len(given) :]})
        raise TypeError(f"{kind.__qualname__} has no more use for {', '.join(wrong)}")
    return values


def _default(field: dataclasses.Field[Any]) -> Any:
    if field.default is not MISSING:
        return field.default
    return _UNSET if field.default_factory is MISSING else field.default_factory()


def _values(names: Sequence[str]) -> Callable[[Any], tuple[Any, ...]]:
    """From an instance to the values of these fields."""
    if len(names) > 1:
        return attrgetter(*names)
    return lambda self: tuple(getattr(self, name) for name in names)


def _repr(names: Sequence[str]) -> Callable[[Any], str]:
    @recursive_repr()
    def shown(self: Any) -> str:
        return f"{type(self).__qualname__}({', '.join(f'{name}={getattr(self, name)!r}' for name in names)})"

    return shown


def _eq(compared: Callable[[Any], tuple[Any, ...]]) -> Callable[[Any, object], bool]:
    def equal(self: Any, other: object) -> bool:
        return compared(self) == compared(other) if type(other) is type(self) else NotImplemented

    return equal


def _frozen(kind: type[Any], names: frozenset[str]) -> None:
    """Fields are neither set nor deleted; what else a subclass has is its own affair."""

    def refuse_to_set(self: Any, name: str, value: object) -> None:
        if type(self) is kind or name in names:
            raise FrozenInstanceError(f"cannot assign to field {name!r}")
        super(kind, self).__setattr__(name, value)

    def refuse_to_delete(self: Any, name: str) -> None:
        if type(self) is kind or name in names:
            raise FrozenInstanceError(f"cannot delete field {name!r}")
        super(kind, self).__delattr__(name)

    kind.__setattr__, kind.__delattr__ = refuse_to_set, refuse_to_delete  # type: ignore[assignment]


def _kept(kind: type[Any], names: Sequence[str]) -> None:
    """How copies and pickles are made of what cannot be set."""

    def state(self: Any) -> list[Any]:
        return [getattr(self, name) for name in names]

    def restore(self: Any, values: Sequence[Any]) -> None:
        for name, value in zip(names, values, strict=True):
            object.__setattr__(self, name, value)

    kind.__getstate__ = state  # type: ignore[assignment]
    kind.__setstate__ = restore


class _Signed:
    """What `inspect.signature` and `help` show of a record, made when it is asked for."""

    def __get__(self, record: object, kind: type) -> Signature:
        wanted = [each for each in dataclasses.fields(kind) if each.init]
        return Signature([_parameter(each) for each in wanted], return_annotation=None)


def _parameter(field: dataclasses.Field[Any]) -> Parameter:
    default = _default(field)
    shown = Parameter.empty if default is _UNSET else default
    return Parameter(field.name, Parameter.POSITIONAL_OR_KEYWORD, default=shown, annotation=field.type)


if TYPE_CHECKING:
    from dataclasses import dataclass
else:
    dataclass = _dataclass
