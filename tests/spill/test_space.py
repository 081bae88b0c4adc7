"""A run's space beside memory: keys of its own, which nobody is told.
The budget: where it is said, how it is written, and how it is shared.
A vault: what is put comes back, nothing of it can be read from outside, and nothing of it stays.
"""

from __future__ import annotations

import errno
import gc
import os
import pickle
import stat
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from multiprocessing.reduction import ForkingPickler
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from minimize.config_search import load_config
from minimize.errors import ConfigurationError
from minimize.spill import DEFAULT_MEMORY, MemoryBudget, SpillSpace, find_budget, spill_file
from minimize.spill.spill_file import CHUNK_BYTES, TAG_BYTES, SpillFile, parse_size


def test_every_run_hashes_under_a_key_of_its_own() -> None:
    assert SpillSpace().hasher.mark != SpillSpace().hasher.mark
    first = SpillSpace()
    assert first.hasher.mark == first.hasher.mark


def test_a_key_that_is_given_counts() -> None:
    assert SpillSpace(None, bytes(32)).hasher.mark == SpillSpace(7, bytes(32)).hasher.mark


def test_a_space_with_its_own_file_shares_budget_and_hashes() -> None:
    aside = SpillSpace(77)
    other = aside.with_own_file()
    assert other.budget is aside.budget
    assert other.hasher.mark == aside.hasher.mark
    assert other.spill_file is not aside.spill_file


def test_other_processes_get_the_budget_and_no_key() -> None:
    aside = SpillSpace(77, bytes(range(32)))
    aside.hasher(pa.array(["a"]))
    aside.spill_file.put(b"a")
    sent = bytes(ForkingPickler.dumps(aside))
    assert bytes(range(8)) not in sent
    assert ForkingPickler.loads(sent).budget.total == 77
    assert ForkingPickler.loads(sent).hasher.mark != aside.hasher.mark


def test_it_prints_its_budget_alone() -> None:
    assert repr(SpillSpace(77)) == "SpillSpace(77)"


@pytest.fixture(name="folder")
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "minimize.yaml").write_text("memory: 64MiB\n")
    return tmp_path


def test_the_environment_comes_first_then_the_configuration_then_a_constant(folder: Path, tmp_path: Path) -> None:
    assert find_budget(load_config(folder), {"MINIMIZE_MEMORY": "1 GiB"}) == 1 << 30
    assert find_budget(load_config(folder), {}) == 64 << 20
    (folder / "minimize.yaml").write_text("keys: a\n")
    assert find_budget(load_config(folder), {}) == DEFAULT_MEMORY == 256 << 20
    (folder / "minimize.yaml").unlink()
    assert find_budget(load_config(folder), {}) == DEFAULT_MEMORY


@pytest.mark.parametrize("text", ["", "much", "-1", "1.5GB", "12 parsecs", ["1"], True])
def test_an_invalid_size_is_a_fault(text: Any) -> None:
    with pytest.raises(ConfigurationError, match="is not a size"):
        parse_size(text, "here")


def test_an_invalid_memory_size_in_the_configuration_is_reported(folder: Path) -> None:
    (folder / "minimize.yaml").write_text("memory: lots\n")
    with pytest.raises(ConfigurationError, match=r"`memory:` of minimize\.yaml"):
        find_budget(load_config(folder), {})


def test_a_configuration_that_cannot_be_read_is_left_to_those_who_need_it(folder: Path) -> None:
    (folder / "minimize.yaml").write_text("{")
    assert find_budget(load_config(folder), {}) == DEFAULT_MEMORY


def test_holders_have_equal_parts_as_long_as_they_hold() -> None:
    budget = MemoryBudget(1200)
    first, second = budget.share(), budget.share()
    assert (first.bytes, second.bytes) == (600, 600)
    del second
    gc.collect()
    assert first.bytes == 1200


def test_no_limit_is_no_limit() -> None:
    assert MemoryBudget(None).share().bytes is None


SECRET = b"CANARY-in-a-vault-17"


def test_stored_content_can_be_read_repeatedly() -> None:
    with SpillFile() as kept:
        pieces = [kept.put(content) for content in (b"a", b"", b"bc" * 1000)]
        for _ in range(2):
            assert [kept.get(piece) for piece in pieces] == [b"a", b"", b"bc" * 1000]


def test_content_longer_than_a_chunk_is_sealed_in_several(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spill_file, "CHUNK_BYTES", 10)
    with SpillFile() as kept:
        first, second = kept.put(b"0123456789" * 3 + b"x"), kept.put(b"next")
        assert second.offset == 31 + 4 * TAG_BYTES
        assert second.number == 4
        assert kept.get(first) == b"0123456789" * 3 + b"x"
        assert kept.get(second) == b"next"


def test_threads_may_put_and_get_side_by_side() -> None:
    contents = [bytes([number]) * (1000 + number) for number in range(200)]
    with SpillFile() as kept, ThreadPoolExecutor(8) as pool:
        pieces = list(pool.map(kept.put, contents))
        assert list(pool.map(kept.get, pieces)) == contents
        assert len({piece.number for piece in pieces}) == len(pieces)


def test_nothing_of_it_can_be_read_on_disk() -> None:
    with SpillFile() as kept:
        kept.put(SECRET * 10)
        size = os.fstat(kept._file).st_size
        assert size == len(SECRET) * 10 + TAG_BYTES
        assert SECRET not in os.pread(kept._file, size, 0)


def test_equal_contents_are_sealed_differently() -> None:
    with SpillFile() as kept:
        for _ in range(2):
            kept.put(SECRET)
        size = len(SECRET) + TAG_BYTES
        assert os.pread(kept._file, size, 0) != os.pread(kept._file, size, size)


def test_the_spill_file_has_no_name_and_is_accessible_to_its_owner_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with SpillFile() as kept:
        kept.put(SECRET)
        found = os.fstat(kept._file)
        assert list(tmp_path.iterdir()) == []
        assert found.st_dev == tmp_path.stat().st_dev
        assert stat.S_IMODE(found.st_mode) == 0o600
        assert found.st_nlink == 0
        assert not os.get_inheritable(kept._file)


def test_nothing_is_opened_before_it_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", "/nowhere")
    with SpillFile():
        pass


def test_the_file_is_gone_with_the_vault() -> None:
    kept = SpillFile()
    kept.put(SECRET)
    file = kept._file
    del kept
    gc.collect()
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(file)


@pytest.mark.parametrize("change", ["byte", "label", "place"])
def test_changed_content_is_refused(change: str) -> None:
    with SpillFile() as kept:
        piece, other = kept.put(b"plain" * 9, b"0/1"), kept.put(b"other" * 9, b"0/1")
        if change == "byte":
            os.pwrite(kept._file, b"\0", piece.offset + 3)
            os.pwrite(kept._file, b"\1", piece.offset + 4)
        elif change == "label":
            piece = spill_file.SpilledPiece(b"0/2", piece.number, piece.offset, piece.size)
        else:
            piece = spill_file.SpilledPiece(b"0/1", piece.number, other.offset, piece.size)
        with pytest.raises(ConfigurationError, match="changed after it was written") as told:
            kept.get(piece)
        assert told.value.__context__ is None


def test_a_full_disk_is_reported_without_a_value(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "pwrite", full)
    with SpillFile() as kept, pytest.raises(ConfigurationError, match="No space left") as told:
        kept.put(SECRET)
    assert "TMPDIR" in told.value.hint
    assert told.value.__context__ is None


def test_a_missing_temporary_folder_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "gone"))
    with SpillFile() as kept, pytest.raises(ConfigurationError, match="No such file") as told:
        kept.put(SECRET)
    assert told.value.__context__ is None


def test_a_partial_write_is_continued(monkeypatch: pytest.MonkeyPatch) -> None:
    write = os.pwrite
    monkeypatch.setattr(os, "pwrite", lambda file, content, offset: write(file, content[:7], offset))
    with SpillFile() as kept:
        assert kept.get(kept.put(SECRET * 5)) == SECRET * 5


def test_it_does_not_leave_its_process() -> None:
    with SpillFile() as kept:
        kept.put(SECRET)
        with pytest.raises(TypeError, match="another process"):
            pickle.dumps(kept)


def test_a_copy_of_the_process_does_not_seal_with_the_same_key(monkeypatch: pytest.MonkeyPatch) -> None:
    with SpillFile() as kept:
        kept.put(SECRET)
        monkeypatch.setattr(os, "getpid", lambda: -1)
        with pytest.raises(RuntimeError, match="another process"):
            kept.put(SECRET)


@pytest.mark.nightly
def test_nothing_is_left_by_a_process_that_is_killed(tmp_path: Path) -> None:
    code = (
        "import os, signal; from minimize.spill import SpillFile; vault = SpillFile(); "
        f"vault.put({SECRET!r} * 1000); os.kill(os.getpid(), signal.SIGKILL)"
    )
    done = subprocess.run([sys.executable, "-c", code], env={**os.environ, "TMPDIR": str(tmp_path)}, check=False)
    assert done.returncode == -9
    assert list(tmp_path.rglob("*")) == []


def test_a_chunk_is_bounded() -> None:
    assert CHUNK_BYTES <= 1 << 24
