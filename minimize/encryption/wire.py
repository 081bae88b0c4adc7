"""Our words for keys in pyarrow's: what a file is written and read with.

Each file has a factory of its own and what it cached is let go, so that a key that was destroyed opens no other file. What a
file is opened with answers from the keys that were unwrapped before: pyarrow ends the process where a key is refused at a
moment at which it does not expect that.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from pyarrow.parquet import encryption as arrow

from minimize.keys.masters import Kms, Master

Known = Mapping[tuple[str, str], bytes]
"""Keys that were unwrapped, by the id of the master key and their wrapped form."""


def properties(kms: Kms, footer: Master, columns: Mapping[Master, Sequence[str]]) -> Any:
    """The `FileEncryptionProperties` of one file: master keys, each with the paths of its columns. Raises KeyringError."""
    configuration = arrow.EncryptionConfiguration(
        footer_key=footer.id,
        column_keys={master.id: [*paths] for master, paths in columns.items()},
        encryption_algorithm="AES_GCM_V1",
        plaintext_footer=True,
        double_wrapping=True,
        internal_key_material=True,
        data_key_length_bits=256,
    )
    factory = arrow.CryptoFactory(_clients(kms, {}))
    try:
        return factory.file_encryption_properties(arrow.KmsConnectionConfig(), configuration)
    finally:
        factory.remove_cache_entries_for_all_tokens()


def decryption(kms: Kms, known: Known) -> Any:
    """The `FileDecryptionProperties` of one file."""
    factory = arrow.CryptoFactory(_clients(kms, known))
    return factory.file_decryption_properties(arrow.KmsConnectionConfig(), arrow.DecryptionConfiguration())


def dataset_decryption(kms: Kms) -> Any:
    """The `ParquetDecryptionConfig` of a dataset."""
    from pyarrow.dataset import ParquetDecryptionConfig

    factory = arrow.CryptoFactory(_clients(kms, {}))
    return ParquetDecryptionConfig(factory, arrow.KmsConnectionConfig(), arrow.DecryptionConfiguration())


def _clients(kms: Kms, known: Known) -> Callable[[Any], Any]:
    """Makes a client each time that pyarrow wants one; as a type of its own, for pyarrow has no types to inherit from."""

    def wrap_key(_: Any, key: bytes, master: str) -> str:
        return kms.wrap(bytes(key), Master.parse(master))

    def unwrap_key(_: Any, wrapped: str, master: str) -> bytes:
        found = known.get((master, wrapped))
        return kms.unwrap(wrapped, Master.parse(master)) if found is None else found

    client = type("Client", (arrow.KmsClient,), {"wrap_key": wrap_key, "unwrap_key": unwrap_key})
    return lambda _: client()
