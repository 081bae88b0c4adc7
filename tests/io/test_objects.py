"""Putting partitions in place in a bucket: any step may have been done before."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from minimize.errors import OutputError
from minimize.output import recovery
from minimize.stores import ObjectPath, parse_output_location
from tests.buckets import Bucket

FILES = ("run2-0.parquet", "tenant=a/run2-1.parquet")


@pytest.fixture(name="places")
def _places(bucket: Bucket) -> tuple[ObjectPath, ObjectPath]:
    """Where two new files are staged, and a partition that holds an old one."""
    for name in FILES:
        bucket.put(f"out/runs/run2/staging/records/{name}", name.encode())
    bucket.put("out/records/run1-0.parquet", b"old")
    bucket.put("out/records/_SUCCESS", b"")
    return bucket.at("out/runs/run2/staging/records"), bucket.at("out/records")


def swapped(places: tuple[ObjectPath, ObjectPath], files: Sequence[str] = FILES, *, mark: bool = True) -> None:
    recovery.swap_objects(*places, files, "run2", 0, mark=mark)


def check(bucket: Bucket) -> None:
    assert bucket.keys("out/records/") == sorted(["out/records/_SUCCESS", *(f"out/records/{name}" for name in FILES)])
    assert [bucket.get(f"out/records/{name}") for name in FILES] == [name.encode() for name in FILES]


def test_the_new_files_stand_and_the_old_ones_are_gone(bucket: Bucket, places: tuple[ObjectPath, ObjectPath]) -> None:
    swapped(places)
    check(bucket)


def test_what_was_done_may_be_done_again_even_without_what_was_staged(
    bucket: Bucket, places: tuple[ObjectPath, ObjectPath]
) -> None:
    swapped(places)
    for name in FILES:
        bucket.remove(f"out/runs/run2/staging/records/{name}")
    swapped(places)
    check(bucket)


def test_a_copy_that_broke_off_is_made_again(bucket: Bucket, places: tuple[ObjectPath, ObjectPath]) -> None:
    bucket.put(f"out/records/{FILES[0]}", b"run2")
    swapped(places)
    check(bucket)


def test_a_partition_without_its_mark_gets_it(bucket: Bucket, places: tuple[ObjectPath, ObjectPath]) -> None:
    swapped(places)
    bucket.remove("out/records/_SUCCESS")
    swapped(places)
    check(bucket)


def test_a_file_that_is_kept_is_not_touched(bucket: Bucket, places: tuple[ObjectPath, ObjectPath]) -> None:
    before = bucket.at("out/records/run1-0.parquet").fingerprint()
    swapped(places, (*FILES, "run1-0.parquet"))
    assert bucket.at("out/records/run1-0.parquet").fingerprint() == before
    assert len(bucket.keys("out/records/")) == 4


def test_where_a_file_is_nowhere_nothing_is_changed(bucket: Bucket, places: tuple[ObjectPath, ObjectPath]) -> None:
    before = bucket.keys()
    with pytest.raises(OutputError, match="are gone"):
        swapped(places, (*FILES, "run2-9.parquet"))
    assert bucket.keys() == before


def test_indexes_get_no_mark(bucket: Bucket, places: tuple[ObjectPath, ObjectPath]) -> None:
    bucket.remove("out/records/_SUCCESS")
    swapped(places, mark=False)
    assert bucket.keys("out/records/") == sorted(f"out/records/{name}" for name in FILES)


def test_a_partition_is_removed_and_may_be_removed_again(bucket: Bucket, places: tuple[ObjectPath, ObjectPath]) -> None:
    recovery.remove_objects(places[1])
    recovery.remove_objects(places[1])
    assert bucket.keys("out/records/") == []
    assert parse_output_location(places[1]).exists() is False
