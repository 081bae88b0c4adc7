"""What a request may say: read strictly, repeated nowhere."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from minimize.errors import ConfigurationError
from minimize.server.request import (
    LARGEST_REQUEST,
    ReadRequest,
    ReidentifyRequest,
    parse_request,
    read_request,
    reidentify_request,
)

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)


def test_a_read_request_survives_serialization() -> None:
    where = {
        "a": 1,
        "b": ["x", "y"],
        "c": {">=": NOON, "<": date(2026, 11, 25)},
        "d": None,
        "e": Decimal("1.5"),
        "f": b"x",
    }
    ask = read_request("telemetry/records", ["a", "b"], where, "operations", "INC-1", True)
    assert parse_request(ask.to_json()) == ask
    assert parse_request(read_request("telemetry").to_json()) == ReadRequest(dataset="telemetry")


def test_tokens_to_turn_back_go_over_the_wire_and_come_back() -> None:
    found = reidentify_request("telemetry", "phone", ["t1", "t2"], "operations", "INC-1")
    assert parse_request(found.to_json()) == found
    assert isinstance(found, ReidentifyRequest)


@pytest.mark.parametrize(
    "dataset",
    [
        "",
        "..",
        "../x",
        "a/..",
        "a/b/c",
        "/etc/passwd",
        "a\\b",
        "a b",
        "a\0",
        "a/",
        "/a",
        "%2e%2e",
        "a" * 300,
        "~",
        ".",
        None,
        7,
    ],
)
def test_a_name_that_could_be_a_path_is_no_dataset(dataset: Any) -> None:
    with pytest.raises(ConfigurationError) as error:
        parse_request(json.dumps({"read": dataset}).encode())
    assert error.value.code == "B002"


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"[]",
        b"null",
        b"{",
        b"\xff\xfe",
        b'{"read": "a", "read": "b"}',
        b'{"read": "a", "colums": ["x"]}',
        b'{"read": "a", "columns": []}',
        b'{"read": "a", "columns": "x"}',
        b'{"read": "a", "columns": ["x", "x"]}',
        b'{"read": "a", "columns": [["x"]]}',
        b'{"read": "a", "purpose": 7}',
        b'{"read": "a", "purpose": "x\\ny"}',
        b'{"read": "a", "purpose": "\\ud800"}',
        b'{"read": "a", "where": [["x", "==", "\\udfff"]]}',
        b'{"read": "a", "columns": ["\\ud800x"]}',
        b'{"reidentify": "a", "column": "x", "tokens": ["\\ud800"]}',
        b'{"read": "a", "mixed_keys": 1}',
        b'{"read": "a", "where": "1 = 1"}',
        b'{"read": "a", "where": {"x": {"like": "y"}}}',
        b'{"read": "a", "where": {"x": {"==": {"==": 1}}}}',
        b'{"read": "a", "where": [["x", "=="]]}',
        b'{"read": "a", "where": [[["x"], "==", 1]]}',
        b'{"read": "a", "where": [["x", ["=="], 1]]}',
        b'{"read": "a", "where": {"x": {"in": 1}}}',
        b'{"read": "a", "where": {"x": {"<": [1]}}}',
        b'{"read": "a", "where": {"x": [[1]]}}',
        b'{"read": "a", "where": {"x": {"<": null}}}',
        b'{"read": "a", "where": {"x": NaN}}',
        b'{"read": "a", "where": {"x": 1e999}}',
        b'{"reidentify": "a"}',
        b'{"reidentify": "a", "column": "x", "tokens": []}',
        b'{"reidentify": "a", "column": "x", "tokens": [1]}',
        b'{"reidentify": "a", "read": "a", "column": "x", "tokens": ["t"]}',
        b'{"nothing": 1}',
        b'{"read":' + b"[" * 100_000,
        b'{"read": "' + b"a" * LARGEST_REQUEST + b'"}',
    ],
)
def test_an_invalid_request_is_refused_and_not_repeated(content: bytes) -> None:
    with pytest.raises(ConfigurationError) as error:
        parse_request(content)
    assert error.value.code == "B002"
    assert error.value.__context__ is None


def test_a_filter_is_not_without_bounds() -> None:
    for where in ({f"c{number}": 1 for number in range(65)}, {"a": [*range(1001)]}):
        with pytest.raises(ConfigurationError):
            read_request("telemetry", where=where)
    with pytest.raises(ConfigurationError):
        reidentify_request("telemetry", "phone", [f"t{number}" for number in range(257)])


@given(
    st.binary(max_size=200)
    | st.recursive(st.none() | st.integers() | st.text(), st.lists).map(lambda x: json.dumps(x).encode())
)
def test_any_content_is_a_valid_request_or_refused(content: bytes) -> None:
    try:
        found: object = parse_request(content)
    except ConfigurationError as error:
        found = error.code
    assert isinstance(found, ReadRequest | ReidentifyRequest) or found == "B002"


def test_the_audit_text_of_a_filter_holds_no_value() -> None:
    ask = read_request("telemetry", where={"a": "secret", "b": {">": "hidden"}})
    assert [each.audit_text for each in ask.where] == ["a ==", "b >"]
    assert "secret" not in repr(ask)
    assert "hidden" not in repr(ask)
