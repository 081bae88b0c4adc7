from __future__ import annotations

import pyarrow as pa

from minimize.techniques import Context
from minimize.techniques.keep import Keep


def test_the_array_is_the_same(context: Context) -> None:
    values = pa.array(["a", None])
    assert Keep().apply(values, context).values is values


def test_keep_leaves_everything() -> None:
    assert Keep.leaves == "everything"
