from __future__ import annotations

import copy
import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from minimize.techniques.generalize import Generalize, HierarchyFile

Run = Callable[..., list[Any]]
AGES = "".join(
    f"{age};{age // 10 * 10}-{age // 10 * 10 + 9};{'child' if age < 20 else 'adult'};*\n" for age in range(60)
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("hierarchies")
    (made / "ages.csv").write_text(AGES)
    return made


def read(folder: Path, text: str, level: int = 1) -> Generalize:
    (folder / "made.csv").write_text(text)
    return Generalize.model_validate({"hierarchy": "made.csv", "level": level}, context={"folder": folder})


@pytest.fixture(scope="module")
def ages(folder: Path) -> Generalize:
    return Generalize.model_validate({"hierarchy": "ages.csv", "level": 1}, context={"folder": folder})


def test_values_take_the_label_of_the_level(run: Run, folder: Path) -> None:
    levels = [
        Generalize.model_validate({"hierarchy": "ages.csv", "level": level}, context={"folder": folder})
        for level in (1, 2, 3)
    ]
    assert [run(each, [7, 42, None], pa.int8()) for each in levels] == [
        ["0-9", "40-49", None],
        ["child", "adult", None],
        ["*", "*", None],
    ]


def test_an_unseen_value_becomes_the_root(run: Run, untreated: Run, ages: Generalize) -> None:
    assert run(ages, ["7", "107", "", "7 "]) == ["0-9", "*", "*", "*"]
    assert untreated(ages, ["107"]) == [False]


def test_commas_quotes_and_a_byte_order_mark_are_read(run: Run, folder: Path) -> None:
    technique = read(folder, '\ufeff"Nexus, 5X",phone,*\n\niPad,tablet,*\n')
    assert run(technique, ["Nexus, 5X", "iPad"]) == ["phone", "tablet"]


def test_an_absolute_path_needs_no_folder(folder: Path) -> None:
    technique = Generalize(hierarchy=str(folder / "ages.csv"), level=2)
    assert technique.reference_file.path == folder / "ages.csv"


def test_the_labels_of_each_level_are_known(ages: Generalize) -> None:
    assert ages.labels(2) == {"child", "adult", "*"}
    assert ages.labels() == {f"{ten}-{ten + 9}" for ten in range(0, 60, 10)} | {"*"}


def test_the_bytes_behind_it_are_known(ages: Generalize) -> None:
    assert ages.content == AGES.encode()
    assert ages.reference_file.digest == "sha256:" + hashlib.sha256(AGES.encode()).hexdigest()


def test_a_copy_knows_as_much(run: Run, ages: Generalize) -> None:
    assert run(copy.deepcopy(ages), ["7"]) == ["0-9"]


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("", "each line must contain a value and at least one coarser label"),
        ("lonely\n", "each line must contain a value and at least one coarser label"),
        ("a;x;*\nb;*\n", "line 2 has 2 columns, but line 1 has 3"),
        ("a;;*\n", "line 1 has an empty label"),
        ("a;x;*\nb;x;+\n", "line 2 has another root"),
        ("a;x;*\na;x;*\n", "line 2 repeats the value of line 1"),
        ("a;x;p;*\nb;x;q;*\n", "line 2: levels do not nest"),
        ("20;15-19;*\n", "line 1: an interval does not contain"),
        ("20;[10, 20);*\n", "line 1: an interval does not contain"),
        ("20;20-24;0-22;*\n", "line 1: an interval does not contain"),
        ("20;< 20;*\n", "line 1: an interval does not contain"),
        ("20;21+;*\n", "line 1: an interval does not contain"),
        ("20;>= 10;10-30;*\n", "line 1: an interval does not contain"),
        ("13053;1485*;*\n", "line 1: an interval does not contain"),
        ("13053;1305*;14***;*\n", "line 1: an interval does not contain"),
    ],
)
def test_a_hierarchy_that_does_not_hold_together_is_refused(folder: Path, text: str, fault: str) -> None:
    with pytest.raises(ValidationError, match=fault.replace("(", r"\(")):
        read(folder, text)


@pytest.mark.parametrize(
    "text", ["20;<= 20;< 30;*\n", "20;20+;*\n", "20;> 19;≥ 10;*\n", "13053;1305*;130**;*\n", "-5;< 0;*\n"]
)
def test_a_hierarchy_may_have_open_intervals_and_digits_with_stars(folder: Path, text: str) -> None:
    assert read(folder, text).level == 1


def test_a_message_names_lines_and_not_values(folder: Path) -> None:
    with pytest.raises(ValidationError) as caught:
        read(folder, "canary;x;p;*\nother;x;q;*\n")
    assert "canary" not in str(caught.value)


@pytest.mark.parametrize("level", [0, 4])
def test_a_level_that_the_file_does_not_have_is_refused(folder: Path, level: int) -> None:
    with pytest.raises(ValidationError):
        Generalize.model_validate({"hierarchy": "ages.csv", "level": level}, context={"folder": folder})


def test_a_missing_file_and_one_that_is_not_utf_8_are_refused(folder: Path) -> None:
    (folder / "latin.csv").write_bytes(b"\xe9;x;*\n")
    for name, fault in (("none.csv", "cannot be read"), ("latin.csv", "not UTF-8")):
        with pytest.raises(ValidationError, match=fault):
            Generalize.model_validate({"hierarchy": name, "level": 1}, context={"folder": folder})


@given(st.integers(-100, 200))
def test_a_label_contains_its_value(run: Run, ages: Generalize, number: int) -> None:
    [label] = run(ages, [number])
    if label == "*":
        assert not 0 <= number < 60
    else:
        low, high = label.split("-")
        assert int(low) <= number <= int(high)


@pytest.mark.parametrize("text", ['"a;x",b,*\n"c",b,*\n', '"a;x";b;*\n"c";b;*\n', '\n\r\n"a;x",b,*\r\n'])
def test_a_quoted_cell_may_hold_either_delimiter(run: Run, folder: Path, text: str) -> None:
    assert run(read(folder, text), ["a;x", "a"]) == ["b", "*"]


def test_the_printed_hierarchy_hides_its_content() -> None:
    assert repr(HierarchyFile((("Paris", "France"), ("Lyon", "France")), b"Paris,France")) == "HierarchyFile()"
