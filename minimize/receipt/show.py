"""A receipt for people: a few lines of text, and small tables for a notebook."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from textwrap import wrap
from typing import TYPE_CHECKING

from minimize.counts import counted, number
from minimize.markup import page, paragraph, table
from minimize.receipt.model import FieldReceipt, Output

if TYPE_CHECKING:
    from minimize.receipt.receipt import Receipt

_FATES = ("written", "gated", "quarantined", "suppressed", "deduplicated")
_LABEL = 24
_WIDTH = 100
KEPT = "it could not be counted anew, or the change would give a few subjects away"
"""Why an aggregate keeps figures though records behind it are gone."""


def summary(receipt: Receipt, width: int = _WIDTH) -> str:
    """What happened, as lines of text without a newline at the end: what was dropped, gated, generalized, suppressed."""
    labelled = [(label, text) for label, text in _lines(receipt) if text]
    return "\n".join([_title(receipt), *(_line(label, text, width) for label, text in labelled)])


def html(receipt: Receipt) -> str:
    """What happened, as tables; every text in them is escaped."""
    return page(
        paragraph(_title(receipt)),
        table("rows", ("read", *_FATES), [[number(getattr(receipt.rows, name)) for name in ("read", *_FATES)]], 0),
        table("why, and what nobody declared", ("", "rows"), [[what, number(n)] for what, n in _causes(receipt)], 1),
        table(
            "fields",
            ("field", "did", "values", "changed", "gated", "unparsable", "dropped"),
            [[name, *_field_cells(each)] for name, each in receipt.fields.items()],
            2,
        ),
        table(
            "outputs",
            ("output", "category", "rows", "files", "groups suppressed"),
            [[name, *_output_cells(each)] for name, each in receipt.outputs.items()],
            2,
        ),
    )


def _title(receipt: Receipt) -> str:
    dates = f" for {', '.join(receipt.dates)}" if receipt.dates else ""
    return f"{receipt.pipeline}: {receipt.kind} {receipt.run_id}{dates}, purpose {receipt.purpose}"


def _lines(receipt: Receipt) -> Iterable[tuple[str, str]]:
    rows = receipt.rows
    counts = {name: getattr(rows, name) for name in _FATES}
    fates = " + ".join(f"{number(count)} {name}" for name, count in counts.items() if count or name == "written")
    yield "rows", f"{number(rows.read)} read = {fates}"
    yield "rows gated by", _named(_reasons(receipt))
    yield "quarantined as", _named(receipt.quarantine.by_code.items())
    fields = receipt.fields
    yield "dropped", ", ".join(name for name, each in fields.items() if each.did == "drop")
    yield "undeclared, dropped", _named(receipt.undeclared.items())
    yield "values gated", _of(fields, "gated")
    yield "values dropped by case", _of(fields, "dropped")
    yield "generalized", ", ".join(f"{name} ({_did(each)})" for name, each in fields.items() if _is_treated(each))
    yield "could not be treated", _of(fields, "unparsable")
    yield "kept as they are", ", ".join(name for name, each in fields.items() if each.did == "keep")
    for name, output in receipt.outputs.items():
        yield name, _output_line(output)
    for name, dates in (receipt.stays or {}).items():
        yield name, f"keeps figures for {', '.join(dates) or 'all'}: {KEPT}"


def _of(fields: Mapping[str, FieldReceipt], what: str) -> str:
    found = [(name, getattr(each, what), each.values) for name, each in fields.items()]
    return ", ".join(f"{name} {number(count)} of {number(values or 0)}" for name, count, values in found if count)


def _is_treated(each: FieldReceipt) -> bool:
    return each.did not in ("drop", "keep")


def _line(label: str, text: str, width: int) -> str:
    indent = " " * (_LABEL + 2)
    lines = wrap(text, width - len(indent), break_long_words=False, break_on_hyphens=False)
    return "\n".join(
        [
            f"  {label:<{_LABEL}}{lines[0]}" if len(label) < _LABEL else f"  {label} {lines[0]}",
            *(indent + each for each in lines[1:]),
        ]
    )


def _reasons(receipt: Receipt) -> list[tuple[str, int]]:
    return list(receipt.gated_by.reasons.items())


def _causes(receipt: Receipt) -> Iterable[tuple[str, int]]:
    yield from ((f"gated by {name}", count) for name, count in _reasons(receipt) if count)
    yield from ((f"quarantined as {code}", count) for code, count in receipt.quarantine.by_code.items())
    yield from ((f"undeclared {name}, dropped", count) for name, count in receipt.undeclared.items())


def _named(counts: Iterable[tuple[str, int]]) -> str:
    return ", ".join(f"{name} {number(count)}" for name, count in counts if count)


def _output_line(output: Output) -> str:
    text = f"{counted(output.rows, 'row')} in {counted(len(output.files), 'file')}, {output.category}"
    if output.groups_suppressed:
        text += (
            f"; {counted(output.groups_suppressed, 'group')} suppressed ({counted(output.rows_suppressed or 0, 'row')})"
        )
    text += f"; {counted(output.deferred, 'row')} deferred" if output.deferred else ""
    return text + (f"; {number(output.too_late)} too late" if output.too_late else "")


def _did(each: FieldReceipt) -> str:
    return each.did if isinstance(each.did, str) else " → ".join(each.did)


def _field_cells(each: FieldReceipt) -> list[str]:
    values = "not counted" if each.values is None else number(each.values)
    return [_did(each), values, *(number(n) for n in (each.changed, each.gated, each.unparsable, each.dropped))]


def _output_cells(output: Output) -> list[str]:
    suppressed = "" if output.groups_suppressed is None else number(output.groups_suppressed)
    return [output.category, number(output.rows), number(len(output.files)), suppressed]
