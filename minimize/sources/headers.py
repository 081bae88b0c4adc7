"""Header of the files that people write: settings, events, lists of subjects.

In these files, a row without a subject is about a whole tenant. A misspelt column of subjects must therefore never count as an
absent one.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from minimize.identifiers import canonical_word
from minimize.text import similar_words

_LEAST_SIMILARITY = 0.75


def misspelt_columns(names: Sequence[str], columns: Sequence[str]) -> Iterator[tuple[str, str]]:
    """The columns of which a header may have another spelling, each with a message.

    >>> [name for name, _ in misspelt_columns(["tenant_id", "Subject", "note"], ["tenant_id", "subject"])]
    ['subject']
    """
    others = [canonical_word(name) for name in names if name not in columns]
    missing = [name for name in columns if name not in names]
    for name in columns:
        if name in others or (name in missing and similar_words(name, others, cutoff=_LEAST_SIMILARITY)):
            yield name, f"the header has another spelling of the column {name}"
        elif name == "subject" and name in missing and any(other.endswith("id") for other in others):
            yield name, "the header has a column of unknown ids and no subject"


def header_hint(columns: Sequence[str]) -> str:
    """What to do about a misspelt column."""
    *others, last = columns
    return f"The columns are {', '.join(others)} and {last}. Write them in lower case; add an empty one, or correct the header."
