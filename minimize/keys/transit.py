"""Master keys in the Transit engine of HashiCorp Vault or OpenBao (extra `vault`): they never leave the server.

Token (`VAULT_TOKEN`, or ~/.vault-token), certificates and namespace (`VAULT_CACERT`, `VAULT_NAMESPACE`, …) come from the
environment of every machine that opens keys. They are never stored, pickled or logged.
Source: https://openbao.org/api-docs/secret/transit/
"""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, Final, TypeVar
from urllib.parse import urlsplit

from minimize.errors import ConfigurationError, KeyringError
from minimize.keys.keyring import KEY_DESTROYED, KeyInfo
from minimize.keys.master_keys import MasterKey, is_master_key
from minimize.times import EPOCH

T = TypeVar("T")
SCHEMES: Final = {"vault+https": "https", "vault+http": "http"}
LOOPBACK: Final = ("localhost", "127.0.0.1", "::1")
DEFAULT_MOUNT: Final = "transit"
KEY_TYPE: Final = "aes256-gcm96"
TIMEOUT_SECONDS: Final = 10
UNKNOWN_TIME: Final = EPOCH
"""Placeholder for times that the server does not report: destruction of a version, and creation of a destroyed one."""
_WRAPPED: Final = re.compile(r"vault:v([0-9]{1,9}):[A-Za-z0-9+/=]+")


@dataclass(frozen=True, slots=True)
class TransitKms:
    """One Transit engine: its URL and mount path. With a time, missing keys are created."""

    url: str
    mount: str = DEFAULT_MOUNT
    now: datetime | None = None
    _clients: list[Any] = field(default_factory=list, repr=False, compare=False)

    @classmethod
    def from_address(cls, address: str, now: datetime | None = None) -> TransitKms:
        """The engine at `vault+https://HOST:PORT/MOUNT`. Raises ConfigurationError for an invalid address."""
        parts = urlsplit(address)
        scheme, host = SCHEMES.get(parts.scheme), parts.hostname
        if scheme is None or not host or parts.query or parts.fragment:
            hint = "Use vault+https://HOST:PORT/MOUNT."
            raise ConfigurationError("the address of the key service is invalid", hint=hint)
        if "@" in parts.netloc:
            hint = "Remove the credentials and set VAULT_TOKEN."
            raise ConfigurationError("the address of the key service contains credentials", hint=hint)
        if scheme == "http" and host not in LOOPBACK:
            raise ConfigurationError("the key service requires TLS", hint="Use vault+https://HOST:PORT/MOUNT.")
        return cls(f"{scheme}://{parts.netloc}", parts.path.strip("/") or DEFAULT_MOUNT, now)

    def newest(self, name: str) -> MasterKey:
        """The version that new files use. Raises KeyringError if there is none."""
        key = self._read_key(name)
        if key is None and self.now is not None:
            self._call_service(
                name, lambda client: client.secrets.transit.create_key(name, key_type=KEY_TYPE, mount_point=self.mount)
            )
            key = self._read_key(name)
        if key is None:
            raise KeyringError(f"{self} has no key {name}", hint="Start a run; it creates the keys that it needs.")
        return MasterKey(name, int(key["latest_version"]))

    def wrap(self, key: bytes, master: MasterKey) -> str:
        """Wraps a key on the server. Raises KeyringError."""
        text = base64.b64encode(key).decode("ascii")
        how = {"plaintext": text, "key_version": master.version, "mount_point": self.mount}
        answer = self._call_service(master.id, lambda client: client.secrets.transit.encrypt_data(master.name, **how))
        return str(answer["data"]["ciphertext"])

    def unwrap(self, wrapped: str, master: MasterKey) -> bytes:
        """Unwraps a key. Raises KeyringError: no such version, destroyed, or wrapped by another version."""
        found = _WRAPPED.fullmatch(wrapped)
        if found is None or int(found[1]) != master.version:
            raise KeyringError(f"the file key was not wrapped with {master.id} of {self}")
        how = {"ciphertext": wrapped, "mount_point": self.mount}
        try:
            answer = self._call_service(
                master.id, lambda client: client.secrets.transit.decrypt_data(master.name, **how)
            )
        except KeyringError as error:
            refused = error
        else:
            return base64.b64decode(answer["data"]["plaintext"])
        raise self._destroyed_error(master) or refused

    def versions(self) -> Sequence[KeyInfo]:
        """All versions of all master keys. Raises KeyringError."""
        listed = self._call_service(
            "", lambda client: client.secrets.transit.list_keys(mount_point=self.mount), missing=True
        )
        names = [] if listed is None else sorted(name for name in listed["data"]["keys"] if is_master_key(name))
        return [line for name in names for line in _key_infos(name, self._read_key(name) or {})]

    def rotate(self, name: str) -> MasterKey:
        """Creates a new version. Raises KeyringError."""
        self._call_service(name, lambda client: client.secrets.transit.rotate_key(name, mount_point=self.mount))
        return replace(self, now=None).newest(name)

    def destroy(self, master: MasterKey) -> None:
        """Destroys a version and all versions before it: Transit cannot destroy one alone. The newest is rotated first."""
        if self.newest(master.name) == master:
            self.rotate(master.name)
        first = master.version + 1
        path, limits = f"{self.mount}/keys/{master.name}", ("min_decryption_version", "min_encryption_version")
        self._call_service(
            master.id, lambda client: client.write_data(f"{path}/config", data=dict.fromkeys(limits, first))
        )
        self._call_service(
            master.id, lambda client: client.write_data(f"{path}/trim", data={"min_available_version": first})
        )

    @property
    def destroys_older(self) -> bool:
        """Always True: destroying a version also destroys the versions before it."""
        return True

    def _destroyed_error(self, master: MasterKey) -> KeyringError | None:
        key = self._read_key(master.name)
        if key is None or master.version >= int(key.get("min_available_version") or 0):
            return None
        return KeyringError(f"key {master.id} of {self} was destroyed", code=KEY_DESTROYED)

    def _read_key(self, name: str) -> dict[str, Any] | None:
        answer = self._call_service(
            name, lambda client: client.secrets.transit.read_key(name, mount_point=self.mount), missing=True
        )
        return None if answer is None else answer["data"]

    def _call_service(self, what: str, work: Callable[[Any], Any], *, missing: bool = False) -> Any:
        """The answer of the server; None if the object is missing and `missing` permits it. Messages of the server are not
        shown."""
        hvac, requests = _libraries()
        try:
            return work(self._client())
        except hvac.exceptions.InvalidPath:
            if missing:
                return None
            reason = "it does not have it"
        except (hvac.exceptions.Forbidden, hvac.exceptions.Unauthorized):
            reason = "it does not permit the operation for this token"
        except hvac.exceptions.VaultDown:
            reason = "it is sealed"
        except hvac.exceptions.VaultError as error:
            reason = f"it refused the request ({type(error).__name__})"
        except (requests.exceptions.RequestException, OSError, ValueError, KeyError) as error:
            reason = f"it cannot be reached ({type(error).__name__})"
        about = f" for {what}" if what else ""
        raise KeyringError(
            f"the request{about} to {self} failed: {reason}",
            hint="Check VAULT_TOKEN, VAULT_CACERT and VAULT_NAMESPACE.",
        )

    def _client(self) -> Any:
        if not self._clients:
            hvac, _ = _libraries()
            self._clients.append(hvac.Client(url=self.url, timeout=TIMEOUT_SECONDS, allow_redirects=False))
        return self._clients[0]

    def __str__(self) -> str:
        return f"the key service {self.url}/{self.mount}"

    def __reduce__(self) -> tuple[Callable[..., TransitKms], tuple[Any, ...]]:
        return (TransitKms, (self.url, self.mount, self.now))


def _key_infos(name: str, document: dict[str, Any]) -> list[KeyInfo]:
    """The versions of a key that the server reports. Of versions below the oldest available one only the number is known."""
    least, latest = max(int(document.get("min_available_version") or 0), 1), int(document.get("latest_version") or 0)
    creation_times = {
        int(number): datetime.fromtimestamp(int(at), UTC) for number, at in document.get("keys", {}).items()
    }
    gone = [KeyInfo(name, number, UNKNOWN_TIME, UNKNOWN_TIME) for number in range(1, least)]
    return [
        *gone,
        *(KeyInfo(name, number, creation_times.get(number, UNKNOWN_TIME)) for number in range(least, latest + 1)),
    ]


def _libraries() -> tuple[Any, Any]:
    try:
        import hvac
        import hvac.exceptions
        import requests
    except ImportError:
        pass
    else:
        return hvac, requests
    raise ConfigurationError("a key service requires the package hvac", hint="Install minimize with its extra `vault`.")
