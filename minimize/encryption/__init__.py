"""Encryption at rest: the columns of Parquet files under the keys of their categories (Parquet modular encryption).

by_category  which columns of an output are encrypted, and with which master keys: made once an output, given to its sink
material     what a file says of its encrypted columns, read without a key
opening      opens a file, with master keys or without
shredded     what goes over many files goes on without those whose keys were destroyed
wire         the one place that speaks pyarrow's own words for keys

How a reader opens a file of an encrypted output:

    kms = find_kms(keys, folder)                             of `minimize.keys`: a keyring, its path, or None for what is found
    file = open_parquet(place, kms)                          a pyarrow.parquet.ParquetFile, every column readable
    file = open_parquet(place, kms, columns=["model"])       where only these are wanted: only their keys are needed

`columns` are names of top-level columns. `open_parquet` raises KeyringError, which names the file, its columns and the key,
before anything that is encrypted is touched; of a file opened for some columns read those alone, by `iter_batches(columns=…)`
(before pyarrow 26 the other ways look at all columns), and never ask `metadata.row_group(n).column(m)` about another: pyarrow
ends the process. What is open can be read without a key, by anybody: `open_parquet(place, columns=[…])`.

For `pyarrow.dataset`: `dataset_format(kms)` is the `ParquetFileFormat` that decrypts. It is for files that were opened before:
it asks for keys while it scans.

The footer is plaintext and signed: names, types, row counts and metadata of all columns can be read by anybody, and so can
sizes; statistics of encrypted columns are encrypted with them.
"""

from __future__ import annotations

from minimize.encryption.by_category import AsBefore, ByCategory, Encryption, Keyed
from minimize.encryption.material import Material, material_of
from minimize.encryption.opening import dataset_format, open_parquet
from minimize.encryption.shredded import unless_shredded

__all__ = [
    "AsBefore",
    "ByCategory",
    "Encryption",
    "Keyed",
    "Material",
    "dataset_format",
    "material_of",
    "open_parquet",
    "unless_shredded",
]
