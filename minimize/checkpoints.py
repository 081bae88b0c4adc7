"""Named points in the code at which a test can act: end the process, raise an error, let another process act, count.

The package only passes points; nothing in the environment or the configuration sets a callback. Without one a call does nothing.

    FAIL_POINTS       the steps of a publication, in order
    SYNC_POINTS       before and after each fsync, by what is written to disk
    LEDGER_POINTS     steps within a ledger transaction, and before and after its commit
    OTHER_POINTS      steps that not every publication has: retained files, files that other processes wrote
    OBJECT_POINTS     steps that only a publication in an object store has
    WATCHED_POINTS    points at which tests count, watch, raise errors or let another process act, but kill no process
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, Final

FAIL_POINTS: Final = (
    "begin.after",
    "file.opened",
    "file.group",
    "file.closed",
    "success.before",
    "success.after",
    "attach.after",
    "intent.before",
    "intent.written",
    "intent.after",
    "swap.before",
    "swap.between",
    "swap.after",
    "remove.before",
    "remove.after",
    "receipt.before",
    "receipt.written",
    "receipt.after",
    "clean.before",
    "clean.between",
    "clean.after",
    "back.before",
    "back.after",
)
SYNC_KINDS: Final = ("data", "small", "copy", "folder", "keyring", "ledger", "identity")
SYNC_POINTS: Final = tuple(f"sync.{what}.{when}" for what in SYNC_KINDS for when in ("before", "after"))
LEDGER_POINTS: Final = ("lease.taken", "audit.appended", "run.indexed", "ledger.before", "ledger.after")
OTHER_POINTS: Final = (
    "begin.before",
    "index.opened",
    "index.closed",
    "keep.before",
    "keep.after",
    "adopt.before",
    "adopt.after",
    "clean.replaced",
    "clean.intent",
    "back.between",
)
OBJECT_POINTS: Final = ("swap.unmarked", "swap.copied", "swap.deleted")
WATCHED_POINTS: Final = (
    "act.read",
    "columns.inferred",
    "erasures.read",
    "file.hashed",
    "file.operation",
    "folder.listed",
    "gate",
    "index.read",
    "ledger.record",
    "ledger.statement",
    "lineage.described",
    "object.streamed",
    "output.checked",
    "partition.divided",
    "partition.merged",
    "policy.read",
    "receipts.read",
    "removal.execute",
    "removal.planned",
    "rewrite.published",
    "run.opened",
    "run.resolved",
    "run.written",
    "signature.verified",
    "snapshot.read",
    "source.read",
    "spill.opened",
    "spill.put",
    "stored.opened",
    "stored.read",
    "subjects.hashed",
)
POINTS: Final = frozenset((*FAIL_POINTS, *SYNC_POINTS, *LEDGER_POINTS, *OTHER_POINTS, *OBJECT_POINTS, *WATCHED_POINTS))

Callback = Callable[..., object]
"""Is called with the point's name and what the point is about: its number in a loop over files, an operation, a batch."""
_callbacks: Final[dict[str, tuple[Callback, ...]]] = {}


def checkpoint(name: str, *facts: Any) -> None:
    """Call what a test has set for a point. Raises what it raises; ValueError for a name that is not one of `POINTS`."""
    if _callbacks:
        if name not in POINTS:
            raise ValueError(f"{name} is no checkpoint")
        for callback in _callbacks.get(name, ()):
            callback(name, *facts)


def is_watched(name: str) -> bool:
    """Whether a test has set a callback for a point."""
    return name in _callbacks


@contextmanager
def at_checkpoint(names: str | Iterable[str], callback: Callback) -> Iterator[None]:
    """Call back at these points of this process, in every thread, until the block ends.

    Raises ValueError for a name that is not one of `POINTS`.
    """
    points = (names,) if isinstance(names, str) else tuple(names)
    if not POINTS.issuperset(points):
        raise ValueError(f"{min(set(points) - POINTS)} is no checkpoint")
    for name in points:
        _callbacks[name] = (*_callbacks.get(name, ()), callback)
    try:
        yield
    finally:
        for name in points:
            callbacks = [*_callbacks.pop(name)]
            callbacks.remove(callback)
            if callbacks:
                _callbacks[name] = tuple(callbacks)
