from __future__ import annotations

import json
import re
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from minimize.errors import CheckFailed, OutputError, VerificationError
from minimize.keys import Keyring, PublicKeys
from minimize.receipts import (
    FieldReceipt,
    GatedRows,
    QuarantineEntry,
    Receipt,
    ReceiptFile,
    RowCounts,
    Signature,
    WrittenOutput,
    canonical_json,
    sha256_text,
)
from tests.project import write_keyring

from .make import receipt, small

ORDER = [
    *(
        "receipt",
        "kind",
        "run_id",
        "sequence",
        "previous",
        "pipeline",
        "purpose",
        "engine",
        "at",
        "at_given",
        "started",
    ),
    *("finished", "dates", "policy", "plan", "settings", "keys", "versions", "inputs", "rows", "gated_by", "fields"),
    *("undeclared", "outputs", "replaces", "removes", "quarantine", "files", "signature"),
]


@pytest.fixture
def keyring(tmp_path: Path) -> Keyring:
    return write_keyring(tmp_path / "test.keys", ["device"])


def test_the_json_has_its_names_in_order() -> None:
    assert list(receipt().to_json()) == ORDER


def test_the_json_nests_as_documented() -> None:
    shown = receipt().to_json()
    assert shown["at"] == "2026-11-25T00:00:00Z"
    assert shown["policy"] == {"name": "device_telemetry", "version": 1, "digest": "sha256:aa"}
    assert shown["rows"] == {
        "read": 1000,
        "written": 950,
        "gated": 30,
        "quarantined": 20,
        "suppressed": 0,
        "deduplicated": 0,
    }
    assert shown["gated_by"] == {"setting": 0, "condition": 28, "retention": 2, "erased": 0}
    assert list(shown["fields"]["ip_address"].items())[:5] == [
        ("did", "truncate_ip"),
        ("values", 950),
        ("changed", 948),
        ("gated", 0),
        ("unparsable", 2),
    ]
    assert list(shown["outputs"]["records"]) == ["category", "rows", "files"]
    assert list(shown["outputs"]["fleet_by_version"]) == [
        "category",
        "rows",
        "groups_suppressed",
        "rows_suppressed",
        "too_late",
        "files",
    ]
    assert shown["quarantine"] == {"rows": 20, "by_code": {"malformed": 15, "wrong_type": 5}, "files": []}


def test_a_receipt_survives_its_json(keyring: Keyring) -> None:
    signed = receipt(dates=("2026-11-24", "2026-11-25")).with_signature(keyring)
    again = Receipt.from_json(signed.file_text())
    assert again == signed
    assert again.digest == signed.digest
    assert again.file_text() == signed.file_text()


def test_a_chain_of_techniques_survives_its_json() -> None:
    one = receipt().fields["ip_address"]
    made = receipt(fields={"ip_address": replace(one, did=("truncate_ip", "map"))})
    assert Receipt.from_json(made.file_text()).fields == made.fields


def test_fractions_of_a_second_are_kept() -> None:
    made = receipt(started=datetime(2026, 11, 25, 1, 2, 3, 450, tzinfo=UTC))
    assert made.to_json()["started"] == "2026-11-25T01:02:03.000450Z"
    assert Receipt.from_json(made.file_text()).started == made.started


def test_the_signature_is_over_the_canonical_json_of_everything_else(keyring: Keyring) -> None:
    import base64

    shown = receipt().with_signature(keyring).to_json()
    signature = shown.pop("signature")
    assert signature["algorithm"] == "ed25519"
    assert signature["key"] == "signing/1"
    assert keyring.verify_signature(canonical_json(shown), base64.b64decode(signature["value"]), "signing/1")


def test_a_signed_receipt_is_known_by_keyring_and_public_key(keyring: Keyring) -> None:
    signed = Receipt.from_json(receipt().with_signature(keyring).file_text())
    signed.verify(keyring)
    signed.verify(PublicKeys(keyring.public_key_pem()))
    assert signed.signature is not None


def test_the_digest_covers_the_signature(keyring: Keyring) -> None:
    signed = receipt().with_signature(keyring)
    assert signed.digest == sha256_text(canonical_json(signed.to_json()))
    assert signed.digest != receipt().digest


def test_an_unsigned_receipt_is_refused(keyring: Keyring) -> None:
    with pytest.raises(VerificationError, match="is not signed"):
        receipt().verify(keyring)


@pytest.mark.parametrize("value", ["!", "AAAA"])
def test_a_signature_that_is_none_is_refused(keyring: Keyring, value: str) -> None:
    with pytest.raises(VerificationError):
        receipt(signature=Signature("ed25519", "signing/1", value)).verify(keyring)


def test_another_algorithm_is_refused(keyring: Keyring) -> None:
    signed = receipt().with_signature(keyring)
    assert signed.signature is not None
    with pytest.raises(VerificationError, match="is not signed"):
        replace(signed, signature=replace(signed.signature, algorithm="none")).verify(keyring)


def test_an_edited_receipt_is_refused(keyring: Keyring) -> None:
    text = receipt().with_signature(keyring).file_text().replace('"values": 950', '"values": 951')
    with pytest.raises(VerificationError, match="is signed with an unknown key"):
        Receipt.from_json(text).verify(keyring)


def test_a_changed_copy_does_not_keep_what_was_read(keyring: Keyring) -> None:
    signed = Receipt.from_json(receipt().with_signature(keyring).file_text())
    changed = replace(signed, purpose="operations")
    assert changed.to_json()["purpose"] == "operations"
    with pytest.raises(VerificationError):
        changed.verify(keyring)


def test_additions_of_a_later_version_are_kept_and_signed(keyring: Keyring) -> None:
    import base64

    shown = receipt().to_json() | {"lineage": {"of": ["later"]}}
    shown["rows"]["merged"] = 0
    del shown["signature"]
    key, value = keyring.sign(canonical_json(shown))
    shown["signature"] = {"algorithm": "ed25519", "key": key, "value": base64.b64encode(value).decode()}
    read = Receipt.from_json(json.dumps(shown))
    read.verify(keyring)
    assert read.to_json() == shown
    assert read.digest == sha256_text(canonical_json(shown))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        '{"receipt": 1, "receipt": 1}',
        "\ud800".encode("utf-8", "surrogatepass"),
        receipt().file_text().replace('"sequence": 1,', '"sequence": "1",'),
        receipt().file_text().replace('"sequence": 1,', '"sequence": 1, "sequence": 1,'),
        receipt().file_text().replace('"sequence": 1,', '"sequence": 99999999999999999999,'),
        receipt().file_text().replace('"receipt": 1,', '"receipt": 2,'),
        receipt().file_text().replace('"run",', '"party",'),
        "[" * 100_000,
    ],
)
def test_an_invalid_receipt_is_refused_without_showing_it(text: str | bytes) -> None:
    with pytest.raises(OutputError, match="cannot read the receipt") as caught:
        Receipt.from_json(text)
    assert caught.value.__context__ is None


def test_the_documented_receipt_balances(keyring: Keyring) -> None:
    receipt().check()
    assert receipt().with_signature(keyring).signature is not None


@pytest.mark.parametrize(
    "changes",
    [
        {"rows": RowCounts(1000, 949, 30, 20)},
        {"rows": RowCounts(999, 949, 30, 20)},
        {"gated_by": GatedRows(condition=28, retention=1)},
        {"quarantine": QuarantineEntry(19, {"malformed": 19})},
        {"quarantine": QuarantineEntry(20, {"malformed": 15})},
        {"quarantine": QuarantineEntry(20, {"malformed": 20}, (ReceiptFile("quarantine/a.parquet", 19, "sha256:0"),))},
        {"outputs": {"records": WrittenOutput("pseudonymized", 950)}},
        {
            "outputs": {
                "records": WrittenOutput("pseudonymized", 1, files=(ReceiptFile("records/a.parquet", 1, "sha256:0"),))
            }
        },
        {"inputs": (*receipt().inputs, *receipt().inputs)},
        {"rows": RowCounts(1000, 970, 10, 20), "gated_by": GatedRows(condition=20, retention=-10)},
    ],
)
def test_a_receipt_that_does_not_balance_is_never_signed(keyring: Keyring, changes: dict[str, object]) -> None:
    with pytest.raises(CheckFailed, match="does not balance"):
        receipt(**changes).check()
    with pytest.raises(CheckFailed, match="does not balance"):
        receipt(**changes).with_signature(keyring)


def test_the_summary_shows_the_rows_and_outputs() -> None:
    assert receipt().summary().splitlines() == [
        "device_telemetry: run 20261125T000000Z-0123456789ab for 2026-11-24, purpose service_maintenance",
        "  rows                    1,000 read = 950 written + 30 gated + 20 quarantined",
        "  rows gated by           condition 28, retention 2",
        "  quarantined as          malformed 15, wrong_type 5",
        "  undeclared, dropped     /new_thing 12",
        "  transformed             ip_address (truncate_ip)",
        "  could not be treated    ip_address 2 of 950",
        "  records                 950 rows in 1 file, pseudonymized",
        "  fleet_by_version        0 rows in 0 files, aggregated",
    ]


def test_the_summary_of_an_empty_run_is_short() -> None:
    made = small(
        1, fields={}, undeclared={}, gated_by=GatedRows(), rows=RowCounts(), quarantine=QuarantineEntry(), dates=()
    )
    assert len(made.summary().splitlines()) == 2


def test_the_summary_shows_chained_techniques_and_late_rows() -> None:
    made = receipt(
        fields={"os": FieldReceipt(("truncate_version", "map"), 1, 1, outputs=("records",))},
        outputs={"fleet": WrittenOutput("aggregated", 0, 0, 0, too_late=2)},
    )
    assert "os (truncate_version → map)" in made.summary()
    assert "2 too late" in made.summary()


@pytest.mark.parametrize(
    ("kind", "why"),
    [
        ("delete", "published tables do not change when records are removed; they end with their retention"),
        (
            "run",
            "statistics of a date are published a limited number of times, exact ones once; later data are not in them",
        ),
    ],
)
def test_the_summary_names_dates_whose_figures_are_kept(kind: str, why: str) -> None:
    lines = receipt(kind=kind, stays={"daily": ("2026-11-23", "2026-11-24")}).summary(200).splitlines()
    assert lines[-1] == f"  daily                   keeps statistics for 2026-11-23, 2026-11-24: {why}"


def plain(page: str) -> str:
    """A page without its styles."""
    return re.sub(r" style='[^']*'", "", page)


def test_the_tables_state_why_rows_are_missing() -> None:
    assert "<td>gated by condition</td><td>28</td>" in plain(receipt()._repr_html_())


def test_the_tables_show_balance_fields_and_outputs() -> None:
    shown = plain(receipt()._repr_html_())
    for text in ("<td>1,000</td>", "<td>ip_address</td>", "<td>truncate_ip</td>", "<td>pseudonymized</td>"):
        assert text in shown


def test_a_dropped_field_that_was_not_read_has_no_count() -> None:
    made = receipt(fields={"mail": FieldReceipt("drop", None)})
    assert "dropped                 mail" in made.summary()
    assert "<td>mail</td><td>drop</td><td>not counted</td>" in plain(made._repr_html_())


def test_every_text_in_the_tables_is_escaped() -> None:
    evil = "<script>alert(1)</script>"
    made = receipt(
        pipeline=evil,
        purpose=evil,
        dates=(evil,),
        fields={evil: FieldReceipt(evil)},
        outputs={evil: WrittenOutput(evil, 0)},
    )
    assert "<script" not in made._repr_html_()
    assert "&lt;script&gt;" in made._repr_html_()
