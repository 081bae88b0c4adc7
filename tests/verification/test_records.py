"""Columns, categories, cases, conditions, nesting and rare values of records."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pyarrow as pa
import pytest

from minimize.receipts import FieldReceipt, WrittenOutput
from minimize.verification import check
from tests.project import AT, TIME

from .make import OutputWriter, column, policy

PSEUDONYMS = [f"{'a' * 24}{first}{second}" for first in "abcdefgh" for second in "abcdefgh"]
KEEP = {"type": "string", "do": "keep"}
DEVICE = {"type": "string", "role": "identifier", "do": {"pseudonymize": {"key": "device"}}}


def records(**columns: tuple[pa.Array, str]) -> pa.Table:
    fields = [column(values.type, words, name) for name, (values, words) in columns.items()]
    return pa.table([values for values, _ in columns.values()], schema=pa.schema(fields))


def texts(*values: str | None) -> pa.Array:
    return pa.array(values, pa.string())


def test_an_undeclared_column_is_found(writer: OutputWriter) -> None:
    writer.run(policy({"x": KEEP}), {"records": records(x=(texts("a"), "keep"), y=(texts("b"), "keep"))})
    assert writer.codes() == ["V020"]


@pytest.mark.parametrize(("name", "shown"), [("kind", "/kind"), ("ann@example.com", "/*"), ("+33612345678", "/*")])
def test_an_undeclared_column_is_shown_only_where_it_looks_like_a_name(
    writer: OutputWriter, name: str, shown: str
) -> None:
    writer.run(policy({"x": KEEP}), {"records": records(x=(texts("a"), "keep"), **{name: (texts("b"), "keep")})})
    findings = check(writer.output, keys=writer.keyring)
    assert [finding.field for finding in findings if finding.code == "V020"] == [shown]


def test_a_dropped_column_is_found(writer: OutputWriter) -> None:
    fields = {"x": KEEP, "y": {"type": "string", "do": "drop"}}
    writer.run(policy(fields), {"records": records(x=(texts("a"), "keep"), y=(texts("b"), "drop"))})
    assert writer.codes() == ["V021"]


def test_a_column_of_another_purpose_is_found(writer: OutputWriter) -> None:
    fields = {"x": KEEP, "y": {**KEEP, "purposes": ["customer_support"]}}
    writer.run(policy(fields), {"records": records(x=(texts("a"), "keep"), y=(texts("b"), "keep"))})
    assert writer.codes() == ["V021"]


def test_a_missing_column_is_found_unless_it_is_optional(writer: OutputWriter) -> None:
    fields = {"x": KEEP, "y": KEEP, "z": {**KEEP, "optional": True}}
    writer.run(policy(fields), {"records": records(x=(texts("a"), "keep"))})
    assert writer.codes() == ["V022"]


def _folders(writer: OutputWriter, field: dict[str, Any]) -> list[str]:
    """Records below a folder `y=1` beside their date."""
    from dataclasses import replace

    receipt = writer.run(policy({"x": KEEP, "y": field}), {"records": records(x=(texts("a"), "keep"))})
    writer.receipts.clear()
    (file,) = receipt.outputs["records"].files
    moved = replace(file, path=file.path.replace("date=2026-11-24/", "date=2026-11-24/y=1/"))
    (writer.output / moved.path).parent.mkdir()
    (writer.output / file.path).rename(writer.output / moved.path)
    writer.sign(replace(receipt, outputs={"records": replace(receipt.outputs["records"], files=(moved,))}))
    return writer.codes()


def test_a_column_may_be_a_folder(writer: OutputWriter) -> None:
    assert _folders(writer, KEEP) == []


@pytest.mark.parametrize(
    "field", [{**KEEP, "role": "quasi"}, {**KEEP, "do": "drop"}, {**KEEP, "do": {"mask": {"keep_last": 1}}}]
)
def test_a_folder_that_is_named_by_another_field_is_found(writer: OutputWriter, field: dict[str, Any]) -> None:
    assert _folders(writer, field) == ["V021"]


def test_metadata_that_names_another_technique_is_found(writer: OutputWriter) -> None:
    writer.run(policy({"x": KEEP}), {"records": records(x=(texts("a"), "mask"))})
    assert writer.codes() == ["V024"]


def test_metadata_that_is_missing_is_found(writer: OutputWriter) -> None:
    writer.run(policy({"x": KEEP}), {"records": pa.table({"x": ["a"]})})
    assert writer.codes() == ["V024", "V024"]


def test_a_key_that_the_receipt_does_not_name_is_found(writer: OutputWriter) -> None:
    field = column(pa.string(), "pseudonymize", "device", key="device/2")
    table = pa.table([texts(PSEUDONYMS[0])], schema=pa.schema([field]))
    writer.run(policy({"device": DEVICE}), {"records": table})
    assert writer.codes() == ["V024"]


@pytest.mark.parametrize(
    "field",
    [
        {"type": "string", "role": "identifier", "do": "keep"},
        {"type": "string", "role": "identifier", "do": {"mask": {"keep_last": 4}}},
        {"type": "string", "role": "free_text", "do": {"redact": {"patterns": ["email"]}}},
    ],
)
def test_an_identified_column_in_a_lower_category_is_found(writer: OutputWriter, field: dict[str, Any]) -> None:
    words = field["do"] if isinstance(field["do"], str) else next(iter(field["do"]))
    writer.run(policy({"x": field}), {"records": records(x=(texts("****"), words))})
    assert writer.codes() == ["V025", "V025"]


@pytest.mark.parametrize(
    ("key", "field", "value"),
    [
        ("org_email", {"type": "string", "role": "quasi", "do": "keep"}, texts("it@example.com")),
        ("phone", {"type": "string", "role": "quasi", "do": {"mask": {"keep_last": 4}}}, texts("****")),
        ("latitude", {"type": "double", "role": "quasi", "do": {"round": {"to": 0.01}}}, pa.array([48.85])),
        ("lat", {"type": "double", "role": "quasi", "do": {"bin": {"width": 0.05}}}, pa.array([48.85])),
        ("cell", {"type": "struct", "role": "quasi", "do": {"h3": {"resolution": 5}}}, texts("851fb467fffffff")),
    ],
)
def test_an_address_or_a_fine_position_in_a_lower_category_is_found(
    writer: OutputWriter, key: str, field: dict[str, Any], value: pa.Array
) -> None:
    words = field["do"] if isinstance(field["do"], str) else next(iter(field["do"]))
    writer.run(policy({key: field}), {"records": records(**{key: (value, words)})})
    assert writer.codes() == ["V025", "V025"]


@pytest.mark.parametrize(
    ("key", "field", "value"),
    [
        ("org_email", {"type": "string", "role": "quasi", "do": "email_domain"}, texts("example.com")),
        ("org_email", {"type": "string", "role": "plain", "do": "keep"}, texts("it@example.com")),
        ("has_email", {"type": "string", "role": "quasi", "do": "keep"}, texts("yes")),
        ("latitude", {"type": "double", "role": "quasi", "do": {"round": {"to": 0.1}}}, pa.array([48.9])),
        ("latitude", {"type": "double", "role": "plain", "do": "keep"}, pa.array([48.8566])),
        ("cell", {"type": "struct", "role": "quasi", "do": {"h3": {"resolution": 4}}}, texts("841fb47ffffffff")),
    ],
)
def test_coarse_positions_and_addresses_are_pseudonymized(
    writer: OutputWriter, key: str, field: dict[str, Any], value: pa.Array
) -> None:
    words = field["do"] if isinstance(field["do"], str) else next(iter(field["do"]))
    writer.run(policy({key: field}), {"records": records(**{key: (value, words)})})
    assert writer.codes() == []


def test_records_are_never_aggregated(writer: OutputWriter) -> None:
    receipt = writer.run(policy({"x": KEEP}), {"records": records(x=(texts("a"), "keep"))})
    writer.receipts.clear()
    from dataclasses import replace

    output = WrittenOutput("aggregated", 1, files=receipt.outputs["records"].files)
    writer.sign(replace(receipt, outputs={"records": output}))
    assert writer.codes() == ["V025"]


CASES = {
    "type": "string",
    "role": "plain",
    "cases": [
        {"if": {"owner": "corporate"}, "do": "keep"},
        {"if": {"owner": ["personal", "unknown"]}, "do": {"mask": {"keep_last": 4}}},
    ],
    "otherwise": "drop",
}


def _phones(writer: OutputWriter, owner: str | None, phone: str | None, shown: str = "keep") -> list[str]:
    fields = {"owner": {"type": "string", "do": shown}, "phone": CASES}
    columns = {"owner": (texts(owner), shown)} if shown == "keep" else {}
    writer.run(policy(fields), {"records": records(**columns, phone=(texts(phone), "keep,mask,drop"))})
    return writer.codes()


@pytest.mark.parametrize(
    ("owner", "phone"),
    [("corporate", "+33612345678"), ("personal", "****5678"), ("unknown", "****5678"), ("shared", None), (None, None)],
)
def test_a_value_obeys_the_case_that_decides(writer: OutputWriter, owner: str | None, phone: str | None) -> None:
    assert _phones(writer, owner, phone) == []


@pytest.mark.parametrize("owner", ["personal", "unknown"])
def test_a_value_of_another_case_is_found(writer: OutputWriter, owner: str) -> None:
    assert _phones(writer, owner, "+33612345678") == ["V030"]


@pytest.mark.parametrize("owner", ["shared", None])
def test_a_value_where_every_case_drops_is_found(writer: OutputWriter, owner: str | None) -> None:
    assert _phones(writer, owner, "****5678") == ["V031"]


def test_an_output_that_hides_the_condition_accepts_any_case(writer: OutputWriter) -> None:
    assert _phones(writer, "personal", "****5678", shown="drop") == []


@pytest.mark.parametrize(
    ("said", "days", "codes"),
    [
        ({"within": "7d", "of": "time"}, 6, []),
        ({"within": "7d", "of": "time"}, 7, ["V031"]),
        ({"within": "24h", "of": "time"}, 1, ["V031"]),
        ({"within": "7d", "of": "time"}, -1, []),
        ({"within": "7d", "of": "time"}, None, ["V031"]),
        ({"within": "7d", "of": "hidden"}, 9, []),
        ({"within": "7d"}, 9, []),
    ],
)
def test_a_value_is_accepted_only_if_its_time_is_recent_enough(
    writer: OutputWriter, said: dict[str, Any], days: int | None, codes: list[str]
) -> None:
    kept: dict[str, Any] = {"type": "timestamp", "do": "keep"}
    fields = {"seen": kept, "time": kept, "hidden": {**kept, "do": "drop"}, "x": {**KEEP, "collect_if": {"seen": said}}}
    seen = None if days is None else AT - timedelta(days=days)
    times = {name: (pa.array([time], TIME), "keep") for name, time in (("seen", seen), ("time", AT))}
    writer.run(policy(fields), {"records": records(**times, x=(texts("a"), "keep"))})
    assert writer.codes() == codes


def _gated(writer: OutputWriter, condition: dict[str, Any], shown: bool | None, value: str | None) -> list[str]:
    fields = {"flag": {"type": "boolean", "do": "keep"}, "x": {**KEEP, "collect_if": condition}}
    flags = pa.array([shown], pa.bool_())
    writer.run(policy(fields), {"records": records(flag=(flags, "keep"), x=(texts(value), "keep"))})
    return writer.codes()


@pytest.mark.parametrize(
    ("condition", "shown", "value", "codes"),
    [
        ({"flag": True}, True, "a", []),
        ({"flag": True}, False, None, []),
        ({"flag": True}, False, "a", ["V031"]),
        ({"flag": True}, None, "a", ["V031"]),
        ({"flag": 1}, True, "a", ["V031"]),
        ({"flag": True, "feature": "usage"}, False, "a", ["V031"]),
        ({"any": [{"flag": True}, {"feature": "usage"}]}, False, "a", []),
        ({"all": [{"flag": True}, {"level": "full"}]}, False, "a", ["V031"]),
        ({"any": [{"flag": True}, {"flag": False}]}, None, "a", ["V031"]),
    ],
)
def test_a_value_is_accepted_only_if_its_condition_can_hold(
    writer: OutputWriter, condition: dict[str, Any], shown: bool | None, value: str | None, codes: list[str]
) -> None:
    assert _gated(writer, condition, shown, value) == codes


def test_a_null_of_a_gated_field_may_have_been_a_value(writer: OutputWriter) -> None:
    fields = {"flag": {"type": "boolean", "do": "keep", "feature": "f"}, "x": {**KEEP, "collect_if": {"flag": True}}}
    flags = pa.array([None], pa.bool_())
    writer.run(policy(fields), {"records": records(flag=(flags, "keep"), x=(texts("a"), "keep"))})
    assert writer.codes() == []


APPS = pa.list_(pa.struct([("name", pa.string()), ("version", pa.string())]))
NESTED = {
    "/apps/*/name": KEEP,
    "/apps/*/version": {"type": "string", "do": {"truncate_version": {"parts": 2}}},
    "/os/build": {"type": "string", "do": {"mask": {"keep_first": 1}}},
    "/labels": {"type": "map", "do": "drop", "keys": "keep"},
    "/labels/*": {"type": "string", "do": {"map": {"values": {"a": "x"}}}},
}
LABELS = column(pa.map_(pa.string(), pa.string()), "map", "labels", "/labels/*")
KEYS = column(pa.string(), "keep", "labels", "/labels/~keys")


def _nested(writer: OutputWriter, *rows: dict[str, Any], fields: dict[str, Any] | None = None) -> list[str]:
    told = {
        f"minimize:{key}{pointer}": value
        for pointer, words in {"/apps/*/name": "keep", "/apps/*/version": "truncate_version"}.items()
        for key, value in {"technique": words, "category": "pseudonymized"}.items()
    }
    schema = pa.schema(
        [
            pa.field("apps", APPS, metadata=told),
            column(pa.struct([("build", pa.string())]), "mask", "os", "/os/build"),
            LABELS.with_metadata({**LABELS.metadata, **KEYS.metadata}),
        ]
    )
    writer.run(policy(fields or NESTED), {"records": pa.Table.from_pylist(list(rows), schema=schema)})
    return writer.codes()


def _row(version: str = "1.2", build: str = "a****", label: str = "x") -> dict[str, Any]:
    return {"apps": [{"name": "n", "version": version}], "os": {"build": build}, "labels": [("k", label)]}


def test_nested_values_that_obey_are_accepted(writer: OutputWriter) -> None:
    empty = {"apps": None, "os": None, "labels": None}
    assert _nested(writer, _row(), empty, {**_row(), "apps": []}, {**_row(), "apps": [None]}) == []


@pytest.mark.parametrize("part", [{"version": "1.2.3"}, {"build": "abc"}, {"label": "a"}])
def test_nested_values_that_do_not_obey_are_found(writer: OutputWriter, part: dict[str, str]) -> None:
    assert _nested(writer, _row(), _row(**part)) == ["V030"]


def test_a_nested_leaf_that_is_not_declared_is_found(writer: OutputWriter) -> None:
    fields = {key: each for key, each in NESTED.items() if key != "/os/build"}
    assert _nested(writer, _row(), fields=fields) == ["V020"]


@pytest.mark.parametrize(
    ("fields", "code"), [({}, "V020"), ({"/labels": {"type": "map", "do": "drop", "keys": "drop"}}, "V021")]
)
def test_keys_of_a_map_that_the_policy_does_not_keep_are_found(
    writer: OutputWriter, fields: dict[str, Any], code: str
) -> None:
    others = {key: each for key, each in NESTED.items() if key != "/labels"}
    assert _nested(writer, _row(), fields=others | fields) == [code]


ENTRIES = pa.list_(pa.struct([("key", pa.string()), ("value", pa.string())]))


@pytest.mark.parametrize(("key", "codes"), [("example.com", []), ("ann@example.com", ["V030"])])
def test_keys_of_a_map_obey_their_technique(writer: OutputWriter, key: str, codes: list[str]) -> None:
    fields = {
        "/labels": {"type": "map", "role": "identifier", "do": "drop", "keys": "email_domain"},
        "/labels/*": KEEP,
    }
    values, keys = (
        column(ENTRIES, word, "labels", place)
        for word, place in (("keep", "/labels/*"), ("email_domain", "/labels/~keys"))
    )
    schema = pa.schema([values.with_metadata({**values.metadata, **keys.metadata})])
    rows = [{"labels": [{"key": key, "value": "a"}, {"key": None, "value": "b"}]}]
    writer.run(policy(fields), {"records": pa.Table.from_pylist(rows, schema=schema)})
    assert writer.codes() == codes


def test_a_kept_map_key_that_identifies_persons_makes_records_identified(writer: OutputWriter) -> None:
    fields = {"/labels": {"type": "map", "role": "identifier", "do": "drop", "keys": "keep"}, "/labels/*": KEEP}
    values = column(pa.map_(pa.string(), pa.string()), "keep", "labels", "/labels/*")
    schema = pa.schema([values.with_metadata({**values.metadata, **KEYS.metadata})])
    writer.run(policy(fields), {"records": pa.Table.from_pylist([{"labels": [("k", "a")]}], schema=schema)})
    assert writer.codes() == ["V025", "V025"]


def test_a_condition_of_the_record_decides_about_nested_values(writer: OutputWriter) -> None:
    names = pa.list_(pa.struct([("name", pa.string())]))
    schema = pa.schema([column(pa.string(), "keep", "owner"), column(names, "keep", "apps", "/apps/*/name")])
    rows = [{"owner": "corporate", "apps": [{"name": "a"}]}, {"owner": "personal", "apps": [{"name": "b"}]}]
    fields = {"owner": KEEP, "/apps/*/name": {**KEEP, "collect_if": {"owner": "corporate"}}}
    writer.run(policy(fields), {"records": pa.Table.from_pylist(rows, schema=schema)})
    assert writer.codes() == ["V031"]


def _models(
    writer: OutputWriter, *counts: tuple[str, int], top: dict[str, Any] | None = None, nobody: int = 0
) -> list[str]:
    fields = {"device": DEVICE, "model": {"type": "string", "do": {"top": {"keep": 5, **(top or {})}}}}
    models = [name for name, count in counts for _ in range(count)]
    devices: list[str | None] = [PSEUDONYMS[place] for _, count in counts for place in range(count)]
    devices[: nobody or 0] = [None] * nobody
    schema = pa.schema(
        [column(pa.string(), "pseudonymize", "device", key="device/1"), column(pa.string(), "top", "model")]
    )
    writer.run(policy(fields), {"records": pa.table([pa.array(devices), pa.array(models)], schema=schema)})
    return writer.codes()


def test_values_of_enough_subjects_are_accepted(writer: OutputWriter) -> None:
    assert _models(writer, ("a", 10), ("b", 12), ("other", 10)) == []


def test_a_value_of_too_few_subjects_is_found(writer: OutputWriter) -> None:
    assert _models(writer, ("a", 10), ("b", 9)) == ["V033"]


def test_an_other_row_of_too_few_subjects_is_found_next_to_other_rows(writer: OutputWriter) -> None:
    assert _models(writer, ("a", 10), ("other", 9)) == ["V033"]


def test_an_other_row_without_further_rows_may_be_small(writer: OutputWriter) -> None:
    assert _models(writer, ("other", 3)) == []


def test_the_threshold_is_the_policy_s(writer: OutputWriter) -> None:
    assert _models(writer, ("a", 3), top={"at_least": 3}) == []


def test_a_row_without_a_pseudonym_may_belong_to_any_subject(writer: OutputWriter) -> None:
    assert _models(writer, ("a", 10), nobody=4) == []


@pytest.mark.parametrize(
    "counted",
    [
        FieldReceipt("keep", values=5, gated=3, unparsable=2, dropped=1),
        FieldReceipt("keep", values=5, changed=6),
        FieldReceipt("keep", values=None),
    ],
)
def test_counts_that_cannot_be_are_found(writer: OutputWriter, counted: FieldReceipt) -> None:
    writer.run(policy({"x": KEEP}), {"records": records(x=(texts("a"), "keep"))}, fields={"x": counted})
    assert set(writer.codes()) == {"V032"}


@pytest.mark.parametrize(
    ("counted", "codes"),
    [
        (FieldReceipt("keep", values=2), []),
        (FieldReceipt("keep", values=3, gated=1), []),
        (FieldReceipt("keep", values=2, gated=2), ["V032"]),
        (FieldReceipt("keep", values=3), ["V032"]),
    ],
)
def test_the_number_of_values_must_match_the_receipt(
    writer: OutputWriter, counted: FieldReceipt, codes: list[str]
) -> None:
    writer.run(policy({"x": KEEP}), {"records": records(x=(texts("a", None, "b"), "keep"))}, fields={"x": counted})
    assert writer.codes() == codes


def test_a_dropped_field_needs_no_count(writer: OutputWriter) -> None:
    declared = policy({"x": KEEP, "mail": {"type": "string", "do": "drop"}})
    fields = {"x": FieldReceipt("keep", 1), "mail": FieldReceipt("drop", None)}
    writer.run(declared, {"records": records(x=(texts("a"), "keep"))}, fields=fields)
    assert writer.codes() == []


def test_counts_of_an_undeclared_field_are_found(writer: OutputWriter) -> None:
    writer.run(policy({"x": KEEP}), {"records": records(x=(texts("a"), "keep"))}, fields={"y": FieldReceipt("keep")})
    assert writer.codes() == ["V032"]


@pytest.mark.parametrize(
    ("do", "time", "codes"),
    [
        ({"truncate_time": {"to": "hour"}}, datetime(2026, 10, 26, 0, tzinfo=UTC), []),
        ({"truncate_time": {"to": "hour"}}, datetime(2026, 10, 25, 23, tzinfo=UTC), ["V035"]),
        ({"truncate_time": {"to": "month"}}, datetime(2026, 10, 1, tzinfo=UTC), []),
        ({"truncate_time": {"to": "month"}}, datetime(2026, 9, 1, tzinfo=UTC), ["V035"]),
        ("keep", datetime(2026, 10, 26, tzinfo=UTC), ["V035"]),
        ("keep", datetime(2026, 10, 26, 0, 0, 0, 1, tzinfo=UTC), []),
    ],
)
def test_rows_past_their_retention_are_found(writer: OutputWriter, do: Any, time: datetime, codes: list[str]) -> None:
    written = policy({"time": {"type": "timestamp", "do": do}}, time="time", retention="30d")
    words = do if isinstance(do, str) else "truncate_time"
    writer.run(written, {"records": records(time=(pa.array([time], pa.timestamp("us", "UTC")), words))})
    assert writer.codes() == codes


@pytest.mark.parametrize(("day", "codes"), [(23, ["V036"]), (24, []), (None, [])])
def test_values_past_the_retention_of_their_feature_are_found(
    writer: OutputWriter, day: int | None, codes: list[str]
) -> None:
    fields = {"time": {"type": "timestamp", "do": {"truncate_time": {"to": "hour"}}}, "x": {**KEEP, "feature": "f"}}
    written = policy(fields, time="time", features={"f": {"retention": "24h"}})
    times = pa.array([datetime(2026, 11, day or 1, tzinfo=UTC)], pa.timestamp("us", "UTC"))
    values = pa.array([None if day is None else "a"], pa.string())
    writer.run(written, {"records": records(time=(times, "truncate_time"), x=(values, "keep"))})
    assert writer.codes() == codes


def test_values_in_dictionaries_are_judged_like_others(writer: OutputWriter) -> None:
    field = {"type": "string", "do": {"mask": {"keep_last": 4}}}
    values = texts("****5678", "+33612345678").dictionary_encode()
    writer.run(policy({"x": field}), {"records": records(x=(values, "mask"))})
    assert writer.codes() == ["V030"]


def test_a_message_counts_and_never_shows_a_value(writer: OutputWriter) -> None:
    from minimize.verification import check

    field = {"type": "string", "do": {"mask": {"keep_last": 4}}}
    writer.run(policy({"x": field}), {"records": records(x=(texts("+33612345678", "secret"), "mask"))})
    told = " ".join(str(finding) for finding in check(writer.output, keys=writer.keyring))
    assert "2 distinct values" in told
    assert "33612345678" not in told
    assert "secret" not in told


def test_an_event_time_of_another_type_is_found_and_nothing_else(writer: OutputWriter) -> None:
    written = policy({"time": {"type": "timestamp", "do": "keep"}}, time="time", retention="30d")
    writer.run(written, {"records": records(time=(texts("2026-11-24"), "keep"))})
    assert writer.codes() == ["V023"]
