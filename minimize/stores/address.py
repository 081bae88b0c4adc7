"""What a URI of an object store says: scheme, bucket and options. Never a secret: those come from the environment."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final, TypeVar
from urllib.parse import parse_qsl, quote

import pyarrow as pa

from minimize.errors import OutputError, SourceError
from minimize.stores import azure
from minimize.stores.reasons import HELD, UNKNOWN, Reason, why

if TYPE_CHECKING:
    from pyarrow.fs import FileSystem

T = TypeVar("T")
Fault = type[SourceError] | type[OutputError]
"""What is raised where the store refuses."""
_URI: Final = re.compile(r"([a-z][a-z0-9+.-]*)://([^/?]*)(/[^?]*)?(\?.*)?", re.DOTALL)
_HELD_FOR: Final = 20.0
"""Seconds until an object that somebody holds is given up."""
_PAUSE: Final = 0.5
_ONCE: Final = 5 << 30
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
_TOLD: Final[Mapping[str, Mapping[str, str]]] = {
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
    fault: Fault = SourceError

    @classmethod
    def of(cls, uri: str, fault: Fault = SourceError) -> tuple[Bucket, str]:
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

    def done(self, work: Callable[[FileSystem], T], *, again: bool = True) -> T:
        """What the work gives with the store. Where somebody holds what it is about it is tried again for a while, if it may be.

        Raises FileNotFoundError, and the fault where the store refuses, without its words.
        """
        until = time.monotonic() + (_HELD_FOR if again else 0)
        while (given := self._tried(work)) is HELD and time.monotonic() < until:
            time.sleep(_PAUSE)
        if isinstance(given, Reason):
            raise self.fault(f"{self} {given.message}", hint=given.hint)
        return given

    def _tried(self, work: Callable[[FileSystem], T]) -> T | Reason:
        reason: Reason | None = UNKNOWN
        try:
            return work(self.files)
        except FileNotFoundError:
            reason = None
        except (OSError, pa.ArrowException) as error:
            reason = why(error) or UNKNOWN
        if reason is None:
            raise FileNotFoundError(f"{self} has no such object")
        return reason

    def path(self, key: str) -> str:
        """A key as the store's file system knows it."""
        return "/".join(part for part in (self._opened[1], key) if part)

    @property
    def files(self) -> FileSystem:
        """The store, as pyarrow opens it; credentials are found in the environment or the instance."""
        return self._opened[0]

    @cached_property
    def _opened(self) -> tuple[FileSystem, str]:
        """The store, and what its paths begin with: the bucket, where that is not the path's first part."""
        from pyarrow.fs import FileSystem

        options = {**_TOLD.get({"gcs": "gs"}.get(self.scheme, self.scheme), {}), **dict(self.options)}
        said = "&".join(f"{name}={quote(value, safe='')}" for name, value in options.items())
        store, path = FileSystem.from_uri(f"{self.scheme}://{self.authority}/x{said and '?'}{said}")
        if self.scheme in azure.SCHEMES:
            store = azure.with_credentials(store, os.environ)
        if store is None:
            hint = "leave TLS on, or name a key: AZURE_STORAGE_KEY, AZURE_STORAGE_SAS_TOKEN"
            raise self.fault(f"{self} is reached without TLS, and no token is sent in the clear", hint=hint)
        return store, path.removesuffix("x").strip("/")

    @property
    def is_google(self) -> bool:
        """Whether its prefixes are no folders: they are in no listing, and are removed object by object."""
        return self.scheme in ("gs", "gcs")

    @property
    def once(self) -> int | None:
        """The largest object that it copies in one step, in bytes; None for any."""
        return None if self.is_google else azure.ONCE if self.scheme in azure.SCHEMES else _ONCE


def _check_scheme(scheme: str, fault: Fault) -> None:
    if scheme not in OPTIONS:
        raise fault("the scheme of a URI is unknown", hint=f"one of {', '.join(f'{each}://' for each in OPTIONS)}")


def _check_authority(scheme: str, authority: str, fault: Fault) -> None:
    """Of Azure the container or the account stands before an `@`; of others only a secret could."""
    user, at, host = authority.rpartition("@")
    allowed = scheme in ("abfs", "abfss") or (scheme in ("gs", "gcs") and user == "anonymous")
    if ":" in user or (at and not allowed):
        hint = "credentials come from the environment (AWS_*, GOOGLE_*, AZURE_*) or the machine"
        raise fault("a URI must not hold credentials", hint=hint)
    if not host:
        raise fault("a URI names no bucket", hint="SCHEME://BUCKET/PATH")


def _check_options(scheme: str, options: list[tuple[str, str]], fault: Fault) -> None:
    if any(name not in OPTIONS[scheme] or "@" in value for name, value in options):
        known = ", ".join(sorted(OPTIONS[scheme]))
        raise fault(f"a {scheme}:// URI says an option that it may not", hint=f"one of {known}; never a secret")
