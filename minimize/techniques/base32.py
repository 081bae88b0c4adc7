"""Base32 (RFC 4648 §6) in lower case for many byte strings of one length at once."""

from __future__ import annotations

import base64

import numpy as np
import numpy.typing as npt
import pyarrow as pa

Rows = npt.NDArray[np.uint8]
FEW = 32
"""Rows below which NumPy's calls cost more than they save."""
_ALPHABET = np.frombuffer(b"abcdefghijklmnopqrstuvwxyz234567", np.uint8)


def letters(rows: Rows) -> Rows:
    """The letters of each row of bytes; the width of a row is a multiple of 5, so that there is no padding.

    >>> bytes(letters(np.frombuffer(b"fooba12345", np.uint8).reshape(2, 5))[1])
    b'gezdgnbv'
    """
    if len(rows) < FEW:
        plain = b"".join(base64.b32encode(bytes(row)) for row in rows).lower()
        return np.frombuffer(plain, np.uint8).reshape(len(rows), rows.shape[1] // 5 * 8)
    eights = np.zeros((rows.size // 5, 8), np.uint8)
    eights[:, 3:] = rows.reshape(-1, 5)
    whole = eights.view(">u8").ravel().astype(np.uint64)
    found = np.empty((len(whole), 8), np.uint8)
    for place in range(8):
        found[:, place] = _ALPHABET[(whole >> np.uint64(35 - 5 * place)).astype(np.uint8) & 31]
    return found.reshape(len(rows), rows.shape[1] // 5 * 8)


def texts(rows: Rows) -> pa.StringArray:
    """One text for each row of letters.

    >>> texts(np.frombuffer(b"abcd", np.uint8).reshape(2, 2)).to_pylist()
    ['ab', 'cd']
    """
    offsets = np.arange(len(rows) + 1, dtype=np.int32) * np.int32(rows.shape[1])
    return pa.StringArray.from_buffers(len(rows), pa.py_buffer(offsets), pa.py_buffer(np.ascontiguousarray(rows)))
