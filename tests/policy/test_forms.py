"""Forms, with a small file of a library: its name, its shelves by name, and its loans."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from datetime import date, timedelta
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from pydantic import Field, ValidationError
from pydantic.json_schema import SkipJsonSchema

from minimize.forms import (
    Form,
    NotEmpty,
    NullIsEmpty,
    OneOrMore,
    Reading,
    examine_file,
    examine_mapping,
    form_schema,
    read_form,
)
from minimize.forms.values import Day, Duration, Name, Names, PositiveInteger
from minimize.forms.yaml_nodes import FaultList, parse_yaml


class Shelf(Form):
    """A shelf."""

    noun = "the shelf `{name}`"
    is_named = True

    topic: Literal["history", "science"]
    places: PositiveInteger = 10
    name: SkipJsonSchema[str] = ""


class Loan(Form):
    """A loan."""

    noun = "a loan"

    from_: Day = Field(validation_alias="from", description="The first day.")
    until: Day | None = None
    line: SkipJsonSchema[int | None] = None

    def check(self, reading: Reading) -> None:
        """Records a loan that ends before it begins."""
        if self.until is not None and self.until < self.from_:
            reading.fault("P018", "the loan ends before it begins", "until")


class Room(Form):
    """A room."""

    noun = "a room"

    seats: PositiveInteger = 1


class Library(Form):
    """A library."""

    noun = "a library"
    stand_ins = MappingProxyType({"library": "", "shelves": {}})

    library: Name
    shelves: Mapping[Name, Shelf]
    loans: tuple[Loan, ...] = ()
    tags: Names = ()
    longest: Duration = timedelta(weeks=4)
    path: SkipJsonSchema[Path | None] = None


def read(text: str) -> tuple[Library | None, list[tuple[str, int | None, str | None]]]:
    faults = FaultList()
    root = parse_yaml(text, faults)
    assert root is not None
    found = read_form(Library, root, Reading(faults))
    return found, [(each.code, each.line, each.field) for each in faults.found]


def message(text: str) -> str:
    faults = FaultList()
    root = parse_yaml(text, faults)
    assert root is not None
    read_form(Library, root, Reading(faults))
    (only,) = faults.found
    return f"{only.message} | {only.hint}"


SOUND = """\
library: main
shelves:
  a: {topic: history}
loans:
  - {from: 2026-01-01, until: 2026-02-01}
  - from: 2026-03-01
tags: [old, new]
longest: 2w
"""


def test_a_sound_file_is_read_with_the_lines_and_keys_of_its_mappings() -> None:
    library, faults = read(SOUND)
    assert library is not None
    assert faults == []
    assert library.shelves["a"] == Shelf(topic="history", name="a")
    assert [(each.from_, each.line) for each in library.loans] == [(date(2026, 1, 1), 5), (date(2026, 3, 1), 6)]
    assert (library.tags, library.longest) == (("old", "new"), timedelta(weeks=2))


def test_every_fault_is_recorded_with_its_line_and_key() -> None:
    text = """\
library: 7
shelves:
  a:
    topic: histry
    places: 0
  b: {placs: 3}
  not valid: {topic: history}
loans:
  - {from: soon}
  - {from: 2026-03-01, until: }
  - 12
  - {from: 2026-03-01, until: 2026-02-01}
more: 1
"""
    found = [
        ("P004", 13, None),
        ("P004", 6, "b"),
        ("P005", 6, "b"),
        ("P006", 10, None),
        ("P006", 11, None),
        ("P006", 5, "a"),
        ("P006", 9, None),
        ("P007", 4, "a"),
        ("P015", 1, None),
        ("P015", 7, None),
        ("P018", 12, None),
    ]
    assert sorted(read(text)[1], key=str) == sorted(found, key=str)


def test_the_rest_is_read_without_its_faulty_parts() -> None:
    library, _ = read("""\
library: 1
shelves:
  a: {topic: history, places: many}
  b: {topic: nothing}
  c: {topic: science}
loans: [{from: 2026-01-01, until: never}, {until: 2026-01-01}]
tags: [old, 3]
""")
    assert library is not None
    assert library.library == ""
    assert [*library.shelves] == ["a", "c"]
    assert library.shelves["a"].places == 10
    assert [each.until for each in library.loans] == [None]
    assert library.tags == ()


@pytest.mark.parametrize("text", ["[]", "3", "text"])
def test_a_file_that_is_not_a_mapping_is_one_fault(text: str) -> None:
    assert read(text) == (None, [("P006", 1, None)])


def test_a_form_without_defaults_that_lacks_a_key_is_not_read() -> None:
    found, faults = examine_mapping(Shelf, {})
    assert (found, [each.code for each in faults]) == (None, ["P005"])


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("tag: [a]", "unknown key `tag` in a library | Did you mean `tags`?"),
        ("tags:", "`tags` has no value | Set a value, or remove the key."),
        ("tags: old", "`tags` must be a list of names | "),
        ("loans: {}", "`loans` of a library must be a list | "),
        ("loans: [1]", "`loans` of a library must be a mapping | "),
        ("longest: 30", "`longest` must be a duration | Use a whole number and a unit: 45s, 15m, 24h, 30d, 2w."),
        ("path: x", "unknown key `path` in a library | Did you mean `shelves`?"),
    ],
)
def test_a_message_names_the_fault_and_the_remedy(line: str, expected: str) -> None:
    found = message(f"library: main\nshelves: {{}}\n{line}\n")
    assert found.partition(" | ")[0] == expected.partition(" | ")[0]
    assert line.startswith("path") or found == expected


def test_the_name_of_an_attribute_is_not_a_key() -> None:
    _, faults = read("library: main\nshelves: {}\nloans: [{from_: 2026-01-01}]\n")
    assert faults == [("P004", 3, None)]  # `from` is not reported as missing: `from_` is probably meant to be it


def test_a_missing_key_and_a_similar_word_have_hints() -> None:
    assert message("shelves: {}\n") == "missing key `library` in a library | Add `library`."
    assert message("library: a\nshelves: {a: {topic: histry}}\n") == (
        "unknown topic `histry` | Did you mean `history`?"
    )


def test_a_form_is_constructed_in_python_by_the_names_of_its_attributes() -> None:
    assert Loan(from_=date(2026, 1, 1), until=None).line is None
    with pytest.raises(ValidationError):
        Loan.model_validate({"from_": date(2026, 1, 1), "more": 1})


def test_a_file_is_read_with_its_path(tmp_path: Path) -> None:
    file = tmp_path / "library.yaml"
    assert [each.code for each in examine_file(Library, file)[1]] == ["P001"]
    file.write_text(SOUND)
    library, faults = examine_file(Library, file)
    assert (faults, library and library.path) == ([], file)
    file.write_text("a: b: c")
    assert [(each.code, each.file) for each in examine_file(Library, file)[1]] == [("P001", str(file))]


class Opening(Form):
    """Days on which a library is open."""

    noun = "an opening"

    days: Annotated[tuple[Day, ...], NotEmpty(), OneOrMore()]
    rooms: Mapping[str, Annotated[Room, NullIsEmpty()]] = Field({})
    guests: PositiveInteger

    @classmethod
    def implied_values(cls, written: Collection[str]) -> Mapping[str, Any]:
        """A room has ten guests."""
        return {"guests": 10} if "rooms" in written else {}


@pytest.mark.parametrize(
    ("document", "codes"),
    [
        ({"days": "2026-01-01", "guests": 2}, []),
        ({"days": ["2026-01-01"], "rooms": {"a": None}}, []),
        ({"days": ["2026-01-01"], "rooms": {"a": {"seats": 3}}}, []),
        ({"days": "2026-01-01"}, ["P005"]),
        ({"days": [], "guests": 2}, ["P006"]),
        ({"days": "soon", "guests": 2}, ["P006"]),
        ({"days": "2026-01-01", "rooms": {"a": 3}, "guests": 2}, ["P006"]),
    ],
)
def test_lists_mappings_and_implied_values_have_a_short_form(document: dict[str, Any], codes: list[str]) -> None:
    found, faults = examine_mapping(Opening, document)
    assert [fault.code for fault in faults] == codes
    if found is not None and not codes:
        assert found.days == (date(2026, 1, 1),)
        assert found.guests == (10 if "rooms" in document else 2)


def test_a_list_that_python_sets_may_be_empty() -> None:
    assert Opening(days=(), guests=1).days == ()


def test_a_mapping_below_a_named_part_has_its_name() -> None:
    _, faults = read("library: main\nshelves:\n  a: 3\n")
    assert faults == [("P006", 3, "a")]


SCHEMA = form_schema(Library, "library")
VALIDATOR = Draft202012Validator(SCHEMA)


def test_the_schema_has_the_keys_of_the_file() -> None:
    Draft202012Validator.check_schema(SCHEMA)
    assert [*SCHEMA["properties"]] == ["library", "shelves", "loans", "tags", "longest"]
    assert SCHEMA["required"] == ["library", "shelves"]
    loan = SCHEMA["$defs"]["Loan"]
    assert loan["properties"]["from"]["description"] == "The first day."
    assert [*loan["properties"]] == ["from", "until"]


DAYS = st.sampled_from(["2026-01-01", "2027-05-05", "soon", 3, None])
LOANS = st.fixed_dictionaries({}, optional={"from": DAYS, "until": st.just("2028-01-01"), "line": st.just(3)})
SHELVES = st.fixed_dictionaries(
    {},
    optional={"topic": st.sampled_from(["history", "hist", None]), "places": st.sampled_from([1, 0, 2**53, True, "1"])},
)
LIBRARIES = st.fixed_dictionaries(
    {
        "library": st.sampled_from(["main", "", "no name", "x" * 65, 3]),
        "shelves": st.dictionaries(
            st.sampled_from(["a", "a b", "1"]), SHELVES | st.just({"topic": "science"}), max_size=2
        ),
    },
    optional={
        "loans": st.lists(LOANS, max_size=2) | st.just({}),
        "tags": st.lists(st.sampled_from(["a", 1, None]), max_size=2) | st.none(),
        "longest": st.sampled_from(["1d", "0d", "1 d", 1]),
        "path": st.just("x"),
    },
)


@given(LIBRARIES)
def test_the_schema_accepts_what_the_loader_accepts(document: dict[str, Any]) -> None:
    _, faults = examine_mapping(Library, document)
    assert VALIDATOR.is_valid(json.loads(json.dumps(document))) == (not faults)
