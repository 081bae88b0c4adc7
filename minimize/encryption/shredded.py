"""Files whose keys were destroyed: nobody reads them any more, and what goes over many files goes on without them."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from minimize.errors import KeyringError
from minimize.keys.keyring import DESTROYED

T = TypeVar("T")


def unless_shredded(read: Callable[[], T]) -> T | None:
    """What `read` gives; None where a key that it needs was destroyed. Raises whatever else `read` raises."""
    try:
        return read()
    except KeyringError as error:
        if error.code != DESTROYED:
            raise
    return None
