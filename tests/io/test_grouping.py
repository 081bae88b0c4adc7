"""What waits until there is enough for a row group."""

from __future__ import annotations

import pyarrow as pa

from minimize.output.sink import PendingBatches


def test_what_waits_is_counted_in_rows_and_bytes() -> None:
    waiting = PendingBatches()
    for _ in range(2):
        waiting.add(pa.RecordBatch.from_pydict({"a": pa.array([1, 2, 3], pa.int64())}))
    assert (len(waiting.batches), waiting.rows, waiting.bytes) == (2, 6, 48)
