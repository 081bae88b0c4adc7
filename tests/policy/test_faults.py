from __future__ import annotations

import pytest

from minimize.forms.yaml_nodes import FAULTS, FaultList
from minimize.text import did_you_mean


def test_the_nearest_word_is_suggested_in_any_case() -> None:
    assert did_you_mean("Retenton", ["retention", "records"]) == "Did you mean `retention`?"


FIELDS = [
    "/apps/*/name",
    "device_id",
    "enrolled_date_time",
    "event_time",
    "imei",
    "os_version",
    *"abcdefghijklmnopqrstuvwxyz",
]


@pytest.mark.parametrize(
    ("word", "told"),
    [
        ("time", "Did you mean `event_time` or `enrolled_date_time`?"),
        ("name", "Did you mean `/apps/*/name`?"),
        ("/app/name", "Did you mean `/apps/*/name`?"),
        ("device", "Did you mean `device_id`?"),
        ("OS_Versoin", "Did you mean `os_version`?"),
        ("owner", ""),
    ],
)
def test_names_that_have_the_word_as_a_part_are_suggested(word: str, told: str) -> None:
    assert did_you_mean(word, FIELDS) == told


def test_a_short_list_is_shown_where_nothing_is_near() -> None:
    assert did_you_mean("zzz", ["b", "a"]) == "Use one of: a, b."


def test_a_long_list_is_not_shown() -> None:
    assert did_you_mean("zzz", [f"field{i}" for i in range(100)]) == ""


def test_a_fault_is_listed_under_its_file_and_line() -> None:
    faults = FaultList("p.yaml")
    faults.add("P004", "no such key", line=3, key="f", hint="h")
    assert str(faults.found[0]) == "p.yaml:3: error P004 [f] no such key (hint: h)"


def test_codes_are_a_table_in_order() -> None:
    assert list(FAULTS) == [f"P{number:03}" for number in range(1, len(FAULTS) + 1)]
