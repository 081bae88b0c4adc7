"""Two folders change places in one step, where the system can.
An intent reads back as it was written, and all its steps can be done again.
Putting partitions in place in a bucket: any step may have been done before.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from minimize.errors import OutputError
from minimize.output import commit
from minimize.output.commit import FolderExchange, Intent, exchange_folders, recover_output, roll_forward
from minimize.output.folder import list_data_files
from minimize.stores import ObjectPath, parse_output_location
from tests.buckets import Bucket
from tests.sources.publishing import no_exchange


def folders(root: Path) -> tuple[Path, Path]:
    for name in "ab":
        (root / name).mkdir()
        (root / name / name).touch()
    return root / "a", root / "b"


def test_two_folders_change_places(tmp_path: Path) -> None:
    one, other = folders(tmp_path)
    swapped = exchange_folders(one, other)
    assert swapped is (sys.platform == "linux")
    assert (one / ("b" if swapped else "a")).exists()


def test_a_folder_that_is_not_there_is_an_error_that_names_no_path(tmp_path: Path) -> None:
    one, _ = folders(tmp_path)
    with pytest.raises(OutputError, match="ENOENT"):
        exchange_folders(one, tmp_path / "none")
    assert (one / "a").exists()


def intent() -> Intent:
    return Intent("run2", {"records/date=2026-11-24": ("run2-0.parquet",)}, ("fleet/date=2026-11-24",), "{}\n")


def prepared(output: Path) -> Path:
    """A folder with one partition to swap and one to remove, staged and decided."""
    run = output / "runs/run2"
    for path in (
        "records/date=2026-11-24/run1-0.parquet",
        "fleet/date=2026-11-24/run1-0.parquet",
        "runs/run2/staging/records/date=2026-11-24/run2-0.parquet",
        "runs/run2/staging/records/date=2026-11-24/_SUCCESS",
    ):
        (output / path).parent.mkdir(parents=True, exist_ok=True)
        (output / path).touch()
    intent().write(run)
    return run


def test_an_intent_reads_back(tmp_path: Path) -> None:
    intent().write(tmp_path)
    assert Intent.read(tmp_path) == intent()


@pytest.mark.parametrize("content", ["", "{}", "[]", '{"run_id": "run2", "swaps": 7}'])
def test_an_invalid_intent_is_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / "intent.json").write_text(content)
    with pytest.raises(OutputError) as caught:
        Intent.read(tmp_path)
    assert caught.value.__context__ is None


@pytest.mark.parametrize("way", [exchange_folders, no_exchange])
def test_forward_twice_is_forward_once(tmp_path: Path, way: FolderExchange) -> None:
    run = prepared(tmp_path)
    for _ in range(2):
        roll_forward(tmp_path, intent(), way)
        assert list_data_files(tmp_path) == ("records/date=2026-11-24/run2-0.parquet", "runs/run2/receipt.json")
        intent().write(run)


def test_settled_runs_are_left_alone(tmp_path: Path) -> None:
    run = prepared(tmp_path)
    recover_output(tmp_path, exchange_folders)
    before = list_data_files(tmp_path)
    recover_output(tmp_path, exchange_folders)
    assert list_data_files(tmp_path) == before
    assert not (run / "staging").exists()


def test_success_marks_are_not_listed(tmp_path: Path) -> None:
    for name in ("b.parquet", "_SUCCESS", "a/c.parquet", "a/_SUCCESS"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    assert list_data_files(tmp_path) == ("a/c.parquet", "b.parquet")


@pytest.mark.parametrize(("removed", "left"), [(["23"], ["index", "records"]), (["23", "24"], ["records"])])
def test_no_empty_folder_of_companion_files_is_left(tmp_path: Path, removed: list[str], left: list[str]) -> None:
    for day in ("23", "24"):
        for path in (f"records/date=2026-11-{day}/run1-0.parquet", f"index/date=2026-11-{day}/run1-0.index"):
            (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / path).touch()
    paths = [f"{name}/date=2026-11-{day}" for day in removed for name in ("records", "index")]
    made = Intent("run2", {}, tuple(paths), "{}\n")
    for _ in range(2):
        (tmp_path / "runs/run2").mkdir(parents=True, exist_ok=True)
        made.write(tmp_path / "runs/run2")
        roll_forward(tmp_path, made, exchange_folders)
        assert sorted(path.name for path in tmp_path.iterdir()) == [*left, "runs"]


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
    commit.swap_objects(*places, files, "run2", 0, mark=mark)


def check(bucket: Bucket) -> None:
    assert bucket.keys("out/records/") == sorted(["out/records/_SUCCESS", *(f"out/records/{name}" for name in FILES)])
    assert [bucket.get(f"out/records/{name}") for name in FILES] == [name.encode() for name in FILES]


def test_after_the_swap_only_the_new_files_exist(bucket: Bucket, places: tuple[ObjectPath, ObjectPath]) -> None:
    swapped(places)
    check(bucket)


def test_a_finished_swap_may_be_repeated_without_the_staged_files(
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
    with pytest.raises(OutputError, match="are missing"):
        swapped(places, (*FILES, "run2-9.parquet"))
    assert bucket.keys() == before


def test_indexes_get_no_mark(bucket: Bucket, places: tuple[ObjectPath, ObjectPath]) -> None:
    bucket.remove("out/records/_SUCCESS")
    swapped(places, mark=False)
    assert bucket.keys("out/records/") == sorted(f"out/records/{name}" for name in FILES)


def test_a_partition_is_removed_and_may_be_removed_again(bucket: Bucket, places: tuple[ObjectPath, ObjectPath]) -> None:
    commit.remove_objects(places[1])
    commit.remove_objects(places[1])
    assert bucket.keys("out/records/") == []
    assert parse_output_location(places[1]).exists() is False
