"""Payloads: subjects are tokens per tenant, undeclared values are refused, and the digest covers values alone."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minimize.arrow.dictionaries import SeenDictionary, first_occurrences
from minimize.arrow.interchange import decode_batch
from minimize.errors import NotPermitted
from minimize.governance.sharing import export_file
from minimize.governance.sharing.consent_filter import TenantCodes
from minimize.governance.sharing.export_file import EXPORT_FORMATS
from minimize.governance.sharing.payload import (
    PayloadDigest,
    PayloadStats,
    SubjectTokens,
    digest_table,
    disclosure_token,
)
from minimize.ledger.kinds import TenantShare
from tests.governance.sharing.sender import EVENT, RECORDS, Sender
from tests.project import TIME


def listed(sender: Sender, owners: SubjectTokens, tenant: str) -> list[str]:
    return TenantShare("", tenant, 0, "", 1, owners.tokens_by_tenant(sender.keys)[tenant]).token_texts()


def seen(*pairs: tuple[str, str | None]) -> SubjectTokens:
    owners = SubjectTokens()
    for tenant, subject in pairs:
        owners.take(TenantCodes.from_column(pa.array([tenant])), pa.array([subject], pa.string()))
    return owners


def test_each_subject_has_one_token_however_often_it_came(sender: Sender) -> None:
    owners = seen(("north", "d-1"), ("north", "d-1"), ("north", "d-2"), ("north", None))
    assert set(listed(sender, owners, "north")) == {
        disclosure_token(sender.keys, "north", name) for name in ("d-1", "d-2")
    }


def test_one_subject_of_two_tenants_has_two_tokens(sender: Sender) -> None:
    owners = seen(("north", "d-1"), ("south", "d-1"))
    assert listed(sender, owners, "north") != listed(sender, owners, "south")


def test_equivalent_ids_are_the_same_subject(sender: Sender) -> None:
    owners = seen(("north", " d-1"), ("north", "d-1 "), ("north", "é"), ("north", "e\u0301"))
    assert set(listed(sender, owners, "north")) == {
        disclosure_token(sender.keys, "north", name) for name in ("d-1", "é")
    }


def test_the_order_of_tokens_reveals_no_order_of_rows(sender: Sender) -> None:
    one, other = seen(("n", "a"), ("n", "b"), ("n", "c")), seen(("n", "c"), ("n", "a"), ("n", "b"))
    assert one.tokens_by_tenant(sender.keys) == other.tokens_by_tenant(sender.keys)


def test_a_null_subject_has_no_token(sender: Sender) -> None:
    assert seen(("north", None)).tokens_by_tenant(sender.keys) == {}


def test_the_printed_subjects_are_hidden() -> None:
    assert "d-1" not in repr(seen(("north", "d-1")))


def test_the_first_row_of_each_code_is_selected() -> None:
    codes = np.random.default_rng(1).integers(0, 9, 50)
    rows = first_occurrences(pa.array(codes))
    assert sorted(codes[rows].tolist()) == sorted(set(codes.tolist()))


def encoded(words: list[str | None], entries: list[str]) -> pa.DictionaryArray:
    codes = [None if word is None else entries.index(word) for word in words]
    return pa.DictionaryArray.from_arrays(pa.array(codes, pa.int32()), pa.array(entries))


def test_of_a_dictionary_that_grows_each_entry_is_new_once() -> None:
    seen = SeenDictionary()
    assert seen.new_rows(encoded(["a", "b", "a", None], ["a", "b"])).tolist() == [0, 1, 3]
    assert seen.new_rows(encoded(["b", "c", "a", "c", None], ["a", "b", "c"])).tolist() == [1, 4]
    assert seen.new_rows(encoded(["c", "b"], ["a", "b", "c"])).tolist() == []


@pytest.mark.parametrize("entries", [["b", "a"], ["a"], ["a", "x", "c"]])
def test_another_dictionary_is_tracked_separately(entries: list[str]) -> None:
    seen = SeenDictionary()
    seen.new_rows(encoded(["a", "b"], ["a", "b"]))
    assert seen.new_rows(encoded(["a", "a"], entries)).tolist() == [0]


def test_an_entry_that_no_row_had_is_new_when_one_has_it() -> None:
    seen = SeenDictionary()
    assert seen.new_rows(encoded(["a"], ["a", "b"])).tolist() == [0]
    assert seen.new_rows(encoded(["a", "b"], ["a", "b"])).tolist() == [1]


def rules(caught: pytest.ExceptionInfo[NotPermitted]) -> list[str]:
    return [each.rule for each in caught.value.reasons]


def test_a_column_that_was_not_declared_stops_it(sender: Sender, monkeypatch: pytest.MonkeyPatch) -> None:
    def wider(batch: pa.RecordBatch, schema: pa.Schema) -> pa.RecordBatch:
        found = decode_batch(batch, schema)
        return found.append_column("serial", pa.array(["s"] * found.num_rows))

    monkeypatch.setattr("minimize.runs.minimizer.decode_batch", wider)
    with pytest.raises(NotPermitted) as caught:
        sender.share()
    assert rules(caught) == ["differs"]


@pytest.mark.parametrize(
    ("column", "value"), [("event_time", datetime(2026, 11, 25, 6, 1, tzinfo=UTC)), ("device_id", "d-1")]
)
def test_a_value_in_another_form_than_was_declared_stops_it(
    sender: Sender, monkeypatch: pytest.MonkeyPatch, column: str, value: Any
) -> None:
    def raw(batch: pa.RecordBatch, schema: pa.Schema) -> pa.RecordBatch:
        found = decode_batch(batch, schema)
        place = found.schema.get_field_index(column)
        return found.set_column(place, schema.field(place), pa.array([value] * found.num_rows, schema.types[place]))

    monkeypatch.setattr("minimize.runs.minimizer.decode_batch", raw)
    monkeypatch.setattr("minimize.governance.sharing.payload._encoded_columns", lambda *_: {})
    with pytest.raises(NotPermitted) as caught:
        sender.share()
    assert rules(caught) == ["differs"]
    assert str(value) not in str(caught.value.to_json())


def test_a_technique_that_does_nothing_is_found_out(sender: Sender, monkeypatch: pytest.MonkeyPatch) -> None:
    from minimize.techniques.base import TechniqueResult
    from minimize.techniques.truncate_time import TruncateTime

    monkeypatch.setattr(TruncateTime, "apply", lambda _, values, __: TechniqueResult(values))
    exact = RECORDS.set_column(2, "event_time", pa.array([EVENT.replace(minute=7)] * 4, TIME))
    with pytest.raises(NotPermitted) as caught:
        sender.share(exact)
    assert rules(caught) == ["differs"]


def test_a_file_of_fewer_rows_than_were_made_stops_it(sender: Sender, monkeypatch: pytest.MonkeyPatch) -> None:
    short = replace(EXPORT_FORMATS["parquet"], count=lambda *_: 2)
    monkeypatch.setattr(export_file, "EXPORT_FORMATS", {**EXPORT_FORMATS, "parquet": short})
    with pytest.raises(NotPermitted) as caught:
        sender.share(to=sender.folder / "payload.parquet")
    assert rules(caught) == ["differs"]
    assert not Path(sender.folder / "payload.parquet").exists()


def test_records_without_a_tenant_stop_the_share(sender: Sender, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "minimize.governance.sharing.payload._count_rows", lambda made, *_: made.tenants.update({"north": 1})
    )
    with pytest.raises(NotPermitted) as caught:
        sender.share()
    assert rules(caught) == ["differs"]


def test_the_printed_statistics_hide_the_subjects() -> None:
    assert "pairs" not in repr(PayloadStats.empty(pa.schema([("a", pa.string())])))


def test_a_value_that_the_manifest_does_not_list_leaves_as_null_and_is_counted(sender: Sender) -> None:
    listing = sender.vendor_with("functions.sync.fields.model", {"do": "keep", "values": ["A"]}).agree("north", "south")
    given, account = listing.share(), listing.dry()
    assert given.column("model").to_pylist() == ["A", None, "A"]
    assert account.unparsable == {"model": 1}
    assert "model: 1 value replaced by null" in str(account)


ROWS = st.lists(
    st.fixed_dictionaries(
        {
            "text": st.none() | st.text(max_size=3) | st.just("x" * 300),
            "flag": st.none() | st.booleans(),
            "number": st.none() | st.integers(-5, 5),
            "list": st.none() | st.lists(st.none() | st.text(max_size=2), max_size=3),
            "struct": st.none() | st.fixed_dictionaries({"a": st.none() | st.integers(0, 3)}),
        }
    ),
    max_size=12,
)

SCHEMA = pa.schema(
    [
        ("text", pa.string()),
        ("flag", pa.bool_()),
        ("number", pa.int32()),
        ("list", pa.list_(pa.string())),
        ("struct", pa.struct([("a", pa.int64())])),
    ]
)


@given(ROWS, st.integers(1, 5))
def test_how_it_is_cut_into_batches_changes_nothing(rows: list[dict[str, Any]], size: int) -> None:
    table = pa.Table.from_pylist(rows, SCHEMA)
    found = PayloadDigest(SCHEMA)
    for first in range(0, len(rows), size):
        for batch in pa.Table.from_pylist(rows[first : first + size], SCHEMA).to_batches():
            found.update(batch)
    assert found.digest == digest_table(table)


@given(ROWS, ROWS)
def test_other_rows_have_another_digest(one: list[dict[str, Any]], other: list[dict[str, Any]]) -> None:
    same = digest_table(pa.Table.from_pylist(one, SCHEMA)) == digest_table(pa.Table.from_pylist(other, SCHEMA))
    assert same == (one == other)


def test_the_digest_of_a_slice_covers_its_own_rows_alone() -> None:
    whole = pa.table(
        {"a": ["x", "yy", None, "z"], "m": pa.array([[("k", 1)], None, [], [("l", None)]], pa.map_("string", "int8"))}
    )
    assert digest_table(whole.slice(1, 2)) == digest_table(
        pa.Table.from_pylist(whole.slice(1, 2).to_pylist(), whole.schema)
    )


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (["ab", "c"], ["a", "bc"]),
        ([None, ""], ["", None]),
        (["a"], ["a", None]),
    ],
)
def test_adjacent_texts_with_equal_concatenation_have_different_digests(one: list[Any], other: list[Any]) -> None:
    assert digest_table(pa.table({"a": pa.array(one, pa.string())})) != digest_table(
        pa.table({"a": pa.array(other, pa.string())})
    )


def test_another_name_or_type_is_another_payload() -> None:
    digests = {digest_table(pa.table({name: pa.array([1], kind)})) for name in "ab" for kind in (pa.int8(), pa.int16())}
    assert len(digests) == 4


def test_views_are_texts_like_others() -> None:
    views = pa.table({"a": pa.array(["x", None], pa.string_view())})
    assert digest_table(views).startswith("blake3:")
