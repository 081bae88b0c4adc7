"""Loss of detail by generalization and suppression, as ARX computes it, with integer numerators so that ties are exact."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import exp, log1p

import numpy as np
import numpy.typing as npt

from minimize.disclosure_risk.combinations import Combinations
from minimize.disclosure_risk.hierarchy import Hierarchy


@dataclass(frozen=True, slots=True)
class AttributeLoss:
    """The loss of one attribute: `(numerator - base) / base`, from 0 (every value is a leaf) to 1 (every value is the root).

    The loss is (leaves of kept records + suppressed × d − n) / (n (d − 1)), for n records and a domain of d leaves.
    """

    numerator: int
    """n (d − 1) (1 + loss)."""
    base: int
    """n (d − 1); 0 for a domain of one leaf, which has no loss."""

    @property
    def loss(self) -> float:
        """The loss, from 0 to 1."""
        return (self.numerator - self.base) / self.base if self.base else 0.0


def attribute_loss(covered_leaves: int, suppressed: int, records: int, size: int) -> AttributeLoss:
    """The loss of an attribute. Takes the sum of the leaves that the values of kept records cover."""
    base = records * (size - 1)
    return AttributeLoss(covered_leaves + suppressed * size - records + base, base)


def geometric_loss(losses: Sequence[AttributeLoss]) -> float:
    """The geometric mean of 1 + loss, minus 1, over attributes with more than one leaf."""
    counted = [item.loss for item in losses if item.base]
    return exp(sum(map(log1p, counted)) / len(counted)) - 1 if counted else 0.0


def mean_loss(losses: Sequence[AttributeLoss]) -> float:
    """The arithmetic mean of the losses, over attributes with more than one leaf."""
    counted = [item.loss for item in losses if item.base]
    return sum(counted) / len(counted) if counted else 0.0


def loss_product(losses: Sequence[AttributeLoss]) -> int:
    """A number that orders choices of levels over the same records exactly as their geometric loss does."""
    product = 1
    for loss in losses:
        if loss.base:
            product *= loss.numerator
    return product


def attribute_losses(
    combinations: Combinations,
    hierarchies: Sequence[Hierarchy],
    levels: Sequence[int | npt.NDArray[np.integer]],
    is_suppressed: npt.NDArray[np.bool_],
) -> list[AttributeLoss]:
    """The loss of each attribute. Takes for each its level, or the level of each combination."""
    total = int(combinations.records.sum())
    kept = ~is_suppressed
    records = combinations.records[kept]
    losses = []
    for hierarchy, level, codes in zip(hierarchies, levels, combinations.codes.T, strict=True):
        level_of = np.broadcast_to(level, len(codes))[kept]
        covered = int((_covered_leaves(hierarchy, level_of, codes[kept]) * records).sum())
        losses.append(attribute_loss(covered, total - int(records.sum()), total, hierarchy.size))
    return losses


def _covered_leaves(
    hierarchy: Hierarchy, level_of: npt.NDArray[np.integer], codes: npt.NDArray[np.int32]
) -> npt.NDArray[np.int64]:
    """The number of leaves that each combination's value covers at its level."""
    leaves = np.empty(len(codes), np.int64)
    for level in np.unique(level_of).tolist():
        rows = level_of == level
        leaves[rows] = hierarchy.leaves[level][hierarchy.levels[level][codes[rows]]]
    return leaves
