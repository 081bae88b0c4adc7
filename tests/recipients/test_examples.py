from __future__ import annotations

from typing import Any

import pytest

from minimize.recipients import load_recipients
from minimize.recipients.pages import example_array, example_text, treated_example
from tests.pipelines.shipped import RECIPIENTS
from tests.world import sync, vendor


def shown(**field: Any) -> tuple[str, str]:
    found = vendor(contract=None, functions=sync(fields={"a": field})).functions["sync"].fields["a"]
    return example_text(found), treated_example(found)


@pytest.mark.parametrize(
    ("field", "told"),
    [
        ({"do": "keep", "example": "x"}, ("x", "x")),
        ({"type": "integer", "do": {"bin": {"width": 10}}, "example": 87}, ("87", "80")),
        ({"type": "boolean", "do": "keep", "example": False}, ("false", "false")),
        (
            {"type": "date", "do": {"truncate_time": {"to": "month"}}, "example": "2026-10-05"},
            ("2026-10-05", "2026-10-01"),
        ),
        (
            {"type": "timestamp", "do": {"truncate_time": {"to": "day"}}, "example": "2026-11-24T10:12:41Z"},
            ("2026-11-24T10:12:41Z", "2026-11-24T00:00:00Z"),
        ),
        ({"do": [{"truncate_version": 2}, {"mask": {"keep_first": 2}}], "example": "14.4.1"}, ("14.4.1", "14****")),
    ],
)
def test_an_example_is_treated_as_a_value_is(field: dict[str, Any], told: tuple[str, str]) -> None:
    assert shown(**field) == told


@pytest.mark.parametrize(
    "field",
    [
        {"do": "drop"},
        {"role": "secret", "do": "pass_through"},
        {"do": {"pseudonymize": {"key": "k"}}},
        {"do": {"tokenize": {"key": "k"}}},
        {"type": "integer", "do": "keep"},
    ],
)
def test_what_does_not_leave_depends_on_a_key_or_is_no_example_is_not_shown(field: dict[str, Any]) -> None:
    assert shown(**field, example="x")[1] == ""


def test_what_depends_on_the_time_of_the_run_is_not_shown() -> None:
    assert shown(type="date", do={"age": {"unit": "years"}}, example="2020-01-01") == ("2020-01-01", "")


def test_without_an_example_there_is_nothing() -> None:
    assert shown(do="keep") == ("", "")


def test_every_shipped_example_is_of_its_type() -> None:
    known = load_recipients(RECIPIENTS)
    fields = [
        field
        for name in known.names()
        for function in known.load(name).functions.values()
        for field in function.fields.values()
    ]
    assert [field.key for field in fields if field.example is not None and example_array(field) is None] == []
    assert {field.key for field in fields if field.example is None} == {
        field.key for field in fields if field.role == "secret"
    }
