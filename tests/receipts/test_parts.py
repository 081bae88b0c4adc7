"""The parts of a receipt."""

from __future__ import annotations

from dataclasses import asdict

from minimize.receipts import FieldReceipt


def test_of_a_field_of_which_nothing_was_counted_every_count_is_zero() -> None:
    counts = {"values": 0, "changed": 0, "gated": 0, "unparsable": 0, "dropped": 0}
    assert asdict(FieldReceipt("keep")) == {"did": "keep", **counts, "outputs": None}
