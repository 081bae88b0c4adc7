"""Results as JSON: fields in order, and what `json_member` and `json_names` change."""

from __future__ import annotations

import importlib
import pkgutil
from dataclasses import dataclass, field, fields
from datetime import UTC, date, datetime, timedelta
from pathlib import PurePosixPath
from types import MappingProxyType
from typing import Any

import pytest

import minimize
from minimize.errors import Finding
from minimize.results import JsonResult, json_member, json_object, json_value


@dataclass(frozen=True, slots=True)
class Place:
    row: int
    column: str = "a"


@dataclass(frozen=True, slots=True)
class Sighting(JsonResult):
    place: Place = field(metadata=json_member(merge=True))
    from_: date = date(2026, 11, 25)
    seen: tuple[str, ...] = field(default=(), metadata=json_member("count", convert=len))
    note: str | None = field(default=None, metadata=json_member(omit_none=True))
    doubts: int = field(default=0, metadata=json_member(omit_empty=True))


@dataclass(frozen=True, slots=True)
class Total(JsonResult):
    parts: tuple[int, ...]
    unit: str = field(default="row", metadata=json_member("of"))
    limit: timedelta | None = field(default=None, metadata=json_member(convert=str))
    json_names = "sum unit limit"

    @property
    def sum(self) -> int:
        return sum(self.parts)


def test_fields_become_members_in_their_order() -> None:
    found = Sighting(Place(3), seen=("x", "y"), note="n", doubts=2).to_json()
    assert list(found.items()) == [
        ("row", 3),
        ("column", "a"),
        ("from", "2026-11-25"),
        ("count", 2),
        ("note", "n"),
        ("doubts", 2),
    ]


def test_members_that_may_be_absent_are() -> None:
    assert Sighting(Place(3)).to_json() == {"row": 3, "column": "a", "from": "2026-11-25", "count": 0}


def test_json_names_lists_fields_and_properties_and_none_is_not_converted() -> None:
    assert list(Total((1, 2)).to_json().items()) == [("sum", 3), ("of", "row"), ("limit", None)]


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (datetime(2026, 11, 25, 1, 30, tzinfo=UTC), "2026-11-25T01:30:00Z"),
        (timedelta(minutes=2), 120),
        (PurePosixPath("a/b"), "a/b"),
        (frozenset({"b", "a"}), ["a", "b"]),
        (MappingProxyType({date(2026, 11, 25): (1, None)}), {"2026-11-25": [1, None]}),
        ([Place(1)], [{"row": 1, "column": "a"}]),
        (True, True),
    ],
)
def test_values_have_one_form(value: object, shown: object) -> None:
    assert json_value(value) == shown


def test_a_value_with_a_form_of_its_own_keeps_it() -> None:
    finding = Finding("P001", "unknown key")
    assert json_object({"found": (finding,)}) == {"found": [finding.to_json()]}


def test_other_values_are_refused_by_their_type() -> None:
    with pytest.raises(TypeError, match="object has no JSON form"):
        json_value({"secret": object()})


def test_every_name_of_a_result_is_a_field_or_property() -> None:
    for each in _results():
        known = {one.name for one in fields(each)} | set(dir(each))
        assert set(each.json_names.split()) <= known, each


def _results() -> list[type[Any]]:
    for module in pkgutil.walk_packages(minimize.__path__, "minimize."):
        if module.name != "minimize.__main__":
            importlib.import_module(module.name)
    return list(JsonResult.__subclasses__())


@dataclass(frozen=True, slots=True)
class Renamed(JsonResult):
    """A result one of whose keys has got a better name."""

    partitions: tuple[str, ...] = field(default=(), metadata=json_member("undated_partitions", earlier="untold"))
    total: int = field(default=0, metadata=json_member(earlier="sum", omit_empty=True))


def test_a_key_of_earlier_versions_stays_next_to_the_new_one() -> None:
    assert Renamed(("a",)).to_json() == {"undated_partitions": ["a"], "untold": ["a"]}
    assert Renamed(total=3).to_json() == {"undated_partitions": [], "untold": [], "total": 3, "sum": 3}
