"""The counts of a receipt that may be shown, and the exact ones, sealed in an attachment.

Together with the statistics of an aggregate, an exact number of rows reveals how many rows a suppressed group has. So the
receipt, the printed summary, log, metrics, lineage and reports have only the counts of `shown_receipt`:

- of an aggregate, never the suppressed groups and rows, nor whether there are any
- of a run that publishes no records, only the published rows, the quarantine, and a rounded number of rows read

The exact counts are sealed for the holder of the keyring, who needs them for `verify` and to run again.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from minimize.errors import VerificationError
from minimize.keys.keyring import Subkeys, open_content, seal_content
from minimize.receipts.parts import FieldReceipt, GatedRows, RowCounts, WrittenOutput, sha256_text
from minimize.receipts.receipt import Receipt
from minimize.records import RECORDS

SEALED_COUNTS_FILE: Final = "counts.sealed"
"""The name of the attachment."""
SMALLEST_STEP: Final = 50
"""Shown numbers of rows are rounded to two digits, and at least to a multiple of this."""
_SUBKEY_PURPOSES: Final = ("counts/1", "counts/2")
_WIDTH: Final = 20
_BLOCK: Final = 512
"""The sealed text has a length that depends on the number of its counts and not on their digits."""


def round_count(count: int) -> int:
    """A number of rows as it may be shown if the exact one would reveal a suppressed group. Only zero is zero.

    >>> [round_count(count) for count in (0, 1, 40, 76, 4_966, 12_345)]
    [0, 50, 50, 100, 5000, 12000]
    """
    step = max(SMALLEST_STEP, 10 ** (len(str(count)) - 2))
    return max(SMALLEST_STEP, (count + step // 2) // step * step) if count else 0


def rows_text(count: int, *, sealed: bool) -> str:
    """A number of rows in words, rounded if the exact one is sealed. Rounded numbers may be rounded again.

    >>> rows_text(1_234, sealed=False), rows_text(1_234, sealed=True)
    ('1,234', 'about 1,200')
    """
    return f"about {round_count(count):,}" if sealed else f"{count:,}"


def shown_receipt(receipt: Receipt, *, has_records: bool | None = None) -> Receipt:
    """The receipt with the counts that may be shown, unsigned. Unchanged if it has no others.

    `has_records` is whether the run that wrote the files published records; if omitted, whether the receipt has records.
    """
    records = RECORDS in receipt.outputs if has_records is None else has_records
    outputs = {name: _shown_output(output, records) for name, output in receipt.outputs.items()}
    shown = {} if records or not receipt.reads_source else _shown_run(receipt)
    changed = replace(receipt, outputs=outputs, **shown)
    return receipt if changed == receipt else replace(changed, signature=None)


def _shown_output(output: WrittenOutput, records: bool) -> WrittenOutput:
    shown = replace(output, groups_suppressed=None, rows_suppressed=None, groups_past=None, rows_past=None)
    return shown if records else replace(shown, too_late=None, too_early=None, event_days=None, days=None)


def _shown_run(receipt: Receipt) -> dict[str, Any]:
    """The counts of a run that publishes no records."""
    if receipt.rows.is_sealed:
        return {}
    return {
        "rows": RowCounts(round_count(receipt.rows.read), None, None, None, None, None),
        "gated_by": GatedRows(None, None, None, None),
        "fields": {
            name: FieldReceipt(field.did, None, None, None, None, None, field.outputs)
            for name, field in receipt.fields.items()
        },
        "undeclared": {name: round_count(count) for name, count in receipt.undeclared.items()},
        "inputs": tuple(replace(each, rows=None) for each in receipt.inputs),
    }


def seal_counts(
    receipt: Receipt, keys: Subkeys, *, has_records: bool | None = None
) -> tuple[Receipt, dict[str, bytes]]:
    """The receipt with the counts that may be shown, and the attachment with the exact ones, whose digest it names.

    Raises CheckFailed if the exact counts do not balance, KeyringError without the `subject` key.
    """
    receipt.check()
    shown = shown_receipt(receipt, has_records=has_records)
    counts = _difference(receipt.to_json(), shown.to_json())
    if not counts:
        return receipt, {}
    content = seal_content(_padded_text(counts), keys, _SUBKEY_PURPOSES, receipt.run_id.encode())
    return replace(shown, files={**shown.files, SEALED_COUNTS_FILE: sha256_text(content)}), {
        SEALED_COUNTS_FILE: content
    }


def open_counts(receipt: Receipt, content: bytes, keys: Subkeys) -> Receipt:
    """The receipt with its exact counts, unsigned. Takes the content of its attachment.

    Raises VerificationError if the content is not that of this receipt, KeyringError if the keyring does not have its key.
    """
    if sha256_text(content) == receipt.files.get(SEALED_COUNTS_FILE):
        try:
            text = open_content(content, keys, _SUBKEY_PURPOSES, receipt.run_id.encode())
            counts = None if text is None else json.loads(text)
        except ValueError:
            counts = None
        exact = None if counts is None else Receipt.from_document(_merge_counts(receipt.to_json(), counts))
        if exact is not None:
            return replace(exact, signature=None)
    raise VerificationError(f"the sealed counts of {receipt.run_id} cannot be opened")


def _padded_text(counts: Mapping[str, Any]) -> bytes:
    text = json.dumps(counts, ensure_ascii=False, separators=(",", ":"))
    numbers = re.findall(r"(?<=[:\[,])\d+(?=[,}\]])", text)
    length = len(text.encode()) + sum(_WIDTH - len(number) for number in numbers)
    return text.encode() + b" " * (length + -length % _BLOCK - len(text.encode()))


def _difference(exact: Any, shown: Any) -> Any:
    """The members of a JSON value that differ from the shown one. A list of the same length is an object by position."""
    if isinstance(exact, list) and isinstance(shown, list) and len(exact) == len(shown):
        exact, shown = (dict(zip(map(str, range(len(each))), each, strict=True)) for each in (exact, shown))
    if not isinstance(exact, dict) or not isinstance(shown, dict):
        return exact
    return {key: _difference(value, shown.get(key)) for key, value in exact.items() if value != shown.get(key)}


def _merge_counts(shown: Any, exact: Any) -> Any:
    """The inverse of `_difference`."""
    if not isinstance(exact, dict):
        return exact
    if isinstance(shown, list):
        return [_merge_counts(value, exact[str(at)]) if str(at) in exact else value for at, value in enumerate(shown)]
    members = shown if isinstance(shown, dict) else {}
    return {**members, **{key: _merge_counts(members.get(key), value) for key, value in exact.items()}}
