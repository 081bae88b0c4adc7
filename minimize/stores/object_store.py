"""Object stores: URI, options and credentials of a bucket, reasons of refused requests, and paths in a bucket."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from fnmatch import fnmatchcase
from functools import cached_property, partial
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any, Final, TypeVar
from urllib.parse import parse_qsl, quote

import pyarrow as pa

from minimize.checkpoints import checkpoint
from minimize.errors import OutputError, SourceError

if TYPE_CHECKING:
    from pyarrow.fs import FileInfo, FileSystem


@dataclass(frozen=True, slots=True)
class StoreRefusal:
    """The reason of a refusal, as the predicate of a sentence whose subject is the bucket; and a hint."""

    message: str
    hint: str


UNKNOWN: Final = StoreRefusal("cannot be used", "Check the URI, and that your pyarrow supports this kind of store.")
DENIED: Final = StoreRefusal(
    "denied access: credentials are missing or lack a permission",
    "Set credentials in the environment (AWS_*, GOOGLE_*, AZURE_*) or on the machine, with permission to list, read and write.",
)
MISSING: Final = StoreRefusal("does not exist", "Check the name of the bucket, and the region or account.")
BUSY: Final = StoreRefusal("limits the rate of requests or is temporarily unavailable", "Try again later.")
UNREACHABLE: Final = StoreRefusal("cannot be reached", "Check the network and the endpoint.")
LEASED: Final = StoreRefusal(
    "has an object that another client holds a lease on", "Try again in a minute, or end the lease."
)
"""No change was made, and the lease may end at any moment. In Azure, deleting an object leases it for at most 15 seconds."""
_STORE_ERROR: Final = re.compile(r"AWS Error|curlCode|google::cloud|Azure|resolve region|OAuth2|\bHTTP\b", re.I)
_REASONS: Final[Sequence[tuple[re.Pattern[str], StoreRefusal]]] = (
    (re.compile(r"NO_SUCH_BUCKET|NoSuchBucket|ContainerNotFound|bucket .*not found", re.I), MISSING),
    (re.compile(r"\[Lease\w*\]"), LEASED),
    (
        re.compile(
            r"NETWORK_CONNECTION|curlCode|timed? ?out|could ?n.t (resolve|connect)|get a new connection|"
            r"connection closed|sending request",
            re.I,
        ),
        UNREACHABLE,
    ),
    (
        re.compile(
            r"ACCESS_DENIED|INVALID_ACCESS_KEY|INVALID_CLIENT_TOKEN|SIGNATURE|EXPIRED_TOKEN|UNAUTHENTICATED|"
            r"PERMISSION_DENIED|Authenticat|Authorization|credential|OAuth2|MISSING_AUTHENTICATION|\b40[13]\b",
            re.I,
        ),
        DENIED,
    ),
    (re.compile(r"SLOW_DOWN|THROTTL|SERVICE_UNAVAILABLE|INTERNAL_FAILURE|UNAVAILABLE|\b50[0234]\b", re.I), BUSY),
)


def refusal_reason(error: BaseException) -> StoreRefusal | None:
    """The reason of a store's refusal; None if the error is not from a store or has no known reason.

    >>> refusal_reason(OSError("When reading 'x': AWS Error ACCESS_DENIED during HeadObject operation")) is DENIED
    True
    >>> refusal_reason(OSError("zlib inflate failed"))
    """
    text = str(error)
    if not _STORE_ERROR.search(text):
        return None
    return next((reason for pattern, reason in _REASONS if pattern.search(text)), None)


AZURE_SCHEMES: Final = ("abfs", "abfss")
AZURE_COPY_LIMIT: Final = 256 << 20
"""The largest object that Azure copies in one step."""
_AZURE_KEYS: Final[Mapping[str, str]] = {"AZURE_STORAGE_KEY": "account_key", "AZURE_STORAGE_SAS_TOKEN": "sas_token"}


def with_azure_credentials(store: FileSystem, environ: Mapping[str, str]) -> FileSystem | None:
    """The store, opened with the account's key or signature from the environment, if there is one.

    None if the connection has no TLS and neither is set: pyarrow would send a token, or end the process if it must not.
    """
    from pyarrow.fs import AzureFileSystem

    options = {name: value for name, value in _connection_options(store).items() if value}
    named = next(((_AZURE_KEYS[name], environ[name]) for name in _AZURE_KEYS if environ.get(name)), None)
    if named is not None:
        return AzureFileSystem(**options, **dict([named]))
    return store if {options.get(f"{kind}_storage_scheme") for kind in ("blob", "dfs")} <= {"https", None} else None


def _connection_options(store: Any) -> Mapping[str, str]:
    """The options with which a store was opened, from its pickle."""
    _, (options,) = store.__reduce__()
    return dict(options)


T = TypeVar("T")
StoreErrorClass = type[SourceError] | type[OutputError]
"""The error to raise if the store refuses."""
_URI: Final = re.compile(r"([a-z][a-z0-9+.-]*)://([^/?]*)(/[^?]*)?(\?.*)?", re.DOTALL)
_RETRY_SECONDS: Final = 20.0
"""Seconds until the retries for a leased object end."""
_RETRY_PAUSE: Final = 0.5
_S3_COPY_LIMIT: Final = 5 << 30
"""The largest object that S3 copies in one step."""
_S3: Final = frozenset({"region", "scheme", "endpoint_override"})
_GCS: Final = frozenset({"scheme", "endpoint_override", "project_id", "retry_limit_seconds"})
_AZURE: Final = frozenset(
    {f"{kind}_storage_{part}" for kind in ("blob", "dfs") for part in ("authority", "scheme")} | {"enable_tls"}
)
OPTIONS: Final[Mapping[str, frozenset[str]]] = {
    "s3": _S3,
    "gs": _GCS,
    "gcs": _GCS,
    "abfs": _AZURE,
    "abfss": _AZURE,
}
"""The schemes and the options that a URI may have. Others that pyarrow knows are not allowed; some of them are secrets."""
_DEFAULT_OPTIONS: Final[Mapping[str, Mapping[str, str]]] = {
    "gs": {"retry_limit_seconds": "60"},
    "s3": {"allow_delayed_open": "true"},
}
"""Defaults of options: retries end long before a quarter of an hour, and small objects are uploaded in one request."""


def is_uri(text: str) -> bool:
    """Whether this is a URI rather than a path on disk.

    >>> is_uri("s3://bucket/in"), is_uri("in/s3:/bucket")
    (True, False)
    """
    return _URI.fullmatch(text) is not None


@dataclass(frozen=True)
class Bucket:
    """A bucket (or container) of an object store."""

    scheme: str
    """`s3`, `gs`, `abfs` …"""
    authority: str
    """The text between `//` and `/`: the bucket's name; for Azure also the account."""
    options: tuple[tuple[str, str], ...] = ()
    """The options as in the URI, sorted."""
    fault: StoreErrorClass = SourceError
    """The error to raise if the store refuses."""

    @classmethod
    def parse_uri(cls, uri: str, fault: StoreErrorClass = SourceError) -> tuple[Bucket, str]:
        """The bucket of a URI and the path in it. Raises `fault` for an invalid URI."""
        match = _URI.fullmatch(uri)
        if match is None:
            raise fault("invalid URI of an object store", hint="Write SCHEME://BUCKET/PATH.")
        scheme, authority, path, query = match[1], match[2], match[3] or "", (match[4] or "")[1:]
        _check_scheme(scheme, fault)
        _check_authority(scheme, authority, fault)
        options = parse_qsl(query, keep_blank_values=True)
        _check_options(scheme, options, fault)
        return cls(scheme, authority, tuple(sorted(options)), fault), path.strip("/")

    def __str__(self) -> str:
        return f"{self.scheme}://{self.authority}"

    @property
    def query(self) -> str:
        """The options as in a URI, with `?`; '' if there are none."""
        query = "&".join(f"{name}={quote(value, safe=':/')}" for name, value in self.options)
        return f"?{query}" if query else ""

    def __getstate__(self) -> dict[str, Any]:
        """State for other processes, which open the store themselves."""
        return {name: getattr(self, name) for name in ("scheme", "authority", "options", "fault")}

    def is_same(self, bucket: Bucket) -> bool:
        """Whether both are the same bucket, even if the options differ."""
        return (self.scheme, self.authority) == (bucket.scheme, bucket.authority)

    def call(self, work: Callable[[FileSystem], T], *, retry: bool = True) -> T:
        """The result of the work with the store. With `retry`, a leased object is tried again for some time.

        Raises FileNotFoundError, and `fault` if the store refuses, without the store's message.
        """
        until = time.monotonic() + (_RETRY_SECONDS if retry else 0)
        while (result := self._tried(work)) is LEASED and time.monotonic() < until:
            time.sleep(_RETRY_PAUSE)
        if isinstance(result, StoreRefusal):
            raise self.fault(f"{self} {result.message}", hint=result.hint)
        return result

    def _tried(self, work: Callable[[FileSystem], T]) -> T | StoreRefusal:
        reason: StoreRefusal | None = UNKNOWN
        try:
            return work(self.files)
        except FileNotFoundError:
            reason = None
        except (OSError, pa.ArrowException) as error:
            reason = refusal_reason(error) or UNKNOWN
        if reason is None:
            raise FileNotFoundError(f"{self} has no such object")
        return reason

    def path(self, key: str) -> str:
        """A key as a path of the store's file system."""
        return "/".join(part for part in (self._file_system[1], key) if part)

    @property
    def files(self) -> FileSystem:
        """The store's file system. Credentials are read from the environment or the instance."""
        return self._file_system[0]

    @cached_property
    def _file_system(self) -> tuple[FileSystem, str]:
        """The store's file system, and the prefix of its paths: the bucket, unless the path itself starts with it."""
        from pyarrow.fs import FileSystem

        options = {**_DEFAULT_OPTIONS.get({"gcs": "gs"}.get(self.scheme, self.scheme), {}), **dict(self.options)}
        query = "&".join(f"{name}={quote(value, safe='')}" for name, value in options.items())
        store, path = FileSystem.from_uri(f"{self.scheme}://{self.authority}/x{query and '?'}{query}")
        if self.scheme in AZURE_SCHEMES:
            store = with_azure_credentials(store, os.environ)
        if store is None:
            hint = "Use TLS, or set AZURE_STORAGE_KEY or AZURE_STORAGE_SAS_TOKEN."
            raise self.fault(f"{self} is used without TLS, so no token is sent", hint=hint)
        return store, path.removesuffix("x").strip("/")

    @property
    def is_google(self) -> bool:
        """Whether prefixes are not folders: they are not listed, and are removed object by object."""
        return self.scheme in ("gs", "gcs")

    @property
    def copy_limit(self) -> int | None:
        """Maximum size in bytes of an object that the store copies in one step; None for no limit."""
        return None if self.is_google else AZURE_COPY_LIMIT if self.scheme in AZURE_SCHEMES else _S3_COPY_LIMIT


def _check_scheme(scheme: str, fault: StoreErrorClass) -> None:
    if scheme not in OPTIONS:
        raise fault("unknown scheme in a URI", hint=f"Use one of {', '.join(f'{each}://' for each in OPTIONS)}.")


def _check_authority(scheme: str, authority: str, fault: StoreErrorClass) -> None:
    """For Azure the container or account precedes an `@`. For other schemes only a secret could."""
    user, at, host = authority.rpartition("@")
    allowed = scheme in ("abfs", "abfss") or (scheme in ("gs", "gcs") and user == "anonymous")
    if ":" in user or (at and not allowed):
        hint = "Set credentials in the environment (AWS_*, GOOGLE_*, AZURE_*) or on the machine."
        raise fault("a URI must not contain credentials", hint=hint)
    if not host:
        raise fault("a URI has no bucket", hint="Write SCHEME://BUCKET/PATH.")


def _check_options(scheme: str, options: list[tuple[str, str]], fault: StoreErrorClass) -> None:
    if any(name not in OPTIONS[scheme] or "@" in value for name, value in options):
        option_names = ", ".join(sorted(OPTIONS[scheme]))
        raise fault(
            f"unknown option in a {scheme}:// URI", hint=f"Use one of {option_names}. Never put a secret into a URI."
        )


@dataclass(frozen=True, slots=True)
class ObjectUpload:
    """A writer whose bytes become an object when it is closed, and not before."""

    bucket: Bucket
    file: Any

    def write(self, data: Any) -> int:
        """Write all bytes."""
        self.bucket.call(lambda _: self.file.write(data), retry=False)
        return len(data)

    def close(self) -> None:
        """Create the object."""
        self.bucket.call(lambda _: self.file.close(), retry=False)


STREAM_BUFFER: Final = 8 << 20
"""Bytes that are fetched at a time if a file is read from its start."""
ObjectFingerprint = tuple[int, str, str]
"""Size, modification time and tag of an object."""


@dataclass(frozen=True, slots=True)
class ObjectPath:
    """An object or a prefix. Its name is the key in the bucket, not decoded."""

    bucket: Bucket
    key: PurePosixPath

    def __str__(self) -> str:
        return f"{self.bucket}/{self.key_text}"

    def __lt__(self, path: ObjectPath) -> bool:
        return (str(self.bucket), self.key) < (str(path.bucket), path.key)

    def __truediv__(self, below: str | PurePosixPath) -> ObjectPath:
        return ObjectPath(self.bucket, self.key / below)

    @property
    def uri(self) -> str:
        """The URI, with the options."""
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
        """The last suffix of the name."""
        return self.key.suffix

    @property
    def parent(self) -> ObjectPath:
        """The prefix above it."""
        return ObjectPath(self.bucket, self.key.parent)

    def resolve(self) -> ObjectPath:
        """The path itself, because a store has no links."""
        return self

    def relative_to(self, root: ObjectPath) -> PurePosixPath:
        """The path below a root. Raises ValueError if it is not below it."""
        if not self.bucket.is_same(root.bucket):
            raise ValueError("the two locations are in different buckets")
        return self.key.relative_to(root.key)

    def is_relative_to(self, root: ObjectPath) -> bool:
        """Whether it is a root or below it."""
        return self.bucket.is_same(root.bucket) and self.key.is_relative_to(root.key)

    def exists(self) -> bool:
        """Whether an object or anything below the prefix exists."""
        return self._kind() in ("File", "Directory")

    def is_file(self) -> bool:
        """Whether it is an object."""
        return self._kind() == "File"

    def is_dir(self) -> bool:
        """Whether anything exists below it."""
        return self._kind() == "Directory"

    def is_symlink(self) -> bool:
        """False, because a store has no links."""
        return False

    def has_bucket(self) -> bool:
        """Whether the bucket exists."""
        first = self.bucket.call(lambda _: self.bucket.path("")) or next(iter(self.key.parts), "")
        return bool(self.bucket.call(lambda store: store.get_file_info([first])[0].type.name == "Directory"))

    def size(self) -> int:
        """Stored bytes. Raises FileNotFoundError."""
        return self.fingerprint()[0]

    def fingerprint(self) -> ObjectFingerprint:
        """A fingerprint that identifies this version of the object. Raises FileNotFoundError."""
        with self.open() as file:
            metadata = {
                name.lower(): value.decode() for name, value in self.bucket.call(lambda _: file.metadata()).items()
            }
            return file.size(), metadata.get("last-modified", ""), metadata.get("generation", metadata.get("etag", ""))

    def modified_at(self) -> datetime | None:
        """The time of the last change, by the clock of the store."""
        time: datetime | None = self._call(lambda store, path: store.get_file_info([path])[0].mtime)
        return time

    def open(self, mode: str = "rb", buffering: int = -1) -> Any:
        """The object, opened for random access. Raises FileNotFoundError."""
        return self._call(lambda store, path: store.open_input_file(path))

    def stream(self) -> Any:
        """The object as a stream. Raises FileNotFoundError."""
        return self._call(lambda store, path: store.open_input_stream(path, None, STREAM_BUFFER))

    def read_bytes(self) -> bytes:
        """The content. Raises FileNotFoundError."""
        with self.open() as file:
            return bytes(self.bucket.call(lambda _: file.read()))

    def read_text(self, encoding: str = "utf-8") -> str:
        """The content as text. Raises FileNotFoundError, UnicodeDecodeError."""
        return self.read_bytes().decode(encoding)

    def write_bytes(self, content: bytes) -> None:
        """Write an object, completely or not at all."""

        def put(store: FileSystem, path: str) -> None:
            with store.open_output_stream(path, compression=None, buffer_size=0) as file:
                file.write(content)

        self._call(put)

    def upload(self) -> ObjectUpload:
        """Begin an object, which exists when the returned writer is closed."""
        return ObjectUpload(
            self.bucket, self._call(lambda store, path: store.open_output_stream(path, compression=None))
        )

    def copy_to(self, place: ObjectPath, size: int) -> None:
        """Copy an object of this size within its bucket. If possible, the store copies it without a download."""
        to, once = self.bucket.path(place.key_text), self.bucket.copy_limit

        def copied(store: FileSystem, path: str) -> None:
            if once is None or size <= once:
                store.copy_file(path, to)
                return
            checkpoint("object.streamed")
            with store.open_input_stream(path, None) as source, store.open_output_stream(to, None) as target:
                while data := source.read(STREAM_BUFFER):
                    target.write(data)

        self._call(copied)

    def unlink(self) -> None:
        """Remove an object; it need not exist."""
        with suppress(FileNotFoundError):
            self._call(lambda store, path: store.delete_file(path))

    def remove_tree(self) -> None:
        """Remove everything below; nothing need exist."""
        if self.bucket.is_google:
            for place in self.objects_below():
                place.unlink()
            return
        with suppress(FileNotFoundError):
            self._call(lambda store, path: store.delete_dir(path))

    def sizes(self) -> dict[str, int]:
        """The objects below, by relative path, with their stored bytes."""
        files = (info for info in self._listing(recursive=True) if info.type.name == "File")
        return {str(self._as_ours(info).relative_to(self)): info.size for info in files}

    def rglob(self, pattern: str) -> Iterator[ObjectPath]:
        """The objects below with matching names."""
        yield from (path for path in self.objects_below() if fnmatchcase(path.name, pattern))

    def objects_below(self) -> Sequence[ObjectPath]:
        """All objects below, by key."""
        return sorted(self._as_ours(info) for info in self._listing(recursive=True) if info.type.name == "File")

    def iterdir(self) -> Iterator[ObjectPath]:
        """The direct children, objects and prefixes, by key."""
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
        infos: list[FileInfo] = self._call(lambda store, path: store.get_file_info(selected(path)))
        return infos

    def _kind(self) -> str:
        return str(self._call(lambda store, path: store.get_file_info([path])[0].type.name))

    def _call(self, work: Any) -> Any:
        def on_path(store: FileSystem) -> Any:
            return work(store, self.bucket.path(self.key_text))

        return self.bucket.call(on_path)

    @property
    def key_text(self) -> str:
        """The key as in the bucket."""
        return "" if self.key == PurePosixPath() else str(self.key)
