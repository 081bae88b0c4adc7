"""`hierarchical_t`: as `t`, but values of one group are closer to each other than to values of other groups."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from minimize.disclosure_risk.combinations import Classes, Codes
from minimize.disclosure_risk.measures.base import TOLERANCE, Figures, RiskMeasure, SensitiveView, Threshold

_HINT = "must have `t` and `hierarchy`, such as {t: 0.3, hierarchy: {flu: [airways, any], gastritis: [stomach, any]}}"


@dataclass(frozen=True, slots=True)
class HierarchicalThreshold:
    """The largest distance, and the groups of each value from fine to coarse."""

    t: float
    groups: Mapping[str, tuple[str, ...]] = field(repr=False)

    @property
    def height(self) -> int:
        """The number of levels above a value."""
        return max(map(len, self.groups.values()), default=1)

    def __str__(self) -> str:
        return f"{self.t:g} over a hierarchy"


class HierarchicalCloseness(RiskMeasure):
    """The earth mover's distance between a class and all records, where moving to a value costs the height of their common group.

    A value that the hierarchy does not list has no group but the root.
    """

    name: ClassVar[str] = "hierarchical_t"
    title: ClassVar[str] = "distance from the distribution of all records by groups, at most"
    source: ClassVar[str] = "Li et al. 2007, hierarchical distance"
    is_closed_under_union: ClassVar[bool] = True
    needs_parameters: ClassVar[bool] = True
    example: ClassVar[str] = "{t: 0.3, hierarchy: {flu: [airways, any], gastritis: [stomach, any]}}"

    @classmethod
    def read_threshold(cls, written: Any) -> HierarchicalThreshold:
        """A mapping with a number `t`, and `hierarchy`: for each value its groups from fine to coarse."""
        if not isinstance(written, Mapping) or set(written) != {"t", "hierarchy"}:
            raise ValueError(_HINT)
        return HierarchicalThreshold(super().read_threshold(written["t"]), read_groups(written["hierarchy"]))

    @classmethod
    def threshold_schema(cls) -> Mapping[str, Any]:
        """The JSON Schema of a threshold."""
        groups = {"type": "array", "items": {"type": "string"}, "minItems": 1}
        return {
            "type": "object",
            "properties": {
                "t": {"type": "number", "minimum": 0},
                "hierarchy": {"type": "object", "additionalProperties": groups, "minProperties": 1},
            },
            "required": ["t", "hierarchy"],
            "additionalProperties": False,
        }

    @classmethod
    def figures(cls, classes: Classes, view: SensitiveView | None, threshold: Threshold | None = None) -> Figures:
        """The distance of each class. Without a hierarchy, all values are equally different, as in `t`.

        Of a group, only the surplus of its parts that a class has is summed; its deficit follows from the shares of the group.
        """
        if view is None or not view.class_count:
            return np.zeros(len(classes))
        groups, height = ({}, 1) if threshold is None else (threshold.groups, threshold.height)
        class_of, node, shares = view.counts.combination, view.counts.value.astype(np.int64), view.shares
        whole, distances = view.baseline, np.zeros(view.class_count)
        for level, parents in enumerate(_parents(view.counts.dictionary, groups, height), 1):
            surplus = np.maximum(shares - whole[node], 0.0)
            size = int(parents.max(initial=0)) + 1
            whole = np.bincount(parents, whole, size).astype(np.float64)
            pairs, places = np.unique(class_of * size + parents[node], return_inverse=True)
            surplus, shares = (np.bincount(places, part).astype(np.float64) for part in (surplus, shares))
            class_of, node = pairs // size, pairs % size
            deficit = surplus - (shares - whole[node])
            distances += level * np.bincount(class_of, np.minimum(surplus, deficit), view.class_count)
        return np.asarray(distances / height, np.float64)

    @classmethod
    def holds(cls, figures: Figures, threshold: Threshold) -> npt.NDArray[np.bool_]:
        """At most the threshold."""
        return np.asarray(figures <= threshold.t + TOLERANCE, np.bool_)

    @classmethod
    def is_at_least_as_strict(cls, threshold: Threshold, reference: Threshold) -> bool:
        """Whether the distance is at most as large, over the same groups."""
        return bool(threshold.t <= reference.t and threshold.groups == reference.groups)


def read_groups(written: Any) -> dict[str, tuple[str, ...]]:
    """The groups of each value. Raises ValueError with words that follow the measure's name."""
    if not isinstance(written, Mapping) or not written:
        raise ValueError(_HINT)
    groups = {str(value): tuple(map(str, labels)) for value, labels in written.items() if isinstance(labels, Sequence)}
    if len(groups) < len(written) or any(isinstance(labels, str) or not labels for labels in written.values()):
        raise ValueError("must list the groups of each value, from fine to coarse")
    if len({len(labels) for labels in groups.values()}) > 1 or len({labels[-1] for labels in groups.values()}) > 1:
        raise ValueError("must have as many groups for each value, and the same last one for all")
    parents: dict[tuple[int, str], str] = {}
    for labels in groups.values():
        for level, (label, parent) in enumerate(pairwise(labels)):
            if parents.setdefault((level, label), parent) != parent:
                raise ValueError("must be nested: a group is in two groups of the next level")
    return groups


def _parents(dictionary: pa.Array, groups: Mapping[str, tuple[str, ...]], height: int) -> list[Codes]:
    """By level the code of the group of each node below. A value without groups stays alone up to the root."""
    texts = dictionary.cast(pa.string()).to_pylist() if groups else [None] * len(dictionary)
    paths = [groups.get(text) if text is not None else None for text in texts]
    nodes: list[Any] = list(range(len(texts)))
    parents = []
    for level in range(height):
        is_root = level == height - 1
        above = ["" if is_root else (place,) if path is None else path[level] for place, path in enumerate(paths)]
        codes = {label: code for code, label in enumerate(dict.fromkeys(above))}
        parent_of = dict(zip(nodes, (codes[label] for label in above), strict=True))
        parents.append(np.array([parent_of[node] for node in dict.fromkeys(nodes)], np.int64))
        nodes = [codes[label] for label in above]
    return parents
