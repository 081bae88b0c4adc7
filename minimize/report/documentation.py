"""Documentation (`minimize docs`): data catalogue and record of processing, as Markdown and as JSON.

All text from files is escaped: no cell ends early, and nothing becomes markup.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date
from os import PathLike
from pathlib import Path
from typing import Final

from minimize.errors import redact_errors
from minimize.recipients import Subprocessor
from minimize.report.catalogue import (
    ActivityEntry,
    DatasetEntry,
    Documentation,
    FieldEntry,
    OutputEntry,
    ProcessingRecord,
    RecipientEntry,
    dataset_entry,
    pipelines_in,
    recipients_of,
    stated_processing,
    subprocessors_of,
)
from minimize.report.processing_record import processing_record
from minimize.stores import durable_files

_MARKDOWN_SIGNS: Final = re.compile(r"[\\|`*\[\]<>#~!&$]|(?<![A-Za-z0-9])_|_(?![A-Za-z0-9])")
"""What Markdown would not show as it is; an underscore within a word is one."""
_ORIGIN: Final = "From the policies that are enforced, by `minimize docs`."
_FIELD_HEADS: Final = (
    "field",
    "meaning",
    "role",
    "before",
    "after",
    "leaves",
    "category",
    "purposes",
    "collected if",
    "kept",
    "outputs",
    "recipients",
)
_STATED_HEADS: Final = {
    "controller": "Controller",
    "contact": "Contact",
    "representative": "Representative",
    "dpo": "Data protection officer",
    "subjects": "Data subjects",
    "transfers": "Transfers to third countries",
    "security": "Security",
}


def catalogue_page(datasets: Sequence[DatasetEntry]) -> str:
    """The data catalogue.

    >>> print(catalogue_page(()), end="")
    # Data catalogue
    <BLANKLINE>
    From the policies that are enforced, by `minimize docs`. Recipients are those whose functions the pipeline can feed.
    """
    parts = ["# Data catalogue", f"{_ORIGIN} Recipients are those whose functions the pipeline can feed."]
    for each in datasets:
        parts += [f"## {escape_markdown(each.name)}", *_dataset_parts(each)]
    return "\n\n".join(parts) + "\n"


def record_page(record: ProcessingRecord) -> str:
    """The record of processing activities."""
    parts = ["# Record of processing activities", f"GDPR Art. 30(1). {_ORIGIN}"]
    parts.append(_markdown_list(f"**{_STATED_HEADS[word]}:** {escape_markdown(text)}" for word, text in record.house))
    if record.missing:
        parts += ["## Not stated yet", _markdown_list(map(escape_markdown, record.missing))]
    for each in record.activities:
        parts += [f"## {escape_markdown(each.name)}", _markdown_list(_activity_lines(each))]
    if record.recipients:
        parts += ["## Recipients", _markdown_table(_RECIPIENT_HEADS, map(_recipient_cells, record.recipients))]
    if record.subprocessors:
        parts += [
            "## Subprocessors",
            _markdown_table(_SUBPROCESSOR_HEADS, map(_subprocessor_cells, record.subprocessors)),
        ]
    return "\n\n".join(filter(None, parts)) + "\n"


def escape_markdown(text: str) -> str:
    r"""Text as Markdown shows it, on one line.

    >>> print(escape_markdown("a|b\n# c <i>"))
    a\|b \# c \<i\>
    """
    plain = "".join(char if char.isprintable() else " " for char in text)
    return _MARKDOWN_SIGNS.sub(r"\\\g<0>", " ".join(plain.split()))


def _dataset_parts(each: DatasetEntry) -> Iterator[str]:
    yield _markdown_list(
        f"**{head}:** {escape_markdown(text)}"
        for head, text in (
            ("Policy", f"{each.policy}, version {each.version}"),
            ("Owner", each.owner or "nobody is named"),
            ("Purpose", each.purpose),
            ("Source", each.source),
            ("Kept", each.kept),
            ("Features", " · ".join(each.features)),
            ("Must not arrive", ", ".join(each.never)),
        )
        if text
    )
    yield _markdown_table(_FIELD_HEADS, map(_field_cells, each.fields))
    yield _markdown_table(("output", "category", "columns", "encrypted", "left out"), map(_output_cells, each.outputs))


def _field_cells(each: FieldEntry) -> tuple[str, ...]:
    meaning = f"{each.meaning} ({each.unit})" if each.unit else each.meaning
    words = (", ".join(each.purposes), each.collected, each.kept, ", ".join(each.outputs), ", ".join(each.recipients))
    return (each.key, meaning, each.role, each.before, each.after, each.leaves, each.category, *words)


def _output_cells(each: OutputEntry) -> tuple[str, ...]:
    return each.name, each.category, ", ".join(each.columns), each.encrypted, each.suppressed


_RECIPIENT_HEADS: Final = ("recipient", "standing", "about", "functions", "fields", "contract")


def _recipient_cells(each: RecipientEntry) -> tuple[str, ...]:
    return each.name, each.standing, each.about, ", ".join(each.functions), ", ".join(each.fields), each.contract


_SUBPROCESSOR_HEADS: Final = ("name", "from", "until", "what it does")


def _subprocessor_cells(each: Subprocessor) -> tuple[str, ...]:
    return each.name, str(each.from_), str(each.until or ""), each.about


def _activity_lines(each: ActivityEntry) -> Iterator[str]:
    said = (
        ("Answers for it", (each.owner or "nobody is named",)),
        ("Purposes (b)", each.purposes),
        ("Data subjects (c)", (each.subjects,)),
        ("Categories of data (c)", each.data),
        ("Recipients (d)", each.recipients or ("none",)),
        ("Time limits (f)", each.limits),
        ("Security measures (g)", each.measures),
        ("Carried out", tuple(_publication_texts(each))),
    )
    for head, texts in said:
        yield f"**{head}:** {'; '.join(map(escape_markdown, texts))}"


def _publication_texts(each: ActivityEntry) -> Iterator[str]:
    ran = each.ran
    if ran is None:
        yield "nothing was published yet"
        return
    yield f"{ran.receipts} receipts ({', '.join(ran.kinds)}), {ran.first} to {ran.last}"
    if ran.dates:
        yield f"dates {ran.dates}"
    yield f"the last under {ran.policy}" + ("" if ran.as_today else ", which has changed since")


def _markdown_list(items: Iterable[str]) -> str:
    return "\n".join(f"- {item}" for item in items)


def _markdown_table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    cells = [heads, ("---",) * len(heads), *(tuple(map(escape_markdown, row)) for row in rows)]
    return "\n".join(f"| {' | '.join(row)} |" for row in cells)


@redact_errors
def collect_documentation(paths: Sequence[str], on: date) -> Documentation:
    """What the pipelines of these paths process, the recipients of their house, and what their outputs' receipts tell.

    Takes pipelines' files or folders, or folders of such folders, and the day on which contracts must be in force.
    Raises ConfigurationError, PolicyError, RefusedError.
    """
    known = pipelines_in(paths, on)
    recipients = recipients_of(known)
    return Documentation(
        tuple(map(dataset_entry, known)),
        processing_record(known, recipients, stated_processing(known), subprocessors_of(known)),
    )


@redact_errors
def write_documentation(paths: Sequence[str], out: str | PathLike[str], on: date) -> list[Path]:
    """Writes both documents, as of a day, into a folder, over what they were before. Gives their paths."""
    found = collect_documentation(paths, on)
    whole = found.as_json()
    texts = {
        "catalogue.md": catalogue_page(found.catalogue),
        "catalogue.json": _json_text(whole["catalogue"]),
        "processing.md": record_page(found.record),
        "processing.json": _json_text(whole["processing"]),
    }
    files = {Path(out) / name: text for name, text in texts.items()}
    durable_files.with_output_errors(_write_files, files)
    return list(files)


def _json_text(body: object) -> str:
    return json.dumps(body, indent=2, ensure_ascii=False) + "\n"


def _write_files(files: Mapping[Path, str]) -> None:
    for path, text in files.items():
        durable_files.make_folder(path.parent)
        durable_files.write_file(path, text.encode())
