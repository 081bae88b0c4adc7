"""Write reference/third-party-data.md, the data that third parties receive and send: `python docs/third_party_rows.py`.

The rows come from the manifests. The pipelines of a sent row are those that can supply its function. The pipeline of a
received row is named RECIPIENT_FUNCTION.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import date
from pathlib import Path

from minimize.recipients import Function, Recipient, load_recipients
from minimize.recipients.pages import form_text
from minimize.report.catalogue import pipelines_in

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "reference" / "third-party-data.md"
PIPELINES = ROOT / "pipelines"
DAY = date(2026, 1, 1)
"""The first day of the shipped contracts."""
HEAD = """# Data of third parties

All data that the service sends to third parties and receives from them. A row is an entry of a recipient's list of data; one row
can have several fields. `minimize recipient show NAME` prints the use of each field.

`python docs/third_party_rows.py` generates this page from the manifests in `pipelines/recipients`. A test fails if they differ.
"""
COLUMNS = ("row", "function", "form", "pipeline")
TITLES = {
    ("apple", "outbound"): "Sent to Apple",
    ("apple", "inbound"): "Received from Apple",
    ("google", "outbound"): "Sent to Google",
    ("google", "inbound"): "Received from Google",
    ("jamf", "inbound"): "Received from Jamf Pro",
    ("threat_defense", "outbound"): "Sent to a vendor of mobile threat defense",
    ("threat_defense", "inbound"): "Received from a vendor of mobile threat defense",
    ("support_desk", "outbound"): "Sent to the support desk, a processor",
}


def page() -> str:
    """The whole page."""
    known = load_recipients(PIPELINES / "recipients")
    feeding: dict[tuple[str, str], list[str]] = {}
    for each in pipelines_in([str(PIPELINES)], DAY):
        for fed in each.fed:
            feeding.setdefault((fed.recipient, fed.function.name), []).append(each.pipeline.pipeline)
    parts = [HEAD]
    for recipient in map(known.load, known.names()):
        for functions in (recipient.outbound, recipient.inbound):
            if functions:
                parts += [*_section(recipient, functions, feeding)]
    return "\n".join(parts)


def _section(
    recipient: Recipient, functions: tuple[Function, ...], feeding: Mapping[tuple[str, str], list[str]]
) -> Iterator[str]:
    name, direction = recipient.recipient, functions[0].direction
    title = TITLES.get((name, direction), f"{name}, {direction}")
    rows = [row for function in functions for row in _rows(name, function, feeding)]
    yield f"## {title}: {len(rows)} rows\n"
    yield f"Manifest: `pipelines/recipients/{name}.yaml`\n"
    yield from (_line(cells) for cells in (COLUMNS, ("---",) * len(COLUMNS), *rows))
    yield ""


def _rows(
    recipient: str, function: Function, feeding: Mapping[tuple[str, str], list[str]]
) -> Iterator[tuple[str, ...]]:
    if function.direction == "outbound":
        pipelines = feeding.get((recipient, function.name), [])
    else:
        name = f"{recipient}_{function.name}"
        pipelines = [name] if (PIPELINES / name / "pipeline.yaml").is_file() else []
    for row in function.rows:
        fields = [field for field in function.fields.values() if field.listed_as == row]
        forms = "; ".join(
            form_text(field) if field.key == row else f"{field.key}: {form_text(field)}" for field in fields
        )
        yield row, function.name, forms, ", ".join(pipelines) or "none"


def _line(cells: tuple[str, ...]) -> str:
    shown = (re.sub(r"([|*])", r"\\\1", cell) for cell in cells)
    return f"| {' | '.join(shown)} |"


if __name__ == "__main__":
    PAGE.write_text(page())
