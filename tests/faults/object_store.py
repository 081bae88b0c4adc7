"""An object store in memory that records what is put and deleted. Each of these operations is atomic, and lasts at once."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any

import pyarrow as pa
from pyarrow.fs import FileInfo, FileSelector, FileSystemHandler, FileType, PyFileSystem

from minimize.stores import ObjectPath
from minimize.stores.object_store import Bucket

NAME = "memory"


@dataclass(frozen=True)
class Step:
    """An object that is put, or deleted (`content` is None). Deletions of one request have the same number, and no order."""

    key: str
    content: bytes | None
    request: int


@dataclass
class Store:
    """The objects of a bucket by key, and what was done to them."""

    objects: dict[str, bytes]
    steps: list[Step] = field(default_factory=list)
    _requests: int = 0

    def output(self) -> ObjectPath:
        """An output in the bucket."""
        bucket = Bucket("s3", NAME)
        vars(bucket)["_file_system"] = PyFileSystem(self), NAME
        return ObjectPath(bucket, PurePosixPath("out"))

    def put(self, key: str, content: bytes) -> None:
        self._do([key], content)

    def _do(self, keys: Sequence[str], content: bytes | None) -> None:
        self._requests += 1
        for key in keys:
            self.steps.append(Step(key, content, self._requests))
            apply(self.objects, self.steps[-1])

    def get_type_name(self) -> str:
        return NAME

    def normalize_path(self, path: str) -> str:
        return path

    def get_file_info(self, paths: Sequence[str]) -> list[FileInfo]:
        return [self._info(path) for path in paths]

    def _info(self, path: str) -> FileInfo:
        if path in self.objects:
            return FileInfo(path, FileType.File, size=len(self.objects[path]))
        is_folder = path == NAME or any(key.startswith(f"{path}/") for key in self.objects)
        return FileInfo(path, FileType.Directory if is_folder else FileType.NotFound)

    def get_file_info_selector(self, selector: FileSelector) -> list[FileInfo]:
        start = f"{selector.base_dir}/"
        below = [key.removeprefix(start) for key in sorted(self.objects) if key.startswith(start)]
        names = {"/".join(each.split("/")[:depth]) for each in below for depth in range(1, each.count("/") + 2)}
        return [self._info(start + name) for name in sorted(names) if selector.recursive or "/" not in name]

    def open_input_stream(self, path: str) -> pa.NativeFile:
        return self.open_input_file(path)

    def open_input_file(self, path: str) -> pa.NativeFile:
        if path not in self.objects:
            raise FileNotFoundError(path)
        return pa.BufferReader(self.objects[path])

    def open_output_stream(self, path: str, metadata: Any) -> pa.NativeFile:
        return pa.PythonFile(_Upload(self, path), mode="w")

    def open_append_stream(self, path: str, metadata: Any) -> pa.NativeFile:
        raise NotImplementedError

    def copy_file(self, src: str, dest: str) -> None:
        self.put(dest, self.objects[src])

    def delete_file(self, path: str) -> None:
        if path not in self.objects:
            raise FileNotFoundError(path)
        self._do([path], None)

    def delete_dir(self, path: str) -> None:
        self._do([key for key in sorted(self.objects) if key.startswith(f"{path}/")], None)

    def delete_dir_contents(self, path: str, missing_dir_ok: bool = False) -> None:
        raise NotImplementedError

    def delete_root_dir_contents(self) -> None:
        raise NotImplementedError

    def create_dir(self, path: str, recursive: bool) -> None:
        raise NotImplementedError

    def move(self, src: str, dest: str) -> None:
        raise NotImplementedError


FileSystemHandler.register(Store)


class _Upload(io.BytesIO):
    """An object on its way: it is there once this is closed."""

    def __init__(self, store: Store, key: str) -> None:
        super().__init__()
        self._store, self._key = store, key

    def close(self) -> None:
        if not self.closed:
            self._store.put(self._key, self.getvalue())
        super().close()


def apply(objects: dict[str, bytes], step: Step) -> None:
    """Does one step."""
    if step.content is None:
        objects.pop(step.key, None)
    else:
        objects[step.key] = step.content


def states(base: dict[str, bytes], steps: Sequence[Step], length: int) -> Iterator[dict[str, bytes]]:
    """What the bucket may hold after so many steps: of a request that deletes many, any part may be done."""
    objects = dict(base)
    for step in steps[:length]:
        apply(objects, step)
    yield objects
    rest = steps[length:]
    group = [step for step in rest if step.request == rest[0].request]
    for each in group if len(group) > 1 else ():
        alone, others = dict(objects), dict(objects)
        apply(alone, each)
        for other in group:
            if other is not each:
                apply(others, other)
        yield alone
        yield others
