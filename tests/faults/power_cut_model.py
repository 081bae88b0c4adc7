"""What a power cut may leave on a disk, computed from recorded operations, as CrashMonkey and ALICE do.

The assumptions are weaker than what ext4, XFS or btrfs promise, so that the checks do not rely on one of them:

- Bytes that were written and not synced may be missing, there in part (a prefix: half, or all but the last byte) or there.
- A change of a folder's entries (create, make, rename, exchange, link, remove) lasts once that folder was synced, and may last
  or not before. Syncing a file does not keep its name.
- One change is atomic, also a rename or an exchange across two folders. A rename lasts once the folder of the new name was
  synced, an exchange once both were.
- A change lasts only if the change before it of the same name lasts, and the folder that it is in. Otherwise any subset of the
  changes may last. Syncing a folder does not keep the folder's own name.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import combinations
from pathlib import Path, PurePosixPath

from minimize.checkpoints import at_checkpoint
from minimize.stores.file_operations import Operation, OperationKind

Tree = Mapping[str, bytes | None]
"""Everything below a folder by its relative path: a file's bytes, or None for a folder."""

SUBSETS_OF = 6
"""Up to so many pending changes every subset is tried, of more a sample."""
SAMPLED = 12
PARTS = ("half", "all but a byte")


def tree_of(folder: Path) -> Tree:
    """What is below a folder on a real disk."""
    found = sorted(folder.rglob("*"))
    return {path.relative_to(folder).as_posix(): None if path.is_dir() else path.read_bytes() for path in found}


def put_tree(tree: Tree, folder: Path) -> Path:
    """Makes a folder with this below. Every file is written by itself, for recovery may write to it in place."""
    folder.mkdir()
    for path, content in sorted(tree.items()):
        if content is None:
            (folder / path).mkdir()
        else:
            (folder / path).write_bytes(content)
            (folder / path).chmod(0o600)
    return folder


def record(folder: Path, act: Callable[[Path], object]) -> list[Operation]:
    """The operations of an act on a folder."""
    operations = list[Operation]()
    with at_checkpoint("file.operation", lambda _, operation: operations.append(operation)):
        act(folder)
    return [relative(operation, folder) for operation in operations]


def relative(operation: Operation, folder: Path) -> Operation:
    """The operation with paths relative to the folder; "" is the folder itself."""

    def short(path: Path | None) -> Path | None:
        return None if path is None else path.relative_to(folder)

    return Operation(
        operation.kind,
        short(operation.path),
        short(operation.new),
        operation.inode,
        operation.offset,
        operation.content,
    )


Slot = tuple[int, str]
"""A name in a folder, which is known by its number."""
ROOT = 0


@dataclass(frozen=True)
class Change:
    """One change of folder entries.

    entries  what each name stands for afterwards
    folders  those that must be synced for it to last
    after    the changes before it of the same names: if it lasts, they do
    inside   the changes that put these folders in their places: only if they last does it last
    """

    position: int
    entries: Mapping[Slot, int | None]
    folders: frozenset[int]
    after: frozenset[int]
    inside: frozenset[int]

    @property
    def needs(self) -> frozenset[int]:
        """The changes without which it cannot be there."""
        return self.after | self.inside


@dataclass(frozen=True)
class Bytes:
    """A write to a file, or the size that it is cut to (`content` is None)."""

    position: int
    offset: int
    content: bytes | None


@dataclass
class Log:
    """Operations on a tree that is on the disk, resolved to numbered files and folders."""

    base: Tree
    operations: Sequence[Operation]
    entries: dict[Slot, int] = field(default_factory=dict)
    contents: dict[int, bytes] = field(default_factory=dict)
    folders: set[int] = field(default_factory=lambda: {ROOT})
    changes: dict[int, Change] = field(default_factory=dict)
    written: dict[int, list[Bytes]] = field(default_factory=dict)
    synced: dict[int, list[int]] = field(default_factory=dict)
    _now: dict[Slot, int] = field(default_factory=dict)
    _last: dict[Slot, int] = field(default_factory=dict)
    _placed: dict[int, int] = field(default_factory=dict)
    _inodes: dict[int, int] = field(default_factory=dict)
    _count: int = ROOT

    def __post_init__(self) -> None:
        for path, content in sorted(self.base.items()):
            number = self._new(content)
            self.entries[self._slot(Path(path), self.entries)] = number
        self._now = dict(self.entries)
        for position, operation in enumerate(self.operations):
            self._take(position, operation)

    def _new(self, content: bytes | None) -> int:
        self._count += 1
        if content is None:
            self.folders.add(self._count)
        else:
            self.contents[self._count] = content
        return self._count

    def _slot(self, path: Path | None, entries: Mapping[Slot, int]) -> Slot:
        assert path is not None
        return self._number(path.parent, entries), path.name

    def _number(self, path: Path, entries: Mapping[Slot, int]) -> int:
        number = ROOT
        for part in PurePosixPath(path).parts:
            number = entries[number, part]
        return number

    def _take(self, position: int, operation: Operation) -> None:
        match operation.kind:
            case OperationKind.WRITE:
                self._write(position, operation.inode, operation.offset, operation.content)
            case OperationKind.TRUNCATE:
                self._write(position, operation.inode, operation.offset, None)
            case OperationKind.OPEN:
                self._inodes[operation.inode] = self._now[self._slot(operation.path, self._now)]
            case OperationKind.SYNC:
                of_folder = operation.path is not None
                number = self._number(operation.path, self._now) if operation.path else self._inodes[operation.inode]
                assert of_folder == (number in self.folders)
                self.synced.setdefault(number, []).append(position)
            case _:
                self._change(position, operation)

    def _write(self, position: int, inode: int, offset: int, content: bytes | None) -> None:
        self.written.setdefault(self._inodes[inode], []).append(Bytes(position, offset, content))

    def _change(self, position: int, operation: Operation) -> None:
        slot = self._slot(operation.path, self._now)
        if operation.new is None:
            changed = self._changed_name(slot, operation)
        else:
            changed = self._changed_names(slot, self._slot(operation.new, self._now), operation.kind)
        names = [*changed][-1:] if operation.kind is OperationKind.RENAME else [*changed]
        folders = frozenset(folder for folder, _ in names)
        after = frozenset(self._last[each] for each in (slot, *changed) if each in self._last)
        inside = frozenset(self._placed[each] for each in folders if each in self._placed)
        self.changes[position] = Change(position, changed, folders, after, inside)
        for each, number in changed.items():
            self._last[each] = position
            if number is None:
                del self._now[each]
            else:
                self._now[each] = number
            if number in self.folders:
                self._placed[number] = position

    def _changed_name(self, slot: Slot, operation: Operation) -> dict[Slot, int | None]:
        match operation.kind:
            case OperationKind.CREATE:
                self._inodes[operation.inode] = number = self._new(b"")
                return {slot: number}
            case OperationKind.MAKE_FOLDER:
                return {slot: self._new(None)}
            case OperationKind.REMOVE | OperationKind.REMOVE_FOLDER:
                return {slot: None}
        raise AssertionError(operation.kind)

    def _changed_names(self, slot: Slot, new: Slot, kind: OperationKind) -> dict[Slot, int | None]:
        match kind:
            case OperationKind.RENAME:
                return {slot: None, new: self._now[slot]}
            case OperationKind.LINK:
                return {new: self._now[slot]}
            case OperationKind.EXCHANGE:
                return {slot: self._now[new], new: self._now[slot]}
        raise AssertionError(kind)

    def live(self, length: int | None = None) -> Tree:
        """What a process sees after so many operations, all of them by default: nothing is lost without a power cut."""
        length = len(self.operations) if length is None else length
        return self._tree(frozenset(each for each in self.changes if each < length), length, {})

    def states(self, length: int) -> Iterator[Tree]:
        """What a power cut after so many operations may leave, no two the same."""
        synced = self._synced(length)
        kept = self._kept(synced)
        pending = [each for each in self.changes if each < length and each not in kept]
        files = [number for number in self.written if self._pending_bytes(number, length)]
        tried = set[tuple[frozenset[int], frozenset[tuple[int, str]]]]()
        seen = set[frozenset[tuple[str, bytes | None]]]()
        for chosen, parts in self._choices(length, pending, files):
            lasting = self._with_contents(kept | self._needed(chosen), synced)
            if (choice := (lasting, frozenset(parts.items()))) in tried:
                continue
            tried.add(choice)
            tree = self._tree(lasting, length, parts)
            key = frozenset(tree.items())
            if key not in seen:
                seen.add(key)
                yield tree

    def _choices(
        self, length: int, pending: Sequence[int], files: Sequence[int]
    ) -> Iterator[tuple[frozenset[int], dict[int, str]]]:
        """Which changes last beside those that must, and of which files the bytes are missing (`none`) or there in part."""
        everything, nothing = frozenset(pending), dict.fromkeys(files, "none")
        yield frozenset(), nothing
        yield everything, {}
        for each in pending:
            yield everything - self._with_later(each, pending), {}
            yield frozenset({each}), nothing
            yield frozenset({each}), {}
        for number in files:
            for part in ("none", *PARTS):
                yield everything, {number: part}
            for part in ("whole", *PARTS):
                yield everything, {**nothing, number: part}
        yield from self._subsets(length, pending, files)

    def _subsets(
        self, length: int, pending: Sequence[int], files: Sequence[int]
    ) -> Iterator[tuple[frozenset[int], dict[int, str]]]:
        units = [*pending, *(-number for number in files)]
        subsets: Iterator[tuple[int, ...]]
        if len(units) <= SUBSETS_OF:
            subsets = (found for size in range(len(units) + 1) for found in combinations(units, size))
        else:
            chance = random.Random(f"{length}")
            subsets = (tuple(unit for unit in units if chance.random() < 0.5) for _ in range(SAMPLED))
        for found in subsets:
            missing = {number: "none" for number in files if -number not in found}
            yield frozenset(each for each in found if each >= 0 and each in self.changes), missing

    def _synced(self, length: int) -> list[Change]:
        """The changes whose folders were synced: they last if those folders do."""
        return [
            change
            for change in self.changes.values()
            if change.position < length and all(self._is_synced(f, change.position, length) for f in change.folders)
        ]

    def _with_contents(self, lasting: frozenset[int], synced: Sequence[Change]) -> frozenset[int]:
        """The changes that last, with those of synced folders that last by them."""
        while True:
            more = [each.position for each in synced if each.position not in lasting and each.inside <= lasting]
            if not more:
                return lasting
            lasting |= self._with_earlier(more)

    def _kept(self, synced: list[Change]) -> frozenset[int]:
        """The changes that last because their folders were synced, or because one that lasts comes after them."""
        while True:
            kept = self._with_earlier(change.position for change in synced)
            lasting = [change for change in synced if change.inside <= kept]
            if len(lasting) == len(synced):
                return kept
            synced = lasting

    def _is_synced(self, number: int, position: int, length: int) -> bool:
        return any(position < each < length for each in self.synced.get(number, ()))

    def _with_earlier(self, chosen: Iterable[int]) -> frozenset[int]:
        return self._closed(chosen, lambda change: change.after)

    def _needed(self, chosen: Iterable[int]) -> frozenset[int]:
        return self._closed(chosen, lambda change: change.needs)

    def _closed(self, chosen: Iterable[int], more: Callable[[Change], Iterable[int]]) -> frozenset[int]:
        found, left = set[int](), [*chosen]
        while left:
            each = left.pop()
            if each not in found:
                found.add(each)
                left.extend(more(self.changes[each]))
        return frozenset(found)

    def _with_later(self, first: int, pending: Sequence[int]) -> frozenset[int]:
        found = {first}
        for each in pending:
            if each > first and self.changes[each].needs & found:
                found.add(each)
        return frozenset(found)

    def _pending_bytes(self, number: int, length: int) -> bool:
        return any(
            each.position < length and not self._is_synced(number, each.position, length)
            for each in self.written[number]
        )

    def _tree(self, lasting: frozenset[int], length: int, parts: Mapping[int, str]) -> Tree:
        entries = dict[int, dict[str, int]]()
        for (folder, name), number in self.entries.items():
            entries.setdefault(folder, {})[name] = number
        for position in sorted(lasting):
            for (folder, name), changed in self.changes[position].entries.items():
                if changed is None:
                    entries.get(folder, {}).pop(name, None)
                else:
                    entries.setdefault(folder, {})[name] = changed
        tree, left = dict[str, bytes | None](), [("", ROOT)]
        while left:
            above, folder = left.pop()
            for name, number in entries.get(folder, {}).items():
                path = f"{above}{name}"
                if number in self.folders:
                    tree[path] = None
                    left.append((f"{path}/", number))
                else:
                    tree[path] = self._content(number, length, parts.get(number, "whole"))
        return tree

    @cached_property
    def _made(self) -> dict[tuple[int, int, str], bytes]:
        return {}

    def _content(self, number: int, length: int, part: str) -> bytes:
        done = [each for each in self.written.get(number, ()) if each.position < length]
        key = number, len(done) and done[-1].position * 2 + self._is_synced(number, done[-1].position, length), part
        if key not in self._made:
            self._made[key] = self._filled(number, done, length, part)
        return self._made[key]

    def _filled(self, number: int, done: Sequence[Bytes], length: int, part: str) -> bytes:
        pending = [each for each in done if not self._is_synced(number, each.position, length)]
        total = sum(len(each.content or b"") for each in pending)
        room = {"none": -1, "half": total // 2, "all but a byte": total - 1}.get(part, total)
        content = self.contents[number]
        for each in done:
            if each not in pending:
                content = _changed(content, each, len(each.content or b""))
            elif room >= 0:
                content = _changed(content, each, room)
                room = room - len(each.content or b"") or -1
        return content


def _changed(content: bytes, by: Bytes, room: int) -> bytes:
    if by.content is None:
        return content[: by.offset]
    part = by.content[:room] if room < len(by.content) else by.content
    return content[: by.offset].ljust(by.offset, b"\0") + part + content[by.offset + len(part) :]
