"""Files are changed through `minimize/stores/file_operations.py` alone, in the code and while an output is published."""

from __future__ import annotations

import ast
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

import minimize
from minimize.checkpoints import at_checkpoint
from minimize.stores.file_operations import Operation, OperationKind
from tests.faults.power_cut_checks import OUT, Scenario
from tests.faults.publications import SCENARIOS

ROOT = Path(minimize.__file__).parent
PACKAGES = ("sources", "output", "receipts", "keys", "ledger")
FILES = ("stores/durable_files.py",)
CHANGES = {
    *(
        "chmod",
        "copyfile",
        "copytree",
        "hardlink_to",
        "link",
        "makedirs",
        "mkdir",
        "mkdtemp",
        "mkfifo",
        "mknod",
        "move",
    ),
    *("pwrite", "remove", "removedirs", "rename", "renames", "rmdir", "rmtree", "symlink", "symlink_to", "touch"),
    *("truncate", "unlink", "utime", "write_bytes", "write_text"),
}
IN_BUCKETS = frozenset(
    {
        ("stores/durable_files.py", "unlink"),
        ("stores/durable_files.py", "write_bytes"),
        ("output/folder.py", "truncate"),
        ("output/folder.py", "write_bytes"),
        ("output/commit.py", "unlink"),
        ("output/commit.py", "write_bytes"),
    }
)
"""Objects in a bucket have methods of these names; and the identity's file is opened by `file_operations.open_or_create`."""


def changes(source: str) -> Iterator[str]:
    """The calls in a module that change files, by name, those of `file_operations` left out."""
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.Call):
            continue
        owner = getattr(getattr(node.func, "value", None), "id", None)
        name = str(getattr(node.func, "attr", None) or getattr(node.func, "id", ""))
        if owner == "file_operations":
            continue
        if name in CHANGES or (name == "replace" and len(node.args) == 1 and not node.keywords) or writes(name, node):
            yield name


def writes(name: str, call: ast.Call) -> bool:
    """Whether a call opens something for writing: by its mode, or by flags."""
    if name not in ("open", "fdopen"):
        return False
    words = [ast.unparse(each) for each in (*call.args, *(keyword.value for keyword in call.keywords))]
    modes = [word.strip("'\"") for word in words if word.startswith(("'", '"'))]
    flags = " ".join(words)
    return any(set(mode) <= set("rwxabt+") and set(mode) & set("wxa+") for mode in modes) or any(
        flag in flags for flag in ("O_WRONLY", "O_RDWR", "O_CREAT", "O_APPEND", "O_TRUNC")
    )


def test_no_module_changes_files_past_the_interface() -> None:
    found = {
        (path.relative_to(ROOT).as_posix(), name)
        for path in (
            *(path for package in PACKAGES for path in sorted((ROOT / package).rglob("*.py"))),
            *map(ROOT.joinpath, FILES),
        )
        for name in changes(path.read_text())
    }
    assert found - IN_BUCKETS == set()
    assert found >= IN_BUCKETS


@pytest.mark.parametrize(
    "source",
    [
        "os.rename(a, b)",
        "a.replace(b)",
        "os.link(a, b)",
        "a.unlink()",
        "a.mkdir()",
        "shutil.rmtree(a)",
        "open(a, 'w')",
        "a.open('xb')",
        "a.open(mode='r+b')",
        "os.open(a, os.O_WRONLY | os.O_CREAT)",
        "os.fdopen(handle, 'wb')",
    ],
)
def test_a_call_that_changes_files_is_found(source: str) -> None:
    assert len([*changes(source)]) == 1


@pytest.mark.parametrize("source", ["a.replace('b', 'c')", "open(a)", "a.open('rb')", "os.open(a, os.O_RDONLY)"])
def test_a_call_that_changes_none_is_not(source: str) -> None:
    assert [*changes(source)] == []


Seen = tuple[str, str]
"""An event of the interpreter, and the path that it is about."""
EVENTS = {
    OperationKind.CREATE: "open",
    OperationKind.OPEN: "open",
    OperationKind.MAKE_FOLDER: "os.mkdir",
    OperationKind.RENAME: "os.rename",
    OperationKind.LINK: "os.link",
    OperationKind.REMOVE: "os.remove",
    OperationKind.REMOVE_FOLDER: "os.rmdir",
}
READING = ("os.listdir", "os.scandir", "os.walk")
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
watched = list[tuple[Path, set[Seen]]]()


def audited(event: str, given: tuple[Any, ...]) -> None:
    """Notes what Python changes below the folder that is watched."""
    if not watched or not event.startswith(("open", "os.", "shutil.")) or event in READING:
        return
    folder, seen = watched[-1]
    if event == "open" and not (isinstance(given[2], int) and given[2] & WRITING):
        return
    if given and isinstance(given[0], str | bytes | os.PathLike):
        path = Path(os.fsdecode(given[0]))
        if path.is_relative_to(folder):
            seen.add((event, str(path)))


sys.addaudithook(audited)  # one for the whole process: it cannot be taken away


@contextmanager
def watching(folder: Path) -> Iterator[set[Seen]]:
    """What Python changes below a folder until the block ends."""
    watched.append((folder, set()))
    try:
        yield watched[-1][1]
    finally:
        watched.pop()


def unrecorded(scenario: Scenario, folder: Path, *, also: Path | None = None) -> set[Seen]:
    """What a publication changes below a folder that its operations do not tell. `also` is written to by the by."""
    scenario.before(folder / OUT, scenario.exchange)
    operations = list[Operation]()
    recorded = at_checkpoint("file.operation", lambda _, operation: operations.append(operation))
    with recorded, watching(folder) as seen:
        scenario.act(folder / OUT, scenario.exchange)
        if also is not None:
            also.write_bytes(b"by the by")
    told = {(EVENTS[each.kind], str(each.path)) for each in operations if each.kind in EVENTS}
    assert len(told) > 10
    return seen - told


@pytest.mark.parametrize("scenario", SCENARIOS, ids=[each.name for each in SCENARIOS])
def test_a_publication_changes_nothing_past_the_interface(scenario: Scenario, tmp_path: Path) -> None:
    assert unrecorded(scenario, tmp_path) == set()


def test_a_change_past_the_interface_is_seen(tmp_path: Path) -> None:
    also = tmp_path / "other"
    assert unrecorded(SCENARIOS[0], tmp_path, also=also) == {("open", str(also))}
