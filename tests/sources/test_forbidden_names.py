"""What must never arrive is found under other spellings and names, too; what only looks like it is not."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import minimize
from minimize.arrow.pointers import Pointer
from minimize.sources import FORMATS
from minimize.sources.base import DeclaredField, SourceRequest
from minimize.sources.files import file_parts
from minimize.sources.memory import memory_source
from minimize.sources.record_checks import ForbiddenNames, forbidden_names
from tests.project import Project, event, new_project

LISTED = (
    *("call_history", "call_log", "web_history", "browsing_history", "mail", "emails", "text_messages", "sms"),
    *("contacts", "address_book", "calendar", "password", "passwords", "photos", "pictures", "camera_roll", "files"),
)
REQUEST = SourceRequest((DeclaredField("id", Pointer.parse("id"), "integer"),), any_depth=LISTED)
SPELLED = {
    "PASSWORD": "password",
    "Contacts": "contacts",
    "browser_history": "web_history",
    "messages": "text_messages",
    "call_logs": "call_log",
    "wifi_password": "password",
    "wifiPassword": "password",
    "Wi-Fi passwords": "password",
    "addressBook": "address_book",
    "Text-Message": "text_messages",
    "photo": "photos",
    "EMAILS": "emails",
    "PASSWORDS": "password",
}
INNOCENT = (
    *("message", "message_id", "MessageType", "email", "user_email", "contact", "contact_id", "file", "file_name"),
    *("has_password", "password_type", "passcode_length", "password_history", "calls", "profile", "mailing_list_size"),
)


def found(source: Any) -> tuple[set[str], set[int]]:
    """The rules of the rejects, and the ids of the records that are good."""
    chunks = [chunk for part in source.parts for chunk in part.read()]
    rules = {str(reject.field) for chunk in chunks for reject in chunk.rejects}
    return rules, {each for chunk in chunks for each in chunk.records.column("id").to_pylist()}


def records(key: str) -> list[dict[str, Any]]:
    """Records with a key at the top and below, with a null, and without it, as often as the fast readers need."""
    kinds: list[dict[str, Any]] = [{key: "x"}, {"other": [{"deep": {key: "x"}}]}, {key: None}, {"other": []}]
    return [{"id": number, **kind} for number, kind in enumerate(kinds)] * 40


def schema(key: str) -> pa.Schema:
    deep = pa.list_(pa.struct([("deep", pa.struct([(key, pa.string())]))]))
    return pa.schema([("id", pa.int64()), (key, pa.string()), ("other", deep)])


@pytest.mark.parametrize("key", SPELLED)
@pytest.mark.parametrize("kind", ["ndjson", "flat ndjson", "parquet", "table", "frame"])
def test_another_spelling_is_refused(key: str, kind: str, tmp_path: Path) -> None:
    made = [record for record in records(key) if kind != "flat ndjson" or "other" not in record]
    path = tmp_path / "a"
    if "ndjson" in kind:
        path.write_text("".join(json.dumps(record) + "\n" for record in made))
        source: Any = FORMATS["ndjson"].bind(file_parts([path], tmp_path), REQUEST)
    elif kind == "parquet":
        pq.write_table(pa.Table.from_pylist(made, schema(key)), path)
        source = FORMATS["parquet"].bind(file_parts([path], tmp_path), REQUEST)
    else:
        table = pa.Table.from_pylist(made, schema(key))
        source = memory_source(table if kind == "table" else table.to_pandas(), REQUEST)
    rules, good = found(source)
    assert {rule.rpartition("/")[2] for rule in rules} == {SPELLED[key]}
    assert good == {record["id"] for record in made} - {0, 1}


@pytest.mark.parametrize("key", INNOCENT)
def test_a_name_that_only_resembles_a_forbidden_one_is_accepted(key: str, tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_text("".join(json.dumps(record) + "\n" for record in records(key)))
    assert found(FORMATS["ndjson"].bind(file_parts([path], tmp_path), REQUEST)) == (set(), {0, 1, 2, 3})


def test_another_spelling_is_found_among_the_keys_of_a_map() -> None:
    labels = [[("Wifi_Password", "x")], [("PASSWORD", None)], [("site", "password")], None]
    table = pa.table({"id": [0, 1, 2, 3], "labels": pa.array(labels, pa.map_(pa.string(), pa.string()))})
    assert found(memory_source(table, REQUEST)) == ({"/**/password"}, {1, 2, 3})


def test_another_spelling_is_found_in_objects_of_a_data_frame() -> None:
    frame = pd.DataFrame({"id": [0, 1], "other": [{"deep": [{"Browser History": "x"}]}, {"deep": [{"site": "x"}]}]})
    assert found(memory_source(frame, REQUEST)) == ({"/**/web_history"}, {1})


def test_a_declared_field_is_refused_under_its_exact_name_only() -> None:
    declared = DeclaredField("newPassword", Pointer.parse("newPassword"), "string")
    names = forbidden_names(replace(REQUEST, fields=(*REQUEST.fields, declared)))
    assert names.name_of("newPassword") is None
    assert names.name_of("new_password") == "password"
    assert ForbiddenNames(("password",), frozenset({"password"})).name_of("password") == "password"


def test_a_name_that_is_not_listed_forbids_nothing() -> None:
    names = ForbiddenNames(("password",), frozenset())
    assert [names.name_of(key) for key in ("contacts", "messages", "browser_history")] == [None] * 3


def test_a_word_that_is_no_longer_listed_is_accepted_next_to_words_of_the_same_content() -> None:
    names = ForbiddenNames(tuple(name for name in LISTED if name != "contacts"), frozenset())
    assert (names.name_of("contacts"), names.name_of("phone_contacts")) == (None, "address_book")


def test_a_run_quarantines_another_spelling_and_verify_accepts_it(tmp_path: Path) -> None:
    project: Project = new_project(tmp_path)
    project.policy(never=["password"])
    project.records([event(1, Ann={"PASSWORD": "x"}), event(2, wifi_password="x"), event(3, email="x")])
    assert project.run().rows.written == 1
    assert {row["field"] for row in project.rows("quarantine")} == {"/**/password"}
    minimize.verify(project.out, keys=project.keys)
