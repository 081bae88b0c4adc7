"""Places that are a folder on disk or a prefix in an object store, chosen by how they are written.

address  what a URI says, and what it may not say
remote   a path in a bucket, as far as it is like one on disk
reasons  why a store refused, told without a word of its own message
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
from minimize.stores.address import Bucket, Fault, is_uri
from minimize.stores.remote import Remote
from minimize.stores.upload import Upload

__all__ = [
    "Anywhere",
    "Bucket",
    "Place",
    "Remote",
    "Upload",
    "absolute",
    "fault_in",
    "fetched",
    "is_uri",
    "length_of",
    "local",
    "options_of",
    "output_at",
    "parquet_file",
    "relative",
    "where",
    "within",
    "written",
]

Place = Path | Remote
"""A folder or file on disk, or in an object store."""
Anywhere = str | PathLike[str] | Remote
"""How a place is named: a path, a URI, or a place in a store."""


def where(text: Anywhere, base: Path | None = None, *, fault: Fault = SourceError) -> Place:
    """The place that a path or a URI names; a path is relative to a folder. Raises the fault for a URI that cannot be one.

    >>> str(where("s3://bucket/in/2026?region=eu-west-1")), str(where("in", Path("/data")))
    ('s3://bucket/in/2026', '/data/in')
    """
    if isinstance(text, Remote):
        return text if text.bucket.fault is fault else Remote(replace(text.bucket, fault=fault), text.key)
    said = fspath(text)
    if not is_uri(said):
        return (Path() if base is None else base) / said
    bucket, key = Bucket.of(said, fault)
    return Remote(bucket, PurePosixPath(key))


def output_at(text: Anywhere, base: Path | None = None) -> Place:
    """The output that a path or a URI names. Raises OutputError."""
    return where(text, base, fault=OutputError)


BUFFER = 1 << 20
"""Bytes of a column chunk that are held at once while it is read from disk."""


def parquet_file(
    place: Place, *, read_dictionary: Sequence[str] | None = None, decryption: Any = None
) -> pq.ParquetFile:
    """A Parquet file, opened; of an object the column chunks of a row group are fetched together.

    Takes pyarrow's `FileDecryptionProperties` where columns are encrypted (see `minimize.encryption`).
    """
    how = {"read_dictionary": read_dictionary, "decryption_properties": decryption}
    if isinstance(place, Remote):
        return pq.ParquetFile(place.open(), pre_buffer=True, **how)
    return pq.ParquetFile(place, pre_buffer=False, buffer_size=BUFFER, **how)


def length_of(file: IO[bytes] | pa.NativeFile) -> int:
    """How many bytes an open file has, which may be read from anywhere next. An object is not sought to its end: GCS refuses."""
    return file.size() if isinstance(file, pa.NativeFile) else file.seek(0, SEEK_END)


def local(place: Anywhere | None) -> Path | None:
    """The path, where it is one on disk.

    >>> local("s3://house/out"), str(local("out"))
    (None, 'out')
    """
    return None if place is None or isinstance(place, Remote) or is_uri(fspath(place)) else Path(place)


@contextmanager
def fetched(folder: Place) -> Iterator[Path]:
    """A folder on disk: itself, or a copy that lasts as long as the block, which only its owner can read."""
    if isinstance(folder, Path):
        yield folder
        return
    with TemporaryDirectory(prefix="minimize-") as copy:
        for place in folder.below():
            path = Path(copy, relative(place, folder))
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(place.read_bytes())
        yield Path(copy)


def fault_in(text: str) -> SourceError | OutputError | None:
    """What is wrong with a path where it is a URI; None where nothing is."""
    try:
        where(text)
    except (SourceError, OutputError) as error:
        return error
    return None


def written(place: Anywhere) -> str:
    """A place as it is written to be found again, the options of a URI included."""
    return place.uri if isinstance(place, Remote) else fspath(place)


def options_of(place: Place) -> str:
    """The options of a URI, with `?`; '' where it says none, or the place is on disk."""
    return place.bucket.query if isinstance(place, Remote) else ""


def absolute(place: Place) -> Place:
    """The place, whatever the current folder."""
    return place if isinstance(place, Remote) else place.absolute()


def relative(place: Place, root: Place) -> PurePosixPath:
    """The path below a root, with `/`. Raises ValueError where it does not lie there.

    >>> str(relative(where("s3://bucket/in/a/b.csv"), where("s3://bucket/in")))
    'a/b.csv'
    """
    if isinstance(place, Path) and isinstance(root, Path):
        return PurePosixPath(place.relative_to(root))
    if isinstance(place, Remote) and isinstance(root, Remote):
        return place.relative_to(root)
    raise ValueError("one is on disk, the other is not")


def within(place: Place, root: Place) -> bool:
    """Whether a place lies at or below another.

    >>> within(where("s3://bucket/in/a"), where("s3://bucket/in")), within(where("s3://bucket/in"), Path("/data"))
    (True, False)
    """
    if isinstance(place, Path) and isinstance(root, Path):
        return place.resolve().is_relative_to(root.resolve())
    return isinstance(place, Remote) and isinstance(root, Remote) and place.is_relative_to(root)
