"""A bounded memory of pseudonyms already computed, so that a value that comes in every batch is hashed once."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping


class Memo:
    """What was computed, by scope and value; it forgets everything when it holds more than `limit` values.

    It never changes a result, only the time it takes. It holds plain values, so it stays in its process: a pickled memo
    arrives empty, and it prints without its contents. Threads may share it.
    """

    def __init__(self, limit: int = 1_000_000) -> None:
        self.limit = limit
        self._held = 0
        self._known: dict[bytes, dict[bytes, bytes]] = {}
        self._lock = threading.Lock()

    def known(self, scope: bytes) -> dict[bytes, bytes]:
        """What is known of a scope: a dictionary to read from, not to write to."""
        return self._known.get(scope, {})

    def learn(self, scope: bytes, found: Mapping[bytes, bytes]) -> None:
        """Takes in what was computed for a scope."""
        with self._lock:
            if self._held + len(found) > self.limit:
                self._known, self._held = {}, 0
            if len(found) <= self.limit:
                self._known.setdefault(scope, {}).update(found)
                self._held += len(found)

    def __reduce__(self) -> tuple[type[Memo], tuple[int]]:
        return Memo, (self.limit,)

    def __repr__(self) -> str:
        return f"Memo(limit={self.limit})"

    def __len__(self) -> int:
        return self._held

    def __iter__(self) -> Iterator[bytes]:
        """The scopes, which are keyed digests."""
        return iter(tuple(self._known))
