"""What a file says of its encrypted columns, read without a key."""

from __future__ import annotations

from pathlib import Path
from tempfile import NamedTemporaryFile

import pyarrow as pa
import pyarrow.parquet as pq
from hypothesis import given
from hypothesis import strategies as st

from minimize.keys.parquet_footer import EncryptedColumns, read_encrypted_columns, read_struct
from tests.keys.files import CLOSED, keyring, rows, written


def test_a_footer_lists_encrypted_columns_with_their_master_keys(tmp_path: Path) -> None:
    found = read_encrypted_columns(written(tmp_path, keyring(tmp_path)))
    assert sorted(found.masters) == sorted(CLOSED)
    assert found.masters["phone"] == found.masters["tags"] == "encrypt.identified/1"
    assert found.columns_by_master_key(["device", "open"]) == {"encrypt.pseudonymized/1": ["device"]}


def test_the_columns_of_one_category_share_what_their_master_key_wraps(tmp_path: Path) -> None:
    found = read_encrypted_columns(written(tmp_path, keyring(tmp_path)))
    assert {master: len(wrapped) for master, wrapped in found.wrapped.items()} == {
        "encrypt.identified/1": 1,
        "encrypt.pseudonymized/1": 1,
    }


def test_a_plain_file_has_none(tmp_path: Path) -> None:
    pq.write_table(pa.Table.from_batches([rows()]), tmp_path / "plain.parquet")
    assert read_encrypted_columns(tmp_path / "plain.parquet") == EncryptedColumns()


def test_a_file_without_rows_has_none_and_opens(tmp_path: Path) -> None:
    path = written(tmp_path, keyring(tmp_path), batch=rows(0))
    assert read_encrypted_columns(path) == EncryptedColumns()


@given(st.binary(max_size=64))
def test_no_bytes_make_it_fail(content: bytes) -> None:
    with NamedTemporaryFile(suffix=".parquet") as file:
        file.write(content + len(content).to_bytes(4, "little") + b"PAR1")
        file.flush()
        assert read_encrypted_columns(Path(file.name)).masters == {}


def test_a_truncated_footer_gives_no_wrong_key(tmp_path: Path) -> None:
    whole = _footer(written(tmp_path, keyring(tmp_path)))
    for length in range(0, len(whole), 97):
        cut = tmp_path / "cut.parquet"
        cut.write_bytes(whole[:length] + length.to_bytes(4, "little") + b"PAR1")
        assert set(read_encrypted_columns(cut).masters.values()) <= {"encrypt.identified/1", "encrypt.pseudonymized/1"}


def test_skipped_values_may_have_any_type() -> None:
    number, truth, byte, double, text = b"\x15\xac\x02", b"\x11", b"\x13\x07", b"\x17" + bytes(8), b"\x18\x01a"
    lists = b"\x19\x25\x02\xac\x02" + b"\x19\x22\x01\x02" + b"\x1a\x18\x01b" + b"\x19\x1c" + number + b"\x00"
    maps = b"\x1b\x00" + b"\x1b\x01\x58\x02\x01x"
    struct = b"\x1c" + b"\x05\x04\x02" + text + lists + b"\x00"
    content = number + truth + byte + double + lists + maps + struct + text + b"\x00"
    assert read_struct(content, {12: {}}) == ({12: b"a"}, len(content))


def test_lists_in_lists_without_end_are_no_footer() -> None:
    footer = b"\x19" * 5_000
    assert read_encrypted_columns(footer + len(footer).to_bytes(4, "little") + b"PAR1") == EncryptedColumns()


def _footer(path: Path) -> bytes:
    content = path.read_bytes()
    return content[-8 - int.from_bytes(content[-8:-4], "little") : -8]
