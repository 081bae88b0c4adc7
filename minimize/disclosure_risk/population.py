"""How many data subjects are unique in the population from which a sample was taken, as a range of three estimates.

At small sampling fractions each estimate is wrong by a factor of 2 to 9 on some data. So there is no single figure, and no bound
depends on these.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import exp, lgamma, log
from types import MappingProxyType
from typing import Final

import numpy as np
import numpy.typing as npt

from minimize.disclosure_risk.combinations import Codes

Doubles = npt.NDArray[np.float64]
_GOLDEN: Final = (5**0.5 - 1) / 2
_STEPS: Final = 60
_MAX_RESIDUAL: Final = 1e-3
"""Relative difference up to which the equations of the slide negative binomial model count as solved."""


@dataclass(frozen=True, slots=True)
class PopulationUniques:
    """An estimate of the data subjects whose combination no other member of the population has.

    low, high          the least and the greatest estimate, as a number of data subjects in the data
    sampling_fraction  data subjects in the data ÷ members of the population
    estimates          by model: `zayatz`, `pitman`, `snb`; a model that does not fit the data is left out
    """

    low: float
    high: float
    sampling_fraction: float
    estimates: Mapping[str, float]


def estimate_uniques(sizes: Codes, sampling_fraction: float) -> PopulationUniques | None:
    """The range for a sample whose combinations have these sizes; None without records.

    >>> estimate_uniques(np.array([1, 1, 2]), 1.0).high
    2.0
    """
    if not len(sizes):
        return None
    if sampling_fraction >= 1.0:
        exact = float(np.count_nonzero(sizes == 1))
        return PopulationUniques(exact, exact, 1.0, MappingProxyType({}))
    sample = _Sample.of_sizes(sizes, sampling_fraction)
    results = {name: model(sample) for name, model in MODELS.items()}
    estimates = {
        name: min(max(count, 0.0), float(sample.uniques)) for name, count in results.items() if count is not None
    }
    return PopulationUniques(
        min(estimates.values()), max(estimates.values()), sampling_fraction, MappingProxyType(estimates)
    )


@dataclass(frozen=True, slots=True)
class _Sample:
    """How many combinations of the sample have each size, ascending."""

    sizes: Codes
    frequencies: Codes
    fraction: float

    @classmethod
    def of_sizes(cls, sizes: Codes, fraction: float) -> _Sample:
        distinct, frequencies = np.unique(sizes, return_counts=True)
        return cls(distinct.astype(np.int64), frequencies.astype(np.int64), fraction)

    @property
    def members(self) -> int:
        return int((self.sizes * self.frequencies).sum())

    @property
    def combinations(self) -> int:
        return int(self.frequencies.sum())

    @property
    def uniques(self) -> int:
        return int(self.frequencies[self.sizes == 1].sum())

    @property
    def population(self) -> float:
        return self.members / self.fraction


def _zayatz(sample: _Sample) -> float | None:
    """Zayatz 1991: sizes in the population are distributed as those in the sample, which is drawn without replacement."""
    shares = sample.frequencies / sample.combinations
    population = max(round(sample.population), sample.members)
    drawn_once = np.array(
        [_hypergeometric_one(population, size, sample.members) for size in sample.sizes.tolist()], np.float64
    )
    whole = float((shares * drawn_once).sum())
    if not sample.uniques or not whole:
        return 0.0
    of_size_one = float(shares[0]) if sample.sizes[0] == 1 else 0.0
    return sample.uniques * (sample.members / population) * of_size_one / whole


def _hypergeometric_one(population: int, size: int, drawn: int) -> float:
    """The probability that exactly one of `size` members of a population is among the drawn ones."""
    if drawn - 1 > population - size:
        return 0.0
    others = _log_choose(population - size, drawn - 1) - _log_choose(population, drawn)
    return size * exp(others)


def _log_choose(count: int, chosen: int) -> float:
    return lgamma(count + 1) - lgamma(chosen + 1) - lgamma(count - chosen + 1)


def _pitman(sample: _Sample) -> float | None:
    """Hoshino 2001: Pitman's sampling formula, by golden section over alpha with the best theta for each."""
    if sample.combinations < 2 or sample.combinations == sample.members:
        return None
    alpha = _maximum(lambda alpha: _best_theta(sample, alpha)[1], 1e-6, 1 - 1e-6)
    theta = _best_theta(sample, alpha)[0]
    size = sample.population
    uniques = log(size) + lgamma(theta + 1) - lgamma(theta + alpha) + lgamma(theta + alpha + size - 1)
    return exp(uniques - lgamma(theta + size)) * sample.fraction


def _best_theta(sample: _Sample, alpha: float) -> tuple[float, float]:
    """The most likely theta for an alpha, and the logarithm of its likelihood."""
    combinations, members = sample.combinations, sample.members
    of_sizes: float = sum(
        frequency * (lgamma(size - alpha) - lgamma(1 - alpha))
        for size, frequency in zip(sample.sizes.tolist(), sample.frequencies.tolist(), strict=True)
    )

    def likelihood(exponent: float) -> float:
        theta = exp(exponent) - alpha
        ratio = theta / alpha
        starts = (combinations - 1) * log(alpha) + lgamma(ratio + combinations) - lgamma(ratio + 1)
        return starts - (lgamma(theta + members) - lgamma(theta + 1)) + of_sizes

    exponent = _maximum(likelihood, log(1e-6), log(1e3 * members))
    return exp(exponent) - alpha, likelihood(exponent)


def _maximum(function: Callable[[float], float], low: float, high: float) -> float:
    """The place of the maximum of a function with a single one, by golden section."""
    inner, outer = high - _GOLDEN * (high - low), low + _GOLDEN * (high - low)
    low_value, high_value = function(inner), function(outer)
    for _ in range(_STEPS):
        if low_value < high_value:
            low, inner, low_value = inner, outer, high_value
            outer = low + _GOLDEN * (high - low)
            high_value = function(outer)
        else:
            high, outer, high_value = outer, inner, low_value
            inner = high - _GOLDEN * (high - low)
            low_value = function(inner)
    return (low + high) / 2


def _slide_negative_binomial(sample: _Sample) -> float | None:
    """Chen and Keller-McNulty 1998: sizes in the population are 1 more than a negative binomial number.

    Its two parameters are those for which the expected combinations and uniques of the sample differ least from the counted
    ones: a grid that closes in on its best cells.
    """
    if not sample.uniques:
        return 0.0
    starts = _closest(sample, (0.0, 0.0), 14.0, 61, 5)
    best = min((_refined(sample, start) for start in starts), key=lambda refined: refined[1])
    (log_shape, logit), residual = best
    if residual > _MAX_RESIDUAL:
        return None
    shape, chance = np.exp(log_shape), 1 / (1 + np.exp(-logit))
    combinations = sample.population / (1 + shape * (1 - chance) / chance)
    return float(combinations * chance**shape) * sample.fraction


def _refined(sample: _Sample, start: tuple[float, float]) -> tuple[tuple[float, float], float]:
    place, width = start, 0.5
    for _ in range(_STEPS):
        (place,) = _closest(sample, place, width, 9, 1)
        width *= 0.7
    return place, float(_residuals(sample, np.array(place[0]), np.array(place[1])))


def _closest(
    sample: _Sample, middle: tuple[float, float], width: float, steps: int, count: int
) -> list[tuple[float, float]]:
    """The cells of a grid around a place with the least residuals."""
    shapes, logits = np.meshgrid(*(np.linspace(each - width, each + width, steps) for each in middle))
    order = np.argsort(_residuals(sample, shapes, logits), axis=None, kind="stable")[:count]
    return [(float(shapes.flat[place]), float(logits.flat[place])) for place in order]


def _residuals(sample: _Sample, log_shape: Doubles, logit: Doubles) -> Doubles:
    """The relative differences of expected and counted combinations and uniques of the sample."""
    shape, chance = np.exp(log_shape), 1 / (1 + np.exp(-logit))
    failure, missed = 1 - chance, 1 - sample.fraction
    combinations = sample.population / (1 + shape * failure / chance)
    power = np.exp(shape * (np.log(chance) - np.log1p(-failure * missed)))
    observed = combinations * (1 - missed * power)
    uniques = combinations * sample.fraction * power * (1 + missed * shape * failure / (1 - failure * missed))
    return np.asarray(np.abs(observed / sample.combinations - 1) + np.abs(uniques / sample.uniques - 1), np.float64)


MODELS: Final[Mapping[str, Callable[[_Sample], float | None]]] = MappingProxyType(
    {"zayatz": _zayatz, "pitman": _pitman, "snb": _slide_negative_binomial}
)
"""The models by name. A function returns the unique data subjects of the sample, or None if the model does not fit."""
