"""A path in a bucket, with the methods of `pathlib.Path` that an object store supports, and uploads."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from fnmatch import fnmatchcase
from functools import partial
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any, Final

from minimize.stores.bucket import Bucket

if TYPE_CHECKING:
    from pyarrow.fs import FileInfo, FileSystem


@dataclass(frozen=True, slots=True)
class ObjectUpload:
    """Takes bytes; what was taken is an object once it is closed, and nothing before."""

    bucket: Bucket
    file: Any

    def write(self, data: Any) -> int:
        """Takes bytes in, all of them."""
        self.bucket.call(lambda _: self.file.write(data), retry=False)
        return len(data)

    def close(self) -> None:
        """Makes it an object."""
        self.bucket.call(lambda _: self.file.close(), retry=False)


STREAM_BUFFER: Final = 8 << 20
"""How many bytes are fetched at a time where a file is read from its start."""
ObjectFingerprint = tuple[int, str, str]
"""Size, time of the last change and tag of an object."""


@dataclass(frozen=True, slots=True)
class ObjectPath:
    """An object, or what lies under a prefix. Its name is the key in the bucket, nothing decoded."""

    bucket: Bucket
    key: PurePosixPath

    def __str__(self) -> str:
        return f"{self.bucket}/{self.key_text}"

    def __lt__(self, other: ObjectPath) -> bool:
        return (str(self.bucket), self.key) < (str(other.bucket), other.key)

    def __truediv__(self, below: str | PurePosixPath) -> ObjectPath:
        return ObjectPath(self.bucket, self.key / below)

    @property
    def uri(self) -> str:
        """What names it, options included."""
        return f"{self}{self.bucket.query}"

    @property
    def name(self) -> str:
        """The last part of the key."""
        return self.key.name

    @property
    def parts(self) -> tuple[str, ...]:
        """The parts of the key."""
        return self.key.parts

    @property
    def suffix(self) -> str:
        """The last ending of the name."""
        return self.key.suffix

    @property
    def parent(self) -> ObjectPath:
        """What it lies under."""
        return ObjectPath(self.bucket, self.key.parent)

    def resolve(self) -> ObjectPath:
        """Itself: a store has no links."""
        return self

    def relative_to(self, root: ObjectPath) -> PurePosixPath:
        """The path below a root. Raises ValueError where it does not lie there."""
        if not self.bucket.is_same(root.bucket):
            raise ValueError("the two lie in different buckets")
        return self.key.relative_to(root.key)

    def is_relative_to(self, root: ObjectPath) -> bool:
        """Whether it lies at or below a root."""
        return self.bucket.is_same(root.bucket) and self.key.is_relative_to(root.key)

    def exists(self) -> bool:
        """Whether an object or something under the prefix is there."""
        return self._kind() in ("File", "Directory")

    def is_file(self) -> bool:
        """Whether it is an object."""
        return self._kind() == "File"

    def is_dir(self) -> bool:
        """Whether something lies under it."""
        return self._kind() == "Directory"

    def is_symlink(self) -> bool:
        """A store has no links."""
        return False

    def has_bucket(self) -> bool:
        """Whether the bucket itself is there."""
        first = self.bucket.call(lambda _: self.bucket.path("")) or next(iter(self.key.parts), "")
        return bool(self.bucket.call(lambda store: store.get_file_info([first])[0].type.name == "Directory"))

    def size(self) -> int:
        """Stored bytes. Raises FileNotFoundError."""
        return self.fingerprint()[0]

    def fingerprint(self) -> ObjectFingerprint:
        """What tells whether it is still the same object. Raises FileNotFoundError."""
        with self.open() as file:
            said = {name.lower(): value.decode() for name, value in self.bucket.call(lambda _: file.metadata()).items()}
            return file.size(), said.get("last-modified", ""), said.get("generation", said.get("etag", ""))

    def modified_at(self) -> datetime | None:
        """When the object was changed last, by the clock of the store."""
        found: datetime | None = self._call(lambda store, path: store.get_file_info([path])[0].mtime)
        return found

    def open(self, mode: str = "rb", buffering: int = -1) -> Any:
        """The object, to be read from anywhere. Raises FileNotFoundError."""
        return self._call(lambda store, path: store.open_input_file(path))

    def stream(self, compression: str | None = None) -> Any:
        """The object, read from its start, decompressed. Raises FileNotFoundError."""
        return self._call(lambda store, path: store.open_input_stream(path, compression, STREAM_BUFFER))

    def read_bytes(self) -> bytes:
        """All of it. Raises FileNotFoundError."""
        with self.open() as file:
            return bytes(self.bucket.call(lambda _: file.read()))

    def read_text(self, encoding: str = "utf-8") -> str:
        """All of it, as text. Raises FileNotFoundError, UnicodeDecodeError."""
        return self.read_bytes().decode(encoding)

    def write_bytes(self, content: bytes) -> None:
        """Puts an object, whole or not at all."""

        def put(store: FileSystem, path: str) -> None:
            with store.open_output_stream(path, compression=None, buffer_size=0) as file:
                file.write(content)

        self._call(put)

    def upload(self) -> ObjectUpload:
        """Begins an object; it is there once what is given is closed."""
        return ObjectUpload(
            self.bucket, self._call(lambda store, path: store.open_output_stream(path, compression=None))
        )

    def copy_to(self, place: ObjectPath, size: int) -> None:
        """Puts an object of this size at a second place of its bucket; where the store can, without its bytes coming this way."""
        to, once = self.bucket.path(place.key_text), self.bucket.copy_limit

        def copied(store: FileSystem, path: str) -> None:
            if once is None or size <= once:
                store.copy_file(path, to)
                return
            with store.open_input_stream(path, None) as source, store.open_output_stream(to, None) as target:
                while data := source.read(STREAM_BUFFER):
                    target.write(data)

        self._call(copied)

    def unlink(self) -> None:
        """Removes an object; one that is gone is no fault."""
        with suppress(FileNotFoundError):
            self._call(lambda store, path: store.delete_file(path))

    def remove_tree(self) -> None:
        """Removes everything below; that nothing is there is no fault."""
        if self.bucket.is_google:
            for place in self.objects_below():
                place.unlink()
            return
        with suppress(FileNotFoundError):
            self._call(lambda store, path: store.delete_dir(path))

    def sizes(self) -> dict[str, int]:
        """The objects below by their path within, with their stored bytes."""
        found = (info for info in self._listing(recursive=True) if info.type.name == "File")
        return {str(self._as_ours(info).relative_to(self)): info.size for info in found}

    def rglob(self, pattern: str) -> Iterator[ObjectPath]:
        """The objects below whose names match."""
        yield from (found for found in self.objects_below() if fnmatchcase(found.name, pattern))

    def objects_below(self) -> Sequence[ObjectPath]:
        """All objects below, by key."""
        return sorted(self._as_ours(info) for info in self._listing(recursive=True) if info.type.name == "File")

    def iterdir(self) -> Iterator[ObjectPath]:
        """What lies right below, objects and prefixes, by key."""
        if self.bucket.is_google:
            names = {place.relative_to(self).parts[0] for place in self.objects_below()}
            yield from (self / name for name in sorted(names))
        else:
            yield from sorted(self._as_ours(info) for info in self._listing(recursive=False))

    def _as_ours(self, info: FileInfo) -> ObjectPath:
        start = self.bucket.path("")
        return ObjectPath(self.bucket, PurePosixPath(info.path.removeprefix(start).strip("/")))

    def _listing(self, *, recursive: bool) -> list[FileInfo]:
        from pyarrow.fs import FileSelector

        selected = partial(FileSelector, allow_not_found=True, recursive=recursive)
        found: list[FileInfo] = self._call(lambda store, path: store.get_file_info(selected(path)))
        return found

    def _kind(self) -> str:
        return str(self._call(lambda store, path: store.get_file_info([path])[0].type.name))

    def _call(self, work: Any) -> Any:
        def on_path(store: FileSystem) -> Any:
            return work(store, self.bucket.path(self.key_text))

        return self.bucket.call(on_path)

    @property
    def key_text(self) -> str:
        """The key as the bucket has it."""
        return "" if self.key == PurePosixPath() else str(self.key)
