"""Records are the standard library's frozen dataclasses in all that can be seen of them."""

from __future__ import annotations

import copy
import dataclasses
import inspect
import pickle
from collections.abc import Callable
from dataclasses import FrozenInstanceError, field
from functools import cached_property
from typing import Any, ClassVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from minimize.records import dataclass

Decorator = Callable[..., Any]


def kinds(decorator: Decorator) -> dict[str, Any]:
    """The same classes, by one decorator."""

    @decorator(frozen=True, slots=True)
    class Plain:
        """Two values."""

        a: int
        b: str

    @decorator(frozen=True, slots=True)
    class Full:
        """Something of everything."""

        a: int
        b: str = field(repr=False)
        c: float = 1.5
        d: list[int] = field(default_factory=list, compare=False)
        e: int = field(init=False)
        f: tuple[int, ...] = field(init=False, default=(1,), repr=False)
        g: ClassVar[int] = 5

        def __post_init__(self) -> None:
            object.__setattr__(self, "e", self.a + 1)

    @decorator(frozen=True)
    class Open:
        """Has a dictionary."""

        a: int = 1
        b: str = "b"

        @cached_property
        def c(self) -> int:
            return self.a + 1

    @decorator(frozen=True, slots=True)
    class Below(Plain):
        """Has one more."""

        c: int = 0

    @decorator(frozen=True, slots=True)
    class Own:
        """Shows and compares itself."""

        a: int

        def __repr__(self) -> str:
            return "own"

        def __eq__(self, other: object) -> bool:
            return True

        def __hash__(self) -> int:
            return 7

    @decorator(frozen=True, slots=True)
    class Nothing:
        """No fields."""

    return {kind.__name__: kind for kind in (Plain, Full, Open, Below, Own, Nothing)}


OURS, THEIRS = kinds(dataclass), kinds(dataclasses.dataclass)
CALLS: list[tuple[str, tuple[Any, ...], dict[str, Any]]] = [
    ("Plain", (1, "x"), {}),
    ("Plain", (1,), {"b": "x"}),
    ("Plain", (), {"b": "x", "a": 1}),
    ("Full", (1, "x"), {}),
    ("Full", (1, "x", 2.5), {"d": [3]}),
    ("Full", (1, "x", 2.5, [3]), {}),
    ("Open", (), {}),
    ("Open", (2,), {}),
    ("Below", (1, "x"), {}),
    ("Below", (1, "x", 3), {}),
    ("Own", (1,), {}),
    ("Nothing", (), {}),
]
WRONG: list[tuple[str, tuple[Any, ...], dict[str, Any]]] = [
    ("Plain", (1,), {}),
    ("Plain", (1, "canary", 3), {}),
    ("Plain", (1, "canary"), {"c": 3}),
    ("Plain", (1, "canary"), {"a": 3}),
    ("Full", (1, "canary"), {"e": 3}),
    ("Nothing", ("canary",), {}),
]


def both(call: tuple[str, tuple[Any, ...], dict[str, Any]]) -> tuple[Any, Any]:
    name, values, named = call
    return OURS[name](*values, **named), THEIRS[name](*values, **named)


@pytest.mark.parametrize("call", CALLS)
def test_a_record_looks_and_is_taken_apart_like_a_dataclass(call: tuple[str, tuple[Any, ...], dict[str, Any]]) -> None:
    ours, theirs = both(call)
    assert repr(ours) == repr(theirs)
    assert dataclasses.asdict(ours) == dataclasses.asdict(theirs)
    assert dataclasses.astuple(ours) == dataclasses.astuple(theirs)
    assert type(ours).__match_args__ == type(theirs).__match_args__


@pytest.mark.parametrize("call", CALLS)
def test_records_of_equal_values_are_equal(call: tuple[str, tuple[Any, ...], dict[str, Any]]) -> None:
    (ours, theirs), (other, _) = both(call), both(call)
    assert (ours == other, ours == theirs, ours != other) == (True, call[0] == "Own", False)


@pytest.mark.parametrize("call", [call for call in CALLS if call[0] != "Full"])
def test_a_record_has_the_hash_of_a_dataclass(call: tuple[str, tuple[Any, ...], dict[str, Any]]) -> None:
    ours, theirs = both(call)
    assert hash(ours) == hash(theirs)


@pytest.mark.parametrize("name", ["Plain", "Full", "Open", "Below"])
def test_what_is_no_field_to_compare_is_in_neither_equality_nor_hash(name: str) -> None:
    ours = OURS[name](1, "x")
    assert ours == OURS[name](1, "x")
    assert ours != OURS[name](2, "x")
    assert hash(OURS["Full"](1, "x", d=[1])) == hash(OURS["Full"](1, "x", d=[2]))


@pytest.mark.parametrize("call", WRONG)
def test_wrong_values_are_a_type_error_that_holds_none_of_them(
    call: tuple[str, tuple[Any, ...], dict[str, Any]],
) -> None:
    name, values, named = call
    with pytest.raises(TypeError):
        THEIRS[name](*values, **named)
    with pytest.raises(TypeError) as error:
        OURS[name](*values, **named)
    assert "canary" not in str(error.value)


@pytest.mark.parametrize("name", list(OURS))
def test_its_signature_is_that_of_a_dataclass(name: str) -> None:
    ours, theirs = (inspect.signature(kinds[name]).parameters for kinds in (OURS, THEIRS))
    assert {key: (each.kind, each.annotation) for key, each in ours.items()} == {
        key: (each.kind, each.annotation) for key, each in theirs.items()
    }


@pytest.mark.parametrize(("name", "attribute"), [("Plain", "a"), ("Full", "e"), ("Open", "a"), ("Below", "c")])
def test_a_record_is_frozen(name: str, attribute: str) -> None:
    ours = OURS[name](1, "x")
    with pytest.raises(FrozenInstanceError):
        setattr(ours, attribute, 2)
    with pytest.raises(FrozenInstanceError):
        delattr(ours, attribute)


@pytest.mark.parametrize("name", ["Plain", "Full", "Below", "Own", "Nothing"])
def test_a_record_with_slots_has_no_dictionary(name: str) -> None:
    assert not hasattr(OURS[name].__new__(OURS[name]), "__dict__")


def test_a_record_without_slots_keeps_what_it_has_worked_out() -> None:
    ours = OURS["Open"](4)
    assert (ours.c, ours.__dict__["c"]) == (5, 5)


@dataclass(frozen=True, slots=True)
class Known:
    """Can be imported, as a pickle wants."""

    a: int
    b: tuple[int, ...] = field(default=(), repr=False)


@given(st.integers(), st.lists(st.integers()).map(tuple))
def test_copies_and_pickles_are_equal(a: int, b: tuple[int, ...]) -> None:
    known = Known(a, b)
    assert copy.copy(known) == copy.deepcopy(known) == pickle.loads(pickle.dumps(known)) == known
    assert dataclasses.replace(known, a=a + 1) == Known(a + 1, b)


def test_a_record_is_matched_by_its_fields() -> None:
    match Known(1, (2,)):
        case Known(a, b):
            assert (a, b) == (1, (2,))


def test_other_dataclasses_are_the_standard_librarys() -> None:
    @dataclass(frozen=True, slots=True, order=True)
    class Ordered:
        a: int

    @dataclass
    class Open:
        a: int

    opened = Open(1)
    opened.a = 3
    assert (Ordered(1) < Ordered(2), opened) == (True, Open(3))
