"""Reads the same rows through the door, or with pyarrow from files that nobody encrypted; prints wall and CPU seconds and rows.

Run by `door`, in a process of its own. What is timed is the one read, after a small one that connects or opens.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

FILTER: Final = {"owner_type": "corporate"}
PURPOSE: Final = "service_maintenance"
DATASET: Final = "benchmark_records"


def main(how: str, *words: str) -> None:
    """Takes how: `door` with the server's process, URL, certificate and token; `filtered` or `whole` with the folder of files."""
    served, *rest = words if how == "door" else ("", *words)
    read = _door(*rest) if how == "door" else _plain(*rest, filtered=how == "filtered")
    read(few=True)
    wall, cpu = time.perf_counter(), _cpu(served)
    rows = read(few=False).num_rows
    sys.stdout.write(json.dumps({"wall": time.perf_counter() - wall, "cpu": _cpu(served) - cpu, "rows": rows}))


def _cpu(served: str) -> float:
    """CPU seconds of this process, and of the server if there is one."""
    if not served:
        return time.process_time()
    fields = Path(f"/proc/{served}/stat").read_text().rpartition(")")[2].split()
    return time.process_time() + (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _door(url: str, ca: str, token: str) -> Callable[..., Any]:
    import minimize

    door = minimize.connect(url, token=token, ca=ca)

    def read(*, few: bool) -> Any:
        columns = ["owner_type"] if few else None
        return door.read(DATASET, columns, {"owner_type": "none"} if few else FILTER, PURPOSE)

    return read


def _plain(folder: str, *, filtered: bool) -> Callable[..., Any]:
    import pyarrow.compute as pc
    import pyarrow.dataset as ds

    data = ds.dataset(folder, format="parquet", exclude_invalid_files=True)
    rule = pc.field("owner_type") == "corporate"

    def read(*, few: bool) -> Any:
        if few:
            return data.head(1)
        return data.to_table(filter=rule if filtered else None)

    return read


if __name__ == "__main__":
    main(*sys.argv[1:])
