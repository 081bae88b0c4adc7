""""""

from __future__ import annotations

import json

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minimize.arrow.pointers import Pointer
from minimize.sources.base import DeclaredField, SourceRequest
from minimize.sources.ndjson.strict_reader import (
    UndeclaredFlag,
    ValueMismatch,
    build_value,
    first_fault,
    parse_line,
    undeclared_in_record,
    value_reader,
)
from minimize.sources.projection import field_tree, prune_schema
from tests.hypothesis_profiles import examples

WORDS = {
    "s": "string",
    "n": "integer",
    "x": "double",
    "d": "decimal(4,1)",
    "t": "timestamp",
    "l": "list",
    "o": "struct",
    "m": "map",
    "/apps/*/s": "string",
    "/apps/*/n": "integer",
    "/h/n": "integer",
    "/h/k/s": "date",
    "/tags/*": "string",
    "k": "map",
    "/k/*/s": "binary",
    "/c/s": "string",
    "/c/*": "string",
    "e": "string",
    "/e/s": "string",
    "f": "struct",
    "/f/*": "string",
}
FIELDS = tuple(
    DeclaredField(key, Pointer.parse(key), word, needed=key not in ("x", "/h/n")) for key, word in WORDS.items()
)
REQUEST = SourceRequest(FIELDS)
ROOT = field_tree(REQUEST)
TYPE = pa.struct(list(prune_schema(pa.schema([]), ROOT)))
READ = value_reader(ROOT, TYPE)

keys = st.sampled_from(["s", "n", "x", "d", "t", "l", "o", "m", "apps", "h", "tags", "k", "new", "c", "e", "f"])
scalars = st.none() | st.booleans() | st.integers(-3, 10**6) | st.sampled_from([1.5, 2.0, "a", "YQ==", "2026-11-24"])
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=2) | st.dictionaries(keys, inner, max_size=3), max_leaves=6
)
fitting = st.fixed_dictionaries(
    {},
    optional={
        "s": st.just("a"),
        "n": st.integers(-3, 3),
        "d": st.sampled_from([1, 2.5]),
        "t": st.just("2026-11-24T10:00:00Z"),
        "apps": st.lists(
            st.dictionaries(st.sampled_from(["s", "new"]), st.just("x"), max_size=2) | st.none(), max_size=2
        ),
        "h": st.fixed_dictionaries({}, optional={"n": st.just(1), "k": values}),
        "tags": st.lists(st.just("x") | st.none(), max_size=2),
        "k": st.dictionaries(keys, st.fixed_dictionaries({}, optional={"s": st.just("YQ=="), "u": values}), max_size=2),
        "l": st.lists(values, max_size=2),
        "m": st.dictionaries(keys, values, max_size=2),
        "new": values,
    },
)


@settings(max_examples=examples(400))
@given(fitting | fitting | st.dictionaries(keys, values, max_size=4))
def test_the_walk_gives_what_the_strict_reader_gives_or_nothing(value: dict[str, object]) -> None:
    record = parse_line(json.dumps(value).encode())
    seen: UndeclaredFlag = []
    if first_fault(record, REQUEST, ROOT) is None:
        assert READ(record, seen) == build_value(record, ROOT, TYPE)
        assert seen or not undeclared_in_record(record, ROOT)
    else:
        with pytest.raises(ValueMismatch):
            READ(record, seen)


def test_what_stumbles_says_nothing_of_the_value() -> None:
    with pytest.raises(ValueMismatch) as caught:
        READ(parse_line(b'{"n":"c4n4ry"}'), [])
    assert "c4n4ry" not in repr(caught.value)
