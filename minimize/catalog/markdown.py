"""Both documents as Markdown. Whatever files say is escaped: no cell ends early, and nothing becomes markup."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from minimize.catalog.model import Activity, Dataset, FieldEntry, OutputEntry, RecipientEntry, Record
from minimize.recipients import Subprocessor

_MARKUP: Final = re.compile(r"[\\|`*\[\]<>#~!&$]|(?<![A-Za-z0-9])_|_(?![A-Za-z0-9])")
"""What Markdown would not show as it is; an underscore within a word is one."""
_FROM: Final = "From the policies that are enforced, by `minimize docs`."
_FIELDS: Final = (
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
_HOUSE: Final = {
    "controller": "Controller",
    "contact": "Contact",
    "representative": "Representative",
    "dpo": "Data protection officer",
    "subjects": "Data subjects",
    "transfers": "Transfers to third countries",
    "security": "Security",
}


def catalogue_page(datasets: Sequence[Dataset]) -> str:
    """The data catalogue.

    >>> print(catalogue_page(()), end="")
    # Data catalogue
    <BLANKLINE>
    From the policies that are enforced, by `minimize docs`. Recipients are those whose functions the pipeline can feed.
    """
    parts = ["# Data catalogue", f"{_FROM} Recipients are those whose functions the pipeline can feed."]
    for each in datasets:
        parts += [f"## {shown(each.name)}", *_dataset(each)]
    return "\n\n".join(parts) + "\n"


def record_page(record: Record) -> str:
    """The record of processing activities."""
    parts = ["# Record of processing activities", f"GDPR Art. 30(1). {_FROM}"]
    parts.append(_list(f"**{_HOUSE[word]}:** {shown(text)}" for word, text in record.house))
    if record.missing:
        parts += ["## Not stated yet", _list(map(shown, record.missing))]
    for each in record.activities:
        parts += [f"## {shown(each.name)}", _list(_activity(each))]
    if record.recipients:
        parts += ["## Recipients", _table(_RECIPIENTS, map(_recipient, record.recipients))]
    if record.subprocessors:
        parts += ["## Subprocessors", _table(_SUBPROCESSORS, map(_subprocessor, record.subprocessors))]
    return "\n\n".join(filter(None, parts)) + "\n"


def shown(text: str) -> str:
    r"""Text as Markdown shows it, on one line.

    >>> print(shown("a|b\n# c <i>"))
    a\|b \# c \<i\>
    """
    plain = "".join(char if char.isprintable() else " " for char in text)
    return _MARKUP.sub(r"\\\g<0>", " ".join(plain.split()))


def _dataset(each: Dataset) -> Iterator[str]:
    yield _list(
        f"**{head}:** {shown(text)}"
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
    yield _table(_FIELDS, map(_field, each.fields))
    yield _table(("output", "category", "columns", "encrypted", "left out"), map(_output, each.outputs))


def _field(each: FieldEntry) -> tuple[str, ...]:
    meaning = f"{each.meaning} ({each.unit})" if each.unit else each.meaning
    words = (", ".join(each.purposes), each.collected, each.kept, ", ".join(each.outputs), ", ".join(each.recipients))
    return (each.key, meaning, each.role, each.before, each.after, each.leaves, each.category, *words)


def _output(each: OutputEntry) -> tuple[str, ...]:
    return each.name, each.category, ", ".join(each.columns), each.encrypted, each.suppressed


_RECIPIENTS: Final = ("recipient", "standing", "about", "functions", "fields", "contract")


def _recipient(each: RecipientEntry) -> tuple[str, ...]:
    return each.name, each.standing, each.about, ", ".join(each.functions), ", ".join(each.fields), each.contract


_SUBPROCESSORS: Final = ("name", "from", "until", "what it does")


def _subprocessor(each: Subprocessor) -> tuple[str, ...]:
    return each.name, str(each.from_), str(each.until or ""), each.about


def _activity(each: Activity) -> Iterator[str]:
    said = (
        ("Answers for it", (each.owner or "nobody is named",)),
        ("Purposes (b)", each.purposes),
        ("Data subjects (c)", (each.subjects,)),
        ("Categories of data (c)", each.data),
        ("Recipients (d)", each.recipients or ("none",)),
        ("Time limits (f)", each.limits),
        ("Security measures (g)", each.measures),
        ("Carried out", tuple(_carried(each))),
    )
    for head, texts in said:
        yield f"**{head}:** {'; '.join(map(shown, texts))}"


def _carried(each: Activity) -> Iterator[str]:
    ran = each.ran
    if ran is None:
        yield "nothing was published yet"
        return
    yield f"{ran.receipts} receipts ({', '.join(ran.kinds)}), {ran.first} to {ran.last}"
    if ran.dates:
        yield f"dates {ran.dates}"
    yield f"the last under {ran.policy}" + ("" if ran.as_today else ", which has changed since")


def _list(items: Iterable[str]) -> str:
    return "\n".join(f"- {item}" for item in items)


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    cells = [heads, ("---",) * len(heads), *(tuple(map(shown, row)) for row in rows)]
    return "\n".join(f"| {' | '.join(row)} |" for row in cells)
