"""Locations: folders and files on disk or in an object store, selected by the form of the path or URI.

object_store     buckets: URI, options and calls; a path in a bucket, with the methods of `pathlib.Path`
path_patterns    paths with wildcards: root, pattern, and whether two may name the same files
file_operations  every operation that changes files on a disk
durable_files    files that are synced to disk, digests of data files, and names of processes
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from os import SEEK_END, PathLike, fspath
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory
from typing import IO, Any

import pyarrow as pa
import pyarrow.parquet as pq

from minimize.errors import OutputError, SourceError
from minimize.stores.object_store import Bucket, ObjectPath, ObjectUpload, StoreErrorClass, is_uri

__all__ = [
    "Bucket",
    "Location",
    "LocationLike",
    "ObjectPath",
    "ObjectUpload",
    "PathText",
    "absolute_location",
    "byte_length",
    "is_same_location",
    "is_uri",
    "is_within",
    "local_copy",
    "local_path",
    "location_error",
    "location_options",
    "location_text",
    "open_parquet_file",
    "parse_location",
    "parse_output_location",
    "relative_path",
]

Location = Path | ObjectPath
"""A folder or file on disk or in an object store."""
PathText = str | PathLike[str]
"""The path of a file on disk."""
LocationLike = PathText | ObjectPath
"""A location as a path, a URI, or an object path."""


def parse_location(text: LocationLike, base: Path | None = None, *, fault: StoreErrorClass = SourceError) -> Location:
    """The location of a path or URI. A path is relative to `base`. Raises `fault` for an invalid URI.

    >>> str(parse_location("s3://bucket/in/2026?region=eu-west-1")), str(parse_location("in", Path("/data")))
    ('s3://bucket/in/2026', '/data/in')
    """
    if isinstance(text, ObjectPath):
        return text if text.bucket.fault is fault else ObjectPath(replace(text.bucket, fault=fault), text.key)
    path_or_uri = fspath(text)
    if not is_uri(path_or_uri):
        return (Path() if base is None else base) / path_or_uri
    bucket, key = Bucket.parse_uri(path_or_uri, fault)
    return ObjectPath(bucket, PurePosixPath(key))


def parse_output_location(text: LocationLike, base: Path | None = None) -> Location:
    """The output location of a path or URI. Raises OutputError."""
    return parse_location(text, base, fault=OutputError)


READ_BUFFER = 1 << 20
"""Bytes of a column chunk that are buffered while it is read from disk."""


def open_parquet_file(
    place: Location | bytes, *, read_dictionary: Sequence[str] | None = None, decryption: Any = None
) -> pq.ParquetFile:
    """An opened Parquet file. In an object store, the column chunks of a row group are fetched together.

    Takes pyarrow's `FileDecryptionProperties` for encrypted columns (see `minimize.keys.parquet_encryption`). Pages that have a
    checksum are compared with it. Raises OSError and pyarrow's errors for other files than Parquet, also for a column whose name
    is not UTF-8.
    """
    how = {
        "read_dictionary": read_dictionary,
        "decryption_properties": decryption,
        "page_checksum_verification": True,
    }
    with suppress(UnicodeDecodeError):
        if isinstance(place, ObjectPath):
            return pq.ParquetFile(place.open(), pre_buffer=True, **how)
        source = pa.BufferReader(place) if isinstance(place, bytes) else place
        return pq.ParquetFile(source, pre_buffer=False, buffer_size=READ_BUFFER, **how)
    raise pa.ArrowInvalid("a name in the file is not UTF-8")


def byte_length(file: IO[bytes] | pa.NativeFile) -> int:
    """Size of an open file in bytes.

    The read position may change. An object is not sought to its end, because GCS refuses that.
    """
    return file.size() if isinstance(file, pa.NativeFile) else file.seek(0, SEEK_END)


def local_path(place: LocationLike | None) -> Path | None:
    """The path of a location on disk; None for other locations.

    >>> local_path("s3://bucket/out"), str(local_path("out"))
    (None, 'out')
    """
    return None if place is None or isinstance(place, ObjectPath) or is_uri(fspath(place)) else Path(place)


@contextmanager
def local_copy(folder: Location) -> Iterator[Path]:
    """A folder on disk: the folder itself, or a temporary copy until the block ends, which only its owner can read."""
    if isinstance(folder, Path):
        yield folder
        return
    with TemporaryDirectory(prefix="minimize-") as copy:
        for place in folder.objects_below():
            path = Path(copy, relative_path(place, folder))
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(place.read_bytes())
        yield Path(copy)


def location_error(text: str) -> SourceError | OutputError | None:
    """The error in a URI; None for a valid URI or a path."""
    try:
        parse_location(text)
    except (SourceError, OutputError) as error:
        return error
    return None


def location_text(place: LocationLike) -> str:
    """The text from which the location can be parsed again, with the options of a URI."""
    return place.uri if isinstance(place, ObjectPath) else fspath(place)


def location_options(place: Location) -> str:
    """The options of a URI, with `?`; '' if it has none, or if the location is on disk."""
    return place.bucket.query if isinstance(place, ObjectPath) else ""


def absolute_location(place: Location) -> Location:
    """The location, independent of the current folder."""
    return place if isinstance(place, ObjectPath) else place.absolute()


def relative_path(place: Location, root: Location) -> PurePosixPath:
    """The path below a root, with `/`. Raises ValueError if the location is not below it.

    >>> str(relative_path(parse_location("s3://bucket/in/a/b.csv"), parse_location("s3://bucket/in")))
    'a/b.csv'
    """
    if isinstance(place, Path) and isinstance(root, Path):
        return PurePosixPath(place.relative_to(root))
    if isinstance(place, ObjectPath) and isinstance(root, ObjectPath):
        return place.relative_to(root)
    raise ValueError("one location is on disk, the other is not")


def is_within(place: Location, root: Location) -> bool:
    """Whether a location is a root or below it.

    >>> folder = parse_location("s3://bucket/in")
    >>> is_within(parse_location("s3://bucket/in/a"), folder), is_within(folder, Path("/data"))
    (True, False)
    """
    if isinstance(place, Path) and isinstance(root, Path):
        return place.resolve().is_relative_to(root.resolve())
    return isinstance(place, ObjectPath) and isinstance(root, ObjectPath) and place.is_relative_to(root)


def is_same_location(first: Location, second: Location) -> bool:
    """Whether both are the same folder or file, whatever they are called.

    >>> is_same_location(Path("/data/in"), Path("/data/out/../in"))
    True
    """
    if isinstance(first, Path) and isinstance(second, Path) and first.exists() and second.exists():
        return first.samefile(second)
    return is_within(first, second) and is_within(second, first)
