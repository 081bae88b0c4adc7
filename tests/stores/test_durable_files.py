"""Files and folders that are there when we say so."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from blake3 import blake3
from hypothesis import given
from hypothesis import strategies as st

from minimize.errors import OutputError
from minimize.stores.durable_files import (
    HashingFile,
    create_private_file,
    file_digest,
    link_file,
    make_folder,
    remove_tree,
    write_file,
)


@given(st.lists(st.binary(max_size=50)))
def test_the_digest_is_that_of_all_that_was_written(
    tmp_path_factory: pytest.TempPathFactory, parts: list[bytes]
) -> None:
    path = tmp_path_factory.mktemp("f") / "x"
    file = HashingFile(path)
    for part in parts:
        assert file.write(memoryview(part)) == len(part)
    assert file.tell() == sum(map(len, parts))
    file.close()
    assert path.read_bytes() == b"".join(parts)
    assert file.digest == file_digest(path) == "blake3:" + blake3(b"".join(parts)).hexdigest()


def test_a_file_that_is_there_is_not_written_over(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"precious")
    with pytest.raises(FileExistsError):
        HashingFile(tmp_path / "x")
    assert (tmp_path / "x").read_bytes() == b"precious"


def test_a_small_file_is_replaced_whole(tmp_path: Path) -> None:
    for content in (b"one", b"two"):
        write_file(tmp_path / "x", content)
    assert (tmp_path / "x").read_bytes() == b"two"
    assert [path.name for path in tmp_path.iterdir()] == ["x"]


def test_folders_are_made_with_those_above_and_twice_is_once(tmp_path: Path) -> None:
    for _ in range(2):
        make_folder(tmp_path / "a/b/c")
    assert (tmp_path / "a/b/c").is_dir()


def test_a_tree_is_removed_and_none_is_no_matter(tmp_path: Path) -> None:
    make_folder(tmp_path / "a/b")
    for _ in range(2):
        remove_tree(tmp_path / "a")
    assert [*tmp_path.iterdir()] == []


@pytest.mark.parametrize("links", [True, False])
def test_a_linked_file_keeps_its_content_when_the_first_path_is_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, links: bool
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError

    if not links:
        monkeypatch.setattr(os, "link", refuse)
    (tmp_path / "x").write_bytes(b"content")
    link_file(tmp_path / "x", tmp_path / "a/b/x")
    (tmp_path / "x").unlink()
    assert (tmp_path / "a/b/x").read_bytes() == b"content"


def test_an_empty_private_file_of_a_killed_process_is_used(tmp_path: Path) -> None:
    create_private_file(tmp_path / "list").close()
    with create_private_file(tmp_path / "list") as file:
        file.write(b"whole")
    assert (tmp_path / "list").read_bytes() == b"whole"
    with pytest.raises(OutputError, match="a file or folder already exists"):
        create_private_file(tmp_path / "list")


def test_an_empty_file_that_is_being_written_or_public_is_not_used(tmp_path: Path) -> None:
    with create_private_file(tmp_path / "list"), pytest.raises(OutputError, match="a file or folder already exists"):
        create_private_file(tmp_path / "list")
    (tmp_path / "public").touch(0o644)
    (tmp_path / "link").symlink_to(tmp_path / "list")
    for name in ("public", "link"):
        with pytest.raises(OutputError, match="a file or folder already exists"):
            create_private_file(tmp_path / name)
