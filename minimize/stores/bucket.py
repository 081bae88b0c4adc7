"""Buckets of object stores: URI, options, credentials of Azure, and why a store refused a call.

A URI never contains a secret: credentials come from the environment or the machine. Of the text of a store's
error, which contains keys and request ids, nothing is passed on.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final, TypeVar
from urllib.parse import parse_qsl, quote

import pyarrow as pa

from minimize.errors import OutputError, SourceError

if TYPE_CHECKING:
    from pyarrow.fs import FileSystem


@dataclass(frozen=True, slots=True)
class StoreRefusal:
    """What happened, as the end of a sentence that names the bucket; and what to do about it."""

    message: str
    hint: str


UNKNOWN: Final = StoreRefusal("cannot be used", "is the URI right, and does pyarrow here know such stores?")
DENIED: Final = StoreRefusal(
    "does not let us in: there are no credentials, or they lack the permission",
    "they come from the environment (AWS_*, GOOGLE_*, AZURE_*) or the machine; may they list, read and write here?",
)
MISSING: Final = StoreRefusal("is not there", "is the bucket's name right, and the region or account?")
BUSY: Final = StoreRefusal("asks us to slow down, or is out of order", "try again later")
UNREACHABLE: Final = StoreRefusal("cannot be reached", "is the network there, and the endpoint right?")
LEASED: Final = StoreRefusal("holds an object for somebody else", "try again in a minute; who holds a lease on it?")
"""Nothing was done, and it may be let go at any moment: in Azure whoever deletes an object holds it for 15 seconds at most."""
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
    """Why a store refused; None where the error is not a store's, or says nothing that is known.

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
    """The store, opened with the account's key or signature where the environment has one, else as it is.

    None where it is reached without TLS and has neither: then pyarrow would send a token, and ends the process where it may not.
    """
    from pyarrow.fs import AzureFileSystem

    said = {name: value for name, value in _connection_options(store).items() if value}
    named = next(((_AZURE_KEYS[name], environ[name]) for name in _AZURE_KEYS if environ.get(name)), None)
    if named is not None:
        return AzureFileSystem(**said, **dict([named]))
    return store if {said.get(f"{kind}_storage_scheme") for kind in ("blob", "dfs")} <= {"https", None} else None


def _connection_options(store: Any) -> Mapping[str, str]:
    """How a store was opened, as it tells other processes."""
    _, (said,) = store.__reduce__()
    return dict(said)


T = TypeVar("T")
StoreErrorClass = type[SourceError] | type[OutputError]
"""What is raised where the store refuses."""
_URI: Final = re.compile(r"([a-z][a-z0-9+.-]*)://([^/?]*)(/[^?]*)?(\?.*)?", re.DOTALL)
_RETRY_SECONDS: Final = 20.0
"""Seconds until an object that somebody holds is given up."""
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
"""The schemes, and the options of each that a URI may say; pyarrow knows more, and some of those are secrets."""
_DEFAULT_OPTIONS: Final[Mapping[str, Mapping[str, str]]] = {
    "gs": {"retry_limit_seconds": "60"},
    "s3": {"allow_delayed_open": "true"},
}
"""What is said where the URI does not: not to try for a quarter of an hour, and to put small objects in one request."""


def is_uri(text: str) -> bool:
    """Whether this is a URI rather than a path on disk.

    >>> is_uri("s3://bucket/in"), is_uri("in/s3:/bucket")
    (True, False)
    """
    return _URI.fullmatch(text) is not None


@dataclass(frozen=True)
class Bucket:
    """A bucket (or container) of an object store.

    scheme     `s3`, `gs`, `abfs` …
    authority  what stands between `//` and `/`: the bucket's name; of Azure also the account
    options    as the URI says them, sorted
    fault      what is raised where the store refuses
    """

    scheme: str
    authority: str
    options: tuple[tuple[str, str], ...] = ()
    fault: StoreErrorClass = SourceError

    @classmethod
    def parse_uri(cls, uri: str, fault: StoreErrorClass = SourceError) -> tuple[Bucket, str]:
        """The bucket that a URI names, and the path in it. Raises the fault for what it may not say."""
        match = _URI.fullmatch(uri)
        if match is None:
            raise fault("a place in an object store is written SCHEME://BUCKET/PATH")
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
        """The options as a URI says them, with `?`; '' where there are none."""
        said = "&".join(f"{name}={quote(value, safe=':/')}" for name, value in self.options)
        return f"?{said}" if said else ""

    def __getstate__(self) -> dict[str, Any]:
        """For other processes, which open the store by themselves."""
        return {name: getattr(self, name) for name in ("scheme", "authority", "options", "fault")}

    def is_same(self, other: Bucket) -> bool:
        """Whether both are the same bucket, however it is reached."""
        return (self.scheme, self.authority) == (other.scheme, other.authority)

    def call(self, work: Callable[[FileSystem], T], *, retry: bool = True) -> T:
        """What the work gives with the store. Where somebody holds what it is about it is tried again for a while, if it may be.

        Raises FileNotFoundError, and the fault where the store refuses, without its words.
        """
        until = time.monotonic() + (_RETRY_SECONDS if retry else 0)
        while (given := self._tried(work)) is LEASED and time.monotonic() < until:
            time.sleep(_RETRY_PAUSE)
        if isinstance(given, StoreRefusal):
            raise self.fault(f"{self} {given.message}", hint=given.hint)
        return given

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
        """A key as the store's file system knows it."""
        return "/".join(part for part in (self._file_system[1], key) if part)

    @property
    def files(self) -> FileSystem:
        """The store, as pyarrow opens it; credentials are found in the environment or the instance."""
        return self._file_system[0]

    @cached_property
    def _file_system(self) -> tuple[FileSystem, str]:
        """The store, and what its paths begin with: the bucket, where that is not the path's first part."""
        from pyarrow.fs import FileSystem

        options = {**_DEFAULT_OPTIONS.get({"gcs": "gs"}.get(self.scheme, self.scheme), {}), **dict(self.options)}
        said = "&".join(f"{name}={quote(value, safe='')}" for name, value in options.items())
        store, path = FileSystem.from_uri(f"{self.scheme}://{self.authority}/x{said and '?'}{said}")
        if self.scheme in AZURE_SCHEMES:
            store = with_azure_credentials(store, os.environ)
        if store is None:
            hint = "leave TLS on, or name a key: AZURE_STORAGE_KEY, AZURE_STORAGE_SAS_TOKEN"
            raise self.fault(f"{self} is reached without TLS, and no token is sent in the clear", hint=hint)
        return store, path.removesuffix("x").strip("/")

    @property
    def is_google(self) -> bool:
        """Whether its prefixes are no folders: they are in no listing, and are removed object by object."""
        return self.scheme in ("gs", "gcs")

    @property
    def copy_limit(self) -> int | None:
        """The largest object that it copies in one step, in bytes; None for any."""
        return None if self.is_google else AZURE_COPY_LIMIT if self.scheme in AZURE_SCHEMES else _S3_COPY_LIMIT


def _check_scheme(scheme: str, fault: StoreErrorClass) -> None:
    if scheme not in OPTIONS:
        raise fault("the scheme of a URI is unknown", hint=f"one of {', '.join(f'{each}://' for each in OPTIONS)}")


def _check_authority(scheme: str, authority: str, fault: StoreErrorClass) -> None:
    """Of Azure the container or the account stands before an `@`; of others only a secret could."""
    user, at, host = authority.rpartition("@")
    allowed = scheme in ("abfs", "abfss") or (scheme in ("gs", "gcs") and user == "anonymous")
    if ":" in user or (at and not allowed):
        hint = "credentials come from the environment (AWS_*, GOOGLE_*, AZURE_*) or the machine"
        raise fault("a URI must not hold credentials", hint=hint)
    if not host:
        raise fault("a URI names no bucket", hint="SCHEME://BUCKET/PATH")


def _check_options(scheme: str, options: list[tuple[str, str]], fault: StoreErrorClass) -> None:
    if any(name not in OPTIONS[scheme] or "@" in value for name, value in options):
        known = ", ".join(sorted(OPTIONS[scheme]))
        raise fault(f"a {scheme}:// URI says an option that it may not", hint=f"one of {known}; never a secret")
