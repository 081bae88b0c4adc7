"""A Spark context that carries tasks out in this process, pickled on their way there and back."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from multiprocessing.reduction import ForkingPickler
from typing import Any, Self


def sent(thing: Any) -> Any:
    """What arrives in another process."""
    return ForkingPickler.loads(ForkingPickler.dumps(thing))


@dataclass
class Pretended:
    """A context, and its data set, too."""

    loads: Sequence[Any] = ()
    task: Callable[[Iterator[Any]], Iterable[Any]] = iter

    def parallelize(self, loads: Sequence[Any], slices: int) -> Self:
        assert slices == len(loads)
        self.loads = loads
        return self

    def __getattr__(self, name: str) -> Any:
        """Spark's own names."""
        return {"defaultParallelism": 2, "mapPartitions": self._map}[name]

    def _map(self, task: Callable[[Iterator[Any]], Iterable[Any]]) -> Self:
        self.task = task
        return self

    def collect(self) -> list[Any]:
        return [sent(result) for load in self.loads for result in sent(self.task)(iter([sent(load)]))]
