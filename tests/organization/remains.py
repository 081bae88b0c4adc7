"""What is left of subjects on disk: a sweep of every byte of the service below compression and encryption.

The sweep is that of `tests/leak`. Before it, encrypted columns are decrypted with the keyring, and so are sealed records and
inventories, so that a value cannot hide behind a key. Only the keyed tokens of the erasure list are not values.
"""

from __future__ import annotations

import io
import zlib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import pyarrow.ipc as ipc

from minimize.datasets.erasure_list import _SUBKEY_PURPOSES as ERASURES
from minimize.datasets.inventory import _SUBKEY_PURPOSES as INVENTORIES
from minimize.keys import Keyring, find_kms
from minimize.keys.keyring import open_content
from minimize.keys.parquet_encryption import open_parquet
from minimize.keys.parquet_footer import read_encrypted_columns
from minimize.output.restricted import _SUBKEY_PURPOSES as RESTRICTED
from tests.leak.canary import Canary
from tests.leak.sweep import found
from tests.organization.people import Subject
from tests.organization.raw_records import RawRecord
from tests.organization.service import Service

NOT_SWEPT: Final = ("sample_data", "exports", "pipelines", "requests")
"""Folders of what goes in, and of what was handed to a data subject."""


def needles(
    subjects: Iterable[Subject], records: Iterable[RawRecord], forms: Mapping[Subject, Iterable[str]]
) -> list[Canary]:
    """What must not be found of deleted subjects: their ids, the pseudonyms of these, and the marks of the records of them."""
    texts: dict[str, str] = {}
    for subject in subjects:
        name = f"{type(subject).__name__} {subject.number}"
        texts |= {text: f"{name}: {space}" for space, text in subject.ids.items() if len(text) >= 6}
        texts |= dict.fromkeys(forms.get(subject, ()), f"{name}: a pseudonym")
    texts |= {each.mark: f"{each.dataset} {each.number}: a value" for each in records}
    return [Canary(place, text) for text, place in texts.items()]


def remains(service: Service, wanted: Iterable[Canary]) -> dict[str, list[str]]:
    """By file, what is left of these canaries."""
    wanted = list(wanted)
    if not wanted:
        return {}
    left: dict[str, list[str]] = {}
    for path in swept_files(service.folder):
        hits = file_remains(service, path, wanted)
        if hits:
            left[path.relative_to(service.folder).as_posix()] = sorted(hits)
    return left


def swept_files(folder: Path) -> Iterator[Path]:
    """All files of the service except those that go in or were handed out."""
    for path in sorted(folder.rglob("*")):
        if path.is_file() and path.relative_to(folder).parts[0] not in NOT_SWEPT and path.suffix != ".keys":
            yield path


def file_remains(service: Service, path: Path, wanted: Iterable[Canary]) -> set[str]:
    """What is left in one file: in its name, its bytes, and what the keyring opens."""
    wanted = list(wanted)
    hits = found(wanted, str(path.relative_to(service.folder)).encode()) | found(wanted, path)
    for content in opened(service, path):
        hits |= found(wanted, content)
    return hits


def opened(service: Service, path: Path) -> Iterator[bytes]:
    """What the keyring opens in a file: encrypted columns, sealed records, inventories and erasure lists."""
    keys = Keyring.load(service.keys)
    if path.suffix == ".parquet" and read_encrypted_columns(path).masters:
        yield _decoded(service, path)
    if path.suffix != ".sealed":
        return
    content = path.read_bytes()
    output = next(each for each in path.parents if (each / "runs").is_dir())
    places: list[tuple[Any, bytes]] = [
        (RESTRICTED, path.relative_to(output).as_posix().encode()),
        (INVENTORIES, path.name.encode()),
        (ERASURES, b"erasures"),
    ]
    for purposes, place in places:
        plain = open_content(content, keys, purposes, place)
        if plain is not None:
            yield zlib.decompress(plain) if purposes is INVENTORIES else plain
            if plain[:4] == b"PAR1":
                yield _decoded(service, plain)


def _decoded(service: Service, place: Path | bytes) -> bytes:
    """The values of a Parquet file, decrypted, and its metadata."""
    kms = find_kms(service.keys, service.folder)
    file = open_parquet(place, kms)
    sink = io.BytesIO()
    with ipc.new_stream(sink, file.schema_arrow) as writer:
        for batch in file.iter_batches():
            writer.write_batch(batch)
    return sink.getvalue() + repr(file.metadata.metadata).encode()
