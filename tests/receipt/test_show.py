from __future__ import annotations

import re

from minimize.receipts import FieldReceipt, GatedRows, QuarantineEntry, RowCounts, WrittenOutput

from .make import receipt, small


def test_the_summary_says_what_happened() -> None:
    assert receipt().summary().splitlines() == [
        "device_telemetry: run 20261125T000000Z-0123456789ab for 2026-11-24, purpose service_maintenance",
        "  rows                    1,000 read = 950 written + 30 gated + 20 quarantined",
        "  rows gated by           condition 28, retention 2",
        "  quarantined as          malformed 15, wrong_type 5",
        "  undeclared, dropped     /new_thing 12",
        "  generalized             ip_address (truncate_ip)",
        "  could not be treated    ip_address 2 of 950",
        "  records                 950 rows in 1 file, pseudonymized",
        "  fleet_by_version        0 rows in 0 files, aggregated; 7 groups suppressed (33 rows)",
    ]


def test_the_summary_of_an_empty_run_is_short() -> None:
    made = small(
        1, fields={}, undeclared={}, gated_by=GatedRows(), rows=RowCounts(), quarantine=QuarantineEntry(), dates=()
    )
    assert len(made.summary().splitlines()) == 2


def test_a_chain_and_late_rows_are_told() -> None:
    made = receipt(
        fields={"os": FieldReceipt(("truncate_version", "map"), 1, 1)},
        outputs={"fleet": WrittenOutput("aggregated", 0, 0, 0, deferred=3, too_late=2)},
    )
    assert "os (truncate_version → map)" in made.summary()
    assert "2 too late" in made.summary()


def test_an_aggregate_that_keeps_figures_is_told() -> None:
    lines = receipt(stays={"daily": ("2026-11-23", "2026-11-24")}).summary(200).splitlines()
    why = "it could not be counted anew, or the change would give a few subjects away"
    assert lines[-1] == f"  daily                   keeps figures for 2026-11-23, 2026-11-24: {why}"


def plain(page: str) -> str:
    """A page without its styles."""
    return re.sub(r" style='[^']*'", "", page)


def test_the_tables_say_why_rows_are_missing() -> None:
    assert "<td>gated by condition</td><td>28</td>" in plain(receipt()._repr_html_())


def test_the_tables_show_balance_fields_and_outputs() -> None:
    shown = plain(receipt()._repr_html_())
    for text in ("<td>1,000</td>", "<td>ip_address</td>", "<td>truncate_ip</td>", "<td>pseudonymized</td>"):
        assert text in shown


def test_a_dropped_field_that_nobody_looked_at_has_no_count() -> None:
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
