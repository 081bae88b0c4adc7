"""What pyarrow leaves to be done for Azure: keys that an environment may have beside identities, and nothing in the clear."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from pyarrow.fs import FileSystem

SCHEMES: Final = ("abfs", "abfss")
ONCE: Final = 256 << 20
"""The largest object that Azure copies in one step."""
_KEYS: Final[Mapping[str, str]] = {"AZURE_STORAGE_KEY": "account_key", "AZURE_STORAGE_SAS_TOKEN": "sas_token"}


def with_credentials(store: FileSystem, environ: Mapping[str, str]) -> FileSystem | None:
    """The store, opened with the account's key or signature where the environment has one, else as it is.

    None where it is reached without TLS and has neither: then pyarrow would send a token, and ends the process where it may not.
    """
    from pyarrow.fs import AzureFileSystem

    said = {name: value for name, value in _said(store).items() if value}
    named = next(((_KEYS[name], environ[name]) for name in _KEYS if environ.get(name)), None)
    if named is not None:
        return AzureFileSystem(**said, **dict([named]))
    return store if {said.get(f"{kind}_storage_scheme") for kind in ("blob", "dfs")} <= {"https", None} else None


def _said(store: Any) -> Mapping[str, str]:
    """How a store was opened, as it tells other processes."""
    _, (said,) = store.__reduce__()
    return dict(said)
