"""The model of a disk: what may be lost by a power cut, what may not, and what cannot be there without something else."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from minimize.stores import file_operations
from tests.faults.power_cut_model import Log, Tree, record, tree_of

Act = Callable[[Path], None]


def states(folder: Path, act: Act) -> list[Tree]:
    """What a power cut right after an act may leave."""
    base = tree_of(folder)
    log = Log(base, record(folder, act))
    assert log.live() == tree_of(folder)
    return [*log.states(len(log.operations))]


def written(path: Path, *, synced: bool) -> None:
    with file_operations.create(path) as file:
        file.write(b"0123456789")
        file.flush()
        if synced:
            file_operations.sync(file.fileno(), "small")


def test_bytes_that_are_not_synced_may_be_missing_or_torn(tmp_path: Path) -> None:
    def act(folder: Path) -> None:
        written(folder / "a", synced=False)
        file_operations.sync_folder(folder)

    found = states(tmp_path, act)
    assert sorted(state["a"] or b"" for state in found) == [b"", b"01234", b"012345678", b"0123456789"]


def test_a_name_that_is_not_synced_may_be_missing_though_its_bytes_are_synced(tmp_path: Path) -> None:
    found = states(tmp_path, lambda folder: written(folder / "a", synced=True))
    assert found == [{}, {"a": b"0123456789"}]


def test_synced_data_survives_a_power_cut(tmp_path: Path) -> None:
    def act(folder: Path) -> None:
        written(folder / "a", synced=True)
        file_operations.sync_folder(folder)

    assert states(tmp_path, act) == [{"a": b"0123456789"}]


def test_a_rename_across_folders_is_there_whole_or_not_at_all(tmp_path: Path) -> None:
    for name in "xy":
        (tmp_path / name).mkdir()
    (tmp_path / "x/a").write_bytes(b"a")
    found = states(tmp_path, lambda folder: file_operations.rename(folder / "x/a", folder / "y/a"))
    assert found == [{"x": None, "y": None, "x/a": b"a"}, {"x": None, "y": None, "y/a": b"a"}]


def test_a_rename_lasts_once_the_folder_of_the_new_name_is_synced_and_not_before(tmp_path: Path) -> None:
    for name in "xy":
        (tmp_path / name).mkdir()
    (tmp_path / "x/a").write_bytes(b"a")

    def act(folder: Path) -> None:
        file_operations.rename(folder / "x/a", folder / "y/a")
        file_operations.sync_folder(folder / "x")

    assert len(states(tmp_path, act)) == 2
    assert states(tmp_path, lambda folder: file_operations.sync_folder(folder / "y")) == [
        {"x": None, "y": None, "y/a": b"a"}
    ]


def test_a_folder_that_is_synced_may_itself_be_missing(tmp_path: Path) -> None:
    def act(folder: Path) -> None:
        file_operations.make_folder(folder / "x")
        written(folder / "x/a", synced=True)
        file_operations.sync_folder(folder / "x")

    assert states(tmp_path, act) == [{}, {"x": None, "x/a": b"0123456789"}]


def test_changes_that_are_pending_last_in_any_subset(tmp_path: Path) -> None:
    def act(folder: Path) -> None:
        for name in "abc":
            file_operations.make_folder(folder / name)

    assert sorted("".join(sorted(state)) for state in states(tmp_path, act)) == sorted(
        ["", "a", "b", "c", "ab", "ac", "bc", "abc"]
    )


def test_a_change_of_a_name_lasts_only_with_the_change_before_it(tmp_path: Path) -> None:
    def act(folder: Path) -> None:
        file_operations.make_folder(folder / "a")
        file_operations.rename(folder / "a", folder / "b")

    assert states(tmp_path, act) == [{}, {"b": None}, {"a": None}]


def test_an_exchange_lasts_once_both_folders_are_synced(tmp_path: Path) -> None:
    for name in "xy":
        (tmp_path / name / name).mkdir(parents=True)
        (tmp_path / name / name / name).write_bytes(b"")

    def act(folder: Path) -> None:
        assert file_operations.exchange(folder / "x/x", folder / "y/y")
        file_operations.sync_folder(folder / "x")

    before, after = states(tmp_path, act)
    assert ("x/x/x" in before, "x/x/y" in before) == (True, False)
    assert ("x/x/x" in after, "x/x/y" in after) == (False, True)


def test_a_link_may_be_lost_though_the_first_name_is_removed(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"a")

    def act(folder: Path) -> None:
        file_operations.link(folder / "a", folder / "b")
        file_operations.remove(folder / "a")

    assert [sorted(state) for state in states(tmp_path, act)] == [["a"], ["b"], [], ["a", "b"]]


def test_a_tree_may_be_removed_in_part(tmp_path: Path) -> None:
    (tmp_path / "x").mkdir()
    (tmp_path / "x/a").write_bytes(b"a")
    found = states(tmp_path, lambda folder: file_operations.remove_tree(folder / "x"))
    assert found == [{"x": None, "x/a": b"a"}, {}, {"x": None}]


def test_a_file_that_is_written_again_is_whole_old_torn_or_new(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"old")

    def act(folder: Path) -> None:
        with file_operations.overwrite(folder / "a") as file:
            file.write(b"new1")

    assert sorted(state["a"] or b"" for state in states(tmp_path, act)) == [b"ne", b"new", b"new1", b"old"]


def test_nothing_is_recorded_past_the_end_of_the_block(tmp_path: Path) -> None:
    operations = record(tmp_path, lambda folder: file_operations.touch(folder / "a"))
    file_operations.touch(tmp_path / "b")
    assert [(each.kind, each.path) for each in operations] == [(file_operations.OperationKind.CREATE, Path("a"))]
