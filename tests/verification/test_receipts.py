"""Receipts of what a third party sent name it, its manifest and the consents; what is kept is what the manifest lets be kept."""

from __future__ import annotations

import json
from typing import Any

import pyarrow as pa
import pytest

from minimize.receipts import DecidingFunctionReceipt, sha256_text

from .make import OutputWriter, column, policy

MANIFEST: dict[str, Any] = {
    "recipient": "vendor",
    "standing": "independent",
    "functions": {
        "hook": {
            "direction": "inbound",
            "purpose": "operations",
            "text_version": 1,
            "fields": {
                "x": {"do": {"truncate_version": 2}},
                "y": "keep",
                "owner": {"role": "identifier", "do": "drop"},
                "secret": {"role": "secret", "do": "pass_through"},
            },
        }
    },
}
ENVELOPE: dict[str, Any] = {"tenant": {"type": "string", "do": "keep"}, "arrived": {"type": "timestamp", "do": "drop"}}
HEAD: dict[str, Any] = {"subject": None, "tenant": "tenant", "time": "arrived"}
PIPELINE = {"pipeline": "p", "source": {"recipient": "vendor", "function": "hook"}}
TWICE: dict[str, Any] = {"type": "string", "do": [{"truncate_version": {"parts": 2}}, {"mask": {"keep_first": 2}}]}


def written(
    writer: OutputWriter,
    fields: dict[str, Any] | None = None,
    pipeline: dict[str, Any] | None = None,
    manifest: dict[str, Any] | None = None,
    head: dict[str, Any] | None = None,
    **said: Any,
) -> list[str]:
    """The codes that are found in an output of one run."""
    text = json.dumps(MANIFEST if manifest is None else manifest)
    parts = {"recipient": "vendor", "function": "hook", "manifest": sha256_text(text.encode()), **said}
    received = DecidingFunctionReceipt(contract="C-1", consents="sha256:0", **parts) if parts["recipient"] else None
    known = {**ENVELOPE, **(fields or {})}
    table = pa.table([pa.array(["a"])], schema=pa.schema([column(pa.string(), "keep", "tenant")]))
    for name in fields or {}:
        words = " ".join(_words(known[name]))
        if words != "drop":
            table = table.append_column(column(pa.string(), words, name), pa.array(["1"]))
    writer.run(
        policy(known, **{**HEAD, **(head or {})}),
        {"records": table},
        pipeline=PIPELINE if pipeline is None else pipeline,
        beside={"recipient.yaml": text},
        received=received,
    )
    return sorted({code for code in writer.codes() if code in ("V065", "V066")})


def _words(field: dict[str, Any]) -> list[str]:
    do = field["do"]
    return [step if isinstance(step, str) else next(iter(step)) for step in (do if isinstance(do, list) else [do])]


def test_fields_permitted_by_the_manifest_pass_verification(writer: OutputWriter) -> None:
    fields = {
        "x": {"type": "string", "do": {"truncate_version": 2}},
        "y": {"type": "string", "do": "drop"},
        "owner": {"type": "string", "role": "identifier", "do": "drop"},
    }
    assert written(writer, fields) == []


def test_steps_may_follow_those_of_the_manifest(writer: OutputWriter) -> None:
    assert written(writer, {"x": TWICE, "y": {"type": "string", "do": {"mask": {"keep_last": 1}}}}) == []


@pytest.mark.parametrize(
    "fields",
    [
        {"x": {"type": "string", "do": "keep"}},
        {"x": {"type": "string", "do": {"mask": {"keep_last": 1}}}},
        {"owner": {"type": "string", "role": "identifier", "do": "keep"}},
        {"secret": {"type": "string", "do": {"mask": {"keep_last": 1}}}},
        {"other": {"type": "string", "do": "keep"}},
        {"x": {"type": "string", "do": "drop", "in_aggregates": {"mask": {"keep_last": 1}}}},
    ],
    ids=["kept", "another technique", "dropped there", "a secret", "not there", "in aggregates"],
)
def test_a_field_not_permitted_by_the_manifest_is_found(writer: OutputWriter, fields: dict[str, Any]) -> None:
    assert written(writer, fields) == ["V066"]


@pytest.mark.parametrize(
    "said",
    [
        {"recipient": None},
        {"recipient": "other"},
        {"function": "other"},
        {"manifest": "sha256:0"},
    ],
    ids=["nothing", "another sender", "another function", "another manifest"],
)
def test_a_receipt_that_differs_from_the_request_is_found(writer: OutputWriter, said: dict[str, Any]) -> None:
    assert written(writer, **said) == ["V065"]


def test_a_sender_that_the_pipeline_does_not_name_is_found(writer: OutputWriter) -> None:
    assert written(writer, pipeline={"pipeline": "p"}) == ["V065"]


def test_a_manifest_that_cannot_be_read_is_found(writer: OutputWriter) -> None:
    assert written(writer, manifest={"recipient": "vendor", "functions": {}}) == ["V065"]


def test_an_output_of_our_own_records_is_not_asked(writer: OutputWriter) -> None:
    assert written(writer, pipeline={"pipeline": "p"}, recipient=None) == []


@pytest.mark.parametrize("place", ["subject", "record"])
def test_a_subject_or_a_record_outside_the_manifest_is_not_kept(writer: OutputWriter, place: str) -> None:
    assert written(writer, {"email": {"type": "string", "do": "keep"}}, head={place: "email"}) == ["V066"]
