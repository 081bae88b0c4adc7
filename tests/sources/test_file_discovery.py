from __future__ import annotations

import re
from datetime import date
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from minimize.errors import SourceError
from minimize.sources.file_discovery import displayed_name, find_files, hive_partitions
from minimize.stores.path_patterns import part_pattern, split_pattern

DAY, NEXT = date(2026, 11, 24), date(2026, 11, 25)


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    names = [
        "in/2026-11-24/b.ndjson",
        "in/2026-11-24/a.ndjson",
        "in/2026-11-24/_SUCCESS",
        "in/2026-11-24/.hidden",
        "in/2026-11-25/deep/a.ndjson",
        "in/2026-02-30/a.ndjson",
        "in/readme.ndjson",
        "in/_tmp/a.ndjson",
        "hive/date=2026-11-24/tenant=a%2Fb/x.parquet",
        "hive/date=2026-11-25/tenant=__HIVE_DEFAULT_PARTITION__/x.parquet",
    ]
    for name in names:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"")
    return tmp_path


def names(base: Path, pattern: str) -> dict[date | None, list[str]]:
    found = find_files(pattern, base)
    return {day: [displayed_name(path, found.root) for path in paths] for day, paths in found.files.items()}


def test_files_are_grouped_by_batch_date_and_sorted(tree: Path) -> None:
    assert names(tree, "in/{date}/*.ndjson") == {DAY: ["2026-11-24/a.ndjson", "2026-11-24/b.ndjson"]}


def test_a_folder_named_by_a_pattern_includes_all_files_below(tree: Path) -> None:
    assert names(tree, "in/{date}") == {
        DAY: ["2026-11-24/a.ndjson", "2026-11-24/b.ndjson"],
        NEXT: ["2026-11-25/deep/a.ndjson"],
    }


def test_two_stars_go_down_any_number_of_folders(tree: Path) -> None:
    assert names(tree, "in/**/a.ndjson")[None] == [
        "2026-02-30/a.ndjson",
        "2026-11-24/a.ndjson",
        "2026-11-25/deep/a.ndjson",
    ]
    assert names(tree, "in/{date}/**/a.ndjson") == {DAY: ["2026-11-24/a.ndjson"], NEXT: ["2026-11-25/deep/a.ndjson"]}
    assert names(tree, "in/{date}/**") == names(tree, "in/{date}")


def test_a_date_may_be_part_of_a_name(tree: Path) -> None:
    assert names(tree, "hive/date={date}/tenant=*/*.parquet")[DAY] == ["date=2026-11-24/tenant=a%2Fb/x.parquet"]


def test_a_file_and_a_folder_are_one_group_without_date(tree: Path) -> None:
    assert names(tree, "in/readme.ndjson") == {None: ["readme.ndjson"]}
    assert len(names(tree, "in")[None]) == 5


def test_nothing_matches_is_no_group_or_an_empty_one(tree: Path) -> None:
    assert find_files("none/{date}/*", tree).files == {}
    assert find_files("none/*.csv", tree).files == {None: []}
    assert find_files("none.csv", tree).files == {None: []}
    assert find_files("none/{date}/*", tree).has_dates
    assert not find_files("none/*.csv", tree).has_dates


def test_the_root_is_the_longest_folder_without_wildcard(tree: Path) -> None:
    assert split_pattern("in/{date}/*.gz", tree) == (tree / "in", "{date}/*.gz")
    assert find_files("in/readme.ndjson", tree).root == tree / "in"


def test_hive_partitions_are_decoded_and_the_default_one_is_null(tree: Path) -> None:
    first, second = find_files("hive", tree).files[None]
    assert hive_partitions(first, tree / "hive") == {"date": "2026-11-24", "tenant": "a/b"}
    assert hive_partitions(second, tree / "hive")["tenant"] is None


def test_a_name_is_recorded_in_the_form_of_the_caller(tree: Path) -> None:
    (first, _) = find_files("hive", tree).files[None]

    class Marks:
        ranking_salt = b""

        def __call__(self, name: str) -> str:
            return name.upper()

        def mask_recorded(self, name: str) -> str:
            return name

    assert displayed_name(first, tree / "hive", Marks()) == "DATE=2026-11-24/TENANT=A%2FB/X.PARQUET"


@pytest.mark.parametrize("is_folder", [False, True])
def test_a_link_that_leaves_the_folder_is_refused(tmp_path: Path, is_folder: bool) -> None:
    outside, inside = tmp_path / "outside", tmp_path / "in"
    for folder in (outside, inside):
        folder.mkdir()
        (folder / "a.ndjson").write_text("{}")
    (inside / "CANARY.ndjson").symlink_to(outside if is_folder else outside / "a.ndjson")
    with pytest.raises(SourceError, match="points outside the folder") as caught:
        find_files("in", tmp_path)
    assert "CANARY" not in str(caught.value)


def test_a_link_within_the_folder_is_followed_and_so_is_the_folder_if_it_is_one(tmp_path: Path) -> None:
    inside = tmp_path / "real" / "in"
    inside.mkdir(parents=True)
    (inside / "a.ndjson").write_text("{}")
    (inside / "b.ndjson").symlink_to("a.ndjson")
    (tmp_path / "in").symlink_to(inside)
    assert [path.name for path in find_files("in", tmp_path).files[None]] == ["a.ndjson", "b.ndjson"]


def test_a_folder_that_may_not_be_looked_into_stops_everything(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(_: Path) -> bool:
        raise PermissionError(13, "CANARY")

    monkeypatch.setattr(Path, "is_file", refused)
    with pytest.raises(SourceError, match="cannot be listed") as error:
        find_files("in/*.gz", tree)
    assert "CANARY" not in str(error.value)
    assert error.value.__context__ is None


@pytest.mark.parametrize(
    ("source", "output", "apart"),
    [
        ("in/readme.ndjson", "in/out", True),
        ("in/readme.ndjson", "in/readme.ndjson", False),
        ("in/readme.ndjson", "in", False),
        ("in/readme.ndjson", ".", False),
        ("in/*.ndjson", "in/out", True),
        ("in/*", "in/out", False),
        ("in/**", "in/out", False),
        ("in", "in/out", False),
        ("in/{date}/*.gz", "in/out", False),
        ("in/{date}/*.gz", "out", True),
    ],
)
def test_an_output_may_be_next_to_source_files_but_not_among_them(
    tree: Path, source: str, output: str, apart: bool
) -> None:
    found = find_files(source, tree)
    fence = found.excluded_folder(tree / output)
    assert fence is None or isinstance(fence, Path)
    inside = fence is not None and ((tree / output).is_relative_to(fence) or fence.is_relative_to(tree / output))
    assert inside is not apart


PARTS = st.lists(st.sampled_from(["a", "b", "ab", "?", "*", "**", "{date}", "2026-11-24"]), min_size=1, max_size=7)
NAMES = st.lists(st.sampled_from(["a", "b", "2026-11-24", "2026-11-25", "-"]), min_size=1, max_size=7)


@given(PARTS, NAMES)
def test_a_pattern_names_what_it_would_if_every_star_were_tried_everywhere(parts: list[str], names: list[str]) -> None:
    pattern, name = "".join(parts), "".join(names)
    words = {"*": "[^/]*", "?": "[^/]", "{date}": r"(\d{4}-\d{2}-\d{2})"}
    tried = "".join(words.get(piece, piece) for piece in re.split(r"(\{date\}|\*|\?)", pattern))
    one, other = re.fullmatch(part_pattern(pattern), name), re.fullmatch(tried, name)
    assert (one and one.groups()) == (other and other.groups())


def test_a_name_is_not_tried_for_ever() -> None:
    assert re.fullmatch(part_pattern("*a" * 40 + "*.gz"), "a" * 200) is None
