"""One flipped bit in a page that has a checksum: every reader of Parquet refuses the file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest

from minimize.datasets.lifecycle_events import load_events
from minimize.errors import MinimizeError
from minimize.keys import find_kms
from minimize.keys.parquet_encryption import dataset_format, open_parquet
from minimize.settings import load_settings
from minimize.stores import open_parquet_file
from tests.keys.files import keyring

SETTING = {
    "tenant_id": "north",
    "setting": "location",
    "value": "on",
    "holder": "admin",
    "valid_from": "2026-01-01T00:00:00Z",
    "recorded_at": "2026-01-01T00:00:00Z",
}
EVENT = {"tenant_id": "north", "subject": "D-1", "event": "reset", "at": "2026-01-01T00:00:00Z"}


def from_dataset(path: Path) -> pa.Table:
    keys = path.parent / "a.keys"
    return ds.dataset(
        str(path), format=dataset_format(find_kms(keys) if keys.exists() else keyring(path.parent))
    ).to_table()


READERS: dict[str, tuple[dict[str, str], Callable[[Path], Any]]] = {
    "settings": (SETTING, load_settings),
    "event file": (EVENT, load_events),
    "published file": (EVENT, lambda path: open_parquet(path).read()),
    "stored file": (EVENT, lambda path: open_parquet_file(path).read()),
    "dataset": (EVENT, from_dataset),
}


@pytest.mark.parametrize("has_checksum", [True, False])
@pytest.mark.parametrize("reader", READERS)
def test_a_flipped_bit_in_a_page_with_a_checksum_is_refused(tmp_path: Path, reader: str, has_checksum: bool) -> None:
    row, read = READERS[reader]
    path = tmp_path / "a.parquet"
    pq.write_table(
        pa.Table.from_pylist([row]),
        path,
        compression="none",
        use_dictionary=False,
        write_statistics=False,
        write_page_checksum=has_checksum,
    )
    content = bytearray(path.read_bytes())
    read(path)
    content[content.index(b"north") + 2] ^= 1
    path.write_bytes(content)
    if not has_checksum:  # the control: nothing else shows the flipped bit
        read(path)
        return
    with pytest.raises((MinimizeError, OSError, pa.ArrowException)):
        read(path)
