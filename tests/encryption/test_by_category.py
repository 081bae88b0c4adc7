"""Which columns are encrypted, under which keys."""

from __future__ import annotations

import pickle
from pathlib import Path

import pyarrow as pa
import pytest

from minimize.errors import KeyringError
from minimize.keys import Keyring, Kms, add_key
from minimize.keys.keyring import destroy_key
from minimize.keys.parquet_encryption import CategoryEncryption, has_unusable_name, parquet_column_paths
from minimize.keys.parquet_footer import read_encrypted_columns
from tests.encryption.files import CLOSED, NOW, SCHEMA, keyring, written


def test_a_column_that_says_no_category_has_the_strictest(tmp_path: Path) -> None:
    schema = pa.schema([("x", pa.int64())])
    assert CategoryEncryption.for_schema(keyring(tmp_path), schema).names == {"x": "identified"}


def test_the_strictest_leaf_decides_about_a_nested_column(tmp_path: Path) -> None:
    said = {"minimize:category/a/x": "pseudonymized", "minimize:category/a/y": "identified"}
    schema = pa.schema([pa.field("a", pa.struct([("x", pa.int64()), ("y", pa.int64())]), metadata=said)])
    assert CategoryEncryption.for_schema(keyring(tmp_path), schema).names == {"a": "identified"}


def test_aggregates_stay_plain(tmp_path: Path) -> None:
    schema = pa.schema([pa.field("n", pa.int64(), metadata={"minimize:category": "aggregated"})])
    assert CategoryEncryption.for_schema(keyring(tmp_path), schema).for_file("fleet/f.parquet", schema) is None


def test_a_file_is_told_by_the_keys_that_it_is_written_with(tmp_path: Path) -> None:
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
    found = CategoryEncryption.for_schema(keyring(tmp_path), SCHEMA, tenant="tenant_id")
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


def encryption(kms: Kms) -> CategoryEncryption:
    return CategoryEncryption.for_schema(kms, SCHEMA)
