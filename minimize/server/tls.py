"""TLS: the certificate that the server shows. Without TLS the server listens on loopback only."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from minimize.errors import ConfigurationError

LOOPBACK: Final = ("127.0.0.1", "::1", "localhost")
_GROUP_OR_OTHERS: Final = 0o077

PathLike = str | os.PathLike[str]


def load_certificate(certificate: PathLike, key: PathLike) -> tuple[bytes, bytes]:
    """A certificate (with those between it and its CA behind it) and its private key, both PEM.

    Raises ConfigurationError where one cannot be read, is not PEM, or the key is open to group or others.
    """
    return _read_pem(Path(certificate), "CERTIFICATE"), _read_pem(Path(key), "PRIVATE KEY", private=True)


def check_insecure(host: str, insecure: bool) -> None:
    """Whether a server may do without TLS. Raises ConfigurationError but on loopback, where somebody says so."""
    if not insecure:
        raise ConfigurationError(
            "a door wants TLS", hint="--cert FILE --key FILE; --insecure-loopback to try things on"
        )
    if host not in LOOPBACK:
        hint = "--host 127.0.0.1, or --cert FILE --key FILE"
        raise ConfigurationError("without TLS a door opens on loopback alone", hint=hint)


def _read_pem(path: Path, what: str, *, private: bool = False) -> bytes:
    try:
        mode, content = path.stat().st_mode, path.read_bytes()
    except OSError:
        mode, content = 0, b""
    if f"{what}-----".encode() not in content:
        raise ConfigurationError(f"{path} is not there, or holds no PEM of a {what.lower()}", hint="name PEM files")
    if private and mode & _GROUP_OR_OTHERS:
        raise ConfigurationError(f"the private key {path} is open to others", hint=f"chmod 600 {path}")
    return content
