"""Which columns are encrypted, under which keys.
Opening files of which some columns are encrypted: with all keys, with some, with none.
What goes over many files goes on without those whose keys were destroyed.
"""

from __future__ import annotations

import pickle
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest

from minimize.errors import KeyringError
from minimize.keys import Keyring, Kms, MasterKey, add_key
from minimize.keys.keyring import KEY_DESTROYED, destroy_key
from minimize.keys.parquet_encryption import (
    CategoryEncryption,
    dataset_format,
    has_unusable_name,
    open_parquet,
    parquet_column_paths,
    unless_shredded,
)
from minimize.keys.parquet_footer import read_encrypted_columns
from tests.keys.files import CLOSED, NOW, SCHEMA, encryption, keyring, rows, written


def test_a_column_without_a_category_gets_the_strictest(tmp_path: Path) -> None:
    schema = pa.schema([("x", pa.int64())])
    assert CategoryEncryption.for_columns(keyring(tmp_path), schema).names == {"x": "identified"}


def test_the_strictest_leaf_decides_about_a_nested_column(tmp_path: Path) -> None:
    said = {"minimize:category/a/x": "pseudonymized", "minimize:category/a/y": "identified"}
    schema = pa.schema([pa.field("a", pa.struct([("x", pa.int64()), ("y", pa.int64())]), metadata=said)])
    assert CategoryEncryption.for_columns(keyring(tmp_path), schema).names == {"a": "identified"}


def test_a_file_lists_the_keys_that_encrypt_it(tmp_path: Path) -> None:
    keyed = encryption(keyring(tmp_path)).for_file("records/f.parquet", SCHEMA)
    assert keyed is not None
    assert keyed.keys == ("encrypt.footer/1", "encrypt.identified/1", "encrypt.pseudonymized/1")


def test_a_new_version_is_for_new_files(tmp_path: Path) -> None:
    kms = keyring(tmp_path)
    old = written(tmp_path, kms, "old")
    add_key(tmp_path / "a.keys", "encrypt.identified", now=NOW)
    new = written(tmp_path, kms, "new")
    assert [read_encrypted_columns(path).masters["phone"] for path in (old, new)] == [
        "encrypt.identified/1",
        "encrypt.identified/2",
    ]


def test_folders_of_a_tenant_have_keys_of_their_own(tmp_path: Path) -> None:
    found = encryption(keyring(tmp_path), "tenant_id")
    each = [
        found.for_file(f"records/date=2026-11-24/tenant_id={tenant}/f.parquet", SCHEMA) for tenant in ("north", "south")
    ]
    assert [keyed.keys for keyed in each if keyed is not None] == [
        ("encrypt.footer/1", f"encrypt.identified.t-{tenant}/1", f"encrypt.pseudonymized.t-{tenant}/1")
        for tenant in ("north", "south")
    ]


def test_a_destroyed_newest_version_writes_nothing(tmp_path: Path) -> None:
    kms = keyring(tmp_path)
    encryption(kms).check()
    destroy_key(tmp_path / "a.keys", "encrypt.pseudonymized", 1, now=NOW)
    with pytest.raises(KeyringError, match="was destroyed"):
        encryption(kms).check()


def test_a_pickle_carries_no_key(tmp_path: Path) -> None:
    found = encryption(keyring(tmp_path))
    found.check()
    pickled = pickle.dumps(found)
    ring = Keyring.load(tmp_path / "a.keys")
    assert not any(ring.bytes_of(name) in pickled for name in ring.names())
    assert pickle.loads(pickled).names == found.names


def test_leaves_are_named_as_the_file_names_them(tmp_path: Path) -> None:
    found = [path for field in SCHEMA for path in parquet_column_paths(field) if field.name in CLOSED]
    assert found == [
        "phone",
        "device",
        "apps.list.element.name",
        "apps.list.element.at",
        "tags.key_value.key",
        "tags.key_value.value",
        "place.lat",
        "place.lon",
    ]


@pytest.mark.parametrize(("name", "cannot"), [("a", False), ("a.b", False), ("a,b", True), ("a:b", True), (" a", True)])
def test_a_name_that_arrow_separates_by_cannot_be_encrypted(name: str, cannot: bool) -> None:
    assert has_unusable_name(pa.field(name, pa.int64())) is cannot
    assert has_unusable_name(pa.field("s", pa.struct([(name, pa.int64())]))) is cannot


class Some:
    """Whoever has no key of one name."""

    def __init__(self, kms: Kms, without: str) -> None:
        self.kms, self.without, self.asked = kms, without, 0

    def newest(self, name: str) -> MasterKey:
        return self.kms.newest(name)

    def wrap(self, key: bytes, master: MasterKey) -> str:
        return self.kms.wrap(key, master)

    def unwrap(self, wrapped: str, master: MasterKey) -> bytes:
        self.asked += 1
        if master.name == self.without:
            raise KeyringError(f"nobody here may use {master.name}")
        return self.kms.unwrap(wrapped, master)


def test_with_its_keys_a_file_reads_as_it_was_written(tmp_path: Path) -> None:
    kms = keyring(tmp_path)
    assert open_parquet(written(tmp_path, kms), kms).read().to_pylist() == pa.Table.from_batches([rows()]).to_pylist()


def test_a_plain_file_needs_no_key(tmp_path: Path) -> None:
    pq.write_table(pa.table({"x": [1]}), tmp_path / "plain.parquet")
    assert open_parquet(tmp_path / "plain.parquet").read().to_pydict() == {"x": [1]}


def test_open_columns_are_readable_without_a_key(tmp_path: Path) -> None:
    file = open_parquet(written(tmp_path, keyring(tmp_path)), columns=["open", "word"])
    batches = file.iter_batches(columns=["open"])
    assert [value for batch in batches for value in batch.column("open").to_pylist()] == [*range(500)]


def test_without_keys_the_error_names_file_columns_key_and_a_hint(tmp_path: Path) -> None:
    path = written(tmp_path, keyring(tmp_path))
    with pytest.raises(KeyringError) as caught:
        open_parquet(path, name="records/f.parquet")
    told = str(caught.value)
    for word in ("records/f.parquet", *CLOSED, "encrypt.identified/1", "encrypt.pseudonymized/1", "MINIMIZE_KEYS"):
        assert word in told
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None


def test_a_keyring_without_the_key_has_an_error_of_its_own(tmp_path: Path) -> None:
    path = written(tmp_path, keyring(tmp_path))
    with pytest.raises(KeyringError, match=r"encrypt\.identified/1 is not in the keyring"):
        open_parquet(path, keyring(tmp_path, "other.keys"))


def test_one_category_opens_without_the_key_of_another(tmp_path: Path) -> None:
    kms = keyring(tmp_path)
    path, some = written(tmp_path, kms), Some(kms, "encrypt.identified")
    file = open_parquet(path, some, columns=["device", "open"])
    assert sum(batch.num_rows for batch in file.iter_batches(columns=["device"])) == 500
    with pytest.raises(KeyringError, match=r"phone, tags under encrypt\.identified/1"):
        open_parquet(path, some)


def test_without_the_footers_key_nothing_encrypted_opens(tmp_path: Path) -> None:
    kms = keyring(tmp_path)
    with pytest.raises(KeyringError, match=r"the signature of the encrypted file .* cannot be checked"):
        open_parquet(written(tmp_path, kms), Some(kms, "encrypt.footer"), columns=["device"])


def test_each_key_is_asked_for_once_a_file(tmp_path: Path) -> None:
    kms = keyring(tmp_path)
    path, some = written(tmp_path, kms), Some(kms, "")
    file = open_parquet(path, some)
    file.read()
    file.read()
    assert some.asked == 3


def test_a_destroyed_key_opens_nothing(tmp_path: Path) -> None:
    kms = keyring(tmp_path)
    path = written(tmp_path, kms)
    open_parquet(path, kms)
    destroy_key(tmp_path / "a.keys", "encrypt.identified", 1, now=NOW)
    with pytest.raises(KeyringError, match=r"encrypt\.identified/1 of the keyring .* was destroyed"):
        open_parquet(path, kms)


def test_a_footer_that_was_changed_is_not_believed(tmp_path: Path) -> None:
    kms = keyring(tmp_path)
    path = written(tmp_path, kms)
    content = path.read_bytes()
    at = content.rindex(b"ARROW:schema")
    path.write_bytes(content[:at] + b"BRROW" + content[at + 5 :])
    with pytest.raises(pa.ArrowException, match="signature verification failed"):
        open_parquet(path, kms)


def test_a_dataset_of_such_files_is_read_with_keys(tmp_path: Path) -> None:
    kms = keyring(tmp_path)
    for stem in ("f", "g"):
        written(tmp_path, kms, stem)
    found = ds.dataset(str(tmp_path / "records"), format=dataset_format(kms))
    assert found.to_table(columns=["phone"], filter=ds.field("open") < 10).num_rows == 20


CHILD = """
import sys
from minimize.keys.parquet_encryption import open_parquet
from minimize.errors import KeyringError
from minimize.keys import find_kms
try:
    file = open_parquet(__import__("pathlib").Path(sys.argv[1]), find_kms(sys.argv[2]) if sys.argv[2] else None)
except KeyringError:
    print("told")
"""


@pytest.mark.parametrize("which", ["", "other.keys"])
def test_a_reader_without_the_keys_gets_an_error_and_does_not_crash(tmp_path: Path, which: str) -> None:
    path = written(tmp_path, keyring(tmp_path))
    keyring(tmp_path, "other.keys")
    keys = str(tmp_path / which) if which else ""
    child = subprocess.run([sys.executable, "-c", CHILD, str(path), keys], capture_output=True, text=True, check=False)
    assert (child.returncode, child.stdout) == (0, "told\n")


def test_pyarrow_alone_ends_the_process_there(tmp_path: Path) -> None:
    path = written(tmp_path, keyring(tmp_path))
    code = "import sys, pyarrow.parquet as pq; pq.ParquetFile(sys.argv[1]).metadata.row_group(0).column(0)"
    child = subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=False)
    assert child.returncode < 0


def test_an_opened_file_needs_no_further_key_request(tmp_path: Path) -> None:
    kms = keyring(tmp_path)
    file = open_parquet(written(tmp_path, kms), kms)
    (tmp_path / "a.keys").unlink()
    assert file.metadata.row_group(0).column(0).statistics.min == "CANARY-phone-0"
    assert file.read().num_rows == 500


def _raises(code: str) -> int:
    raise KeyringError("no key", code=code)


def test_a_readable_result_is_returned() -> None:
    assert unless_shredded(lambda: 7) == 7


def test_a_destroyed_key_gives_nothing() -> None:
    assert unless_shredded(lambda: _raises(KEY_DESTROYED)) is None


def test_a_key_that_is_only_missing_here_is_an_error() -> None:
    with pytest.raises(KeyringError):
        unless_shredded(lambda: _raises("E204"))
