"""Locations: folders and files on disk or in an object store, chosen by how they are written.

object_store     buckets: URI, options and calls; a path in a bucket, with the methods of `pathlib.Path`
file_operations  every operation that changes files on a disk
durable_files    files that are synced to disk, with their digests
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
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
"""A folder or file on disk, or in an object store."""
PathText = str | PathLike[str]
"""How a file on disk is named."""
LocationLike = PathText | ObjectPath
"""How a place is named: a path, a URI, or a place in a store."""


def parse_location(text: LocationLike, base: Path | None = None, *, fault: StoreErrorClass = SourceError) -> Location:
    """The place that a path or a URI names; a path is relative to a folder. Raises the fault for a URI that cannot be one.

    >>> str(parse_location("s3://bucket/in/2026?region=eu-west-1")), str(parse_location("in", Path("/data")))
    ('s3://bucket/in/2026', '/data/in')
    """
    if isinstance(text, ObjectPath):
        return text if text.bucket.fault is fault else ObjectPath(replace(text.bucket, fault=fault), text.key)
    said = fspath(text)
    if not is_uri(said):
        return (Path() if base is None else base) / said
    bucket, key = Bucket.parse_uri(said, fault)
    return ObjectPath(bucket, PurePosixPath(key))


def parse_output_location(text: LocationLike, base: Path | None = None) -> Location:
    """The output that a path or a URI names. Raises OutputError."""
    return parse_location(text, base, fault=OutputError)


READ_BUFFER = 1 << 20
"""Bytes of a column chunk that are held at once while it is read from disk."""


def open_parquet_file(
    place: Location, *, read_dictionary: Sequence[str] | None = None, decryption: Any = None
) -> pq.ParquetFile:
    """A Parquet file, opened; of an object the column chunks of a row group are fetched together.

    Takes pyarrow's `FileDecryptionProperties` where columns are encrypted (see `minimize.keys.parquet_encryption`).
    """
    how = {"read_dictionary": read_dictionary, "decryption_properties": decryption}
    if isinstance(place, ObjectPath):
        return pq.ParquetFile(place.open(), pre_buffer=True, **how)
    return pq.ParquetFile(place, pre_buffer=False, buffer_size=READ_BUFFER, **how)


def byte_length(file: IO[bytes] | pa.NativeFile) -> int:
    """How many bytes an open file has, which may be read from anywhere next. An object is not sought to its end: GCS refuses."""
    return file.size() if isinstance(file, pa.NativeFile) else file.seek(0, SEEK_END)


def local_path(place: LocationLike | None) -> Path | None:
    """The path, where it is one on disk.

    >>> local_path("s3://house/out"), str(local_path("out"))
    (None, 'out')
    """
    return None if place is None or isinstance(place, ObjectPath) or is_uri(fspath(place)) else Path(place)


@contextmanager
def local_copy(folder: Location) -> Iterator[Path]:
    """A folder on disk: itself, or a copy that lasts as long as the block, which only its owner can read."""
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
    """What is wrong with a path where it is a URI; None where nothing is."""
    try:
        parse_location(text)
    except (SourceError, OutputError) as error:
        return error
    return None


def location_text(place: LocationLike) -> str:
    """A place as it is written to be found again, the options of a URI included."""
    return place.uri if isinstance(place, ObjectPath) else fspath(place)


def location_options(place: Location) -> str:
    """The options of a URI, with `?`; '' where it says none, or the place is on disk."""
    return place.bucket.query if isinstance(place, ObjectPath) else ""


def absolute_location(place: Location) -> Location:
    """The place, whatever the current folder."""
    return place if isinstance(place, ObjectPath) else place.absolute()


def relative_path(place: Location, root: Location) -> PurePosixPath:
    """The path below a root, with `/`. Raises ValueError where it does not lie there.

    >>> str(relative_path(parse_location("s3://bucket/in/a/b.csv"), parse_location("s3://bucket/in")))
    'a/b.csv'
    """
    if isinstance(place, Path) and isinstance(root, Path):
        return PurePosixPath(place.relative_to(root))
    if isinstance(place, ObjectPath) and isinstance(root, ObjectPath):
        return place.relative_to(root)
    raise ValueError("one location is on disk, the other is not")


def is_within(place: Location, root: Location) -> bool:
    """Whether a place lies at or below another.

    >>> folder = parse_location("s3://bucket/in")
    >>> is_within(parse_location("s3://bucket/in/a"), folder), is_within(folder, Path("/data"))
    (True, False)
    """
    if isinstance(place, Path) and isinstance(root, Path):
        return place.resolve().is_relative_to(root.resolve())
    return isinstance(place, ObjectPath) and isinstance(root, ObjectPath) and place.is_relative_to(root)
