"""Names that a request may have, and nothing else: of datasets, their outputs, columns, purposes and incidents."""

from __future__ import annotations

import re
from typing import Final

RECORDS: Final = "records"
LONGEST: Final = 256
_DATASET: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_-]{0,127}(?:/[A-Za-z_][A-Za-z0-9_-]{0,127})?")
_WORD: Final = re.compile(r"[^\x00-\x1f\x7f]{1,256}")


def is_dataset(text: str) -> bool:
    """Whether a text can name a dataset.

    >>> is_dataset("telemetry/records"), is_dataset("../telemetry"), is_dataset("telemetry/../x")
    (True, False, False)
    """
    return bool(_DATASET.fullmatch(text))


def is_word(text: str) -> bool:
    """Whether a text can name anything else: one line, not too long."""
    return bool(_WORD.fullmatch(text))


def parts(dataset: str) -> tuple[str, str]:
    """The pipeline and the output that a dataset's name means.

    >>> parts("telemetry")
    ('telemetry', 'records')
    """
    pipeline, _, output = dataset.partition("/")
    return pipeline, output or RECORDS
