"""Measures of disclosure risk: the table of all of them.

A measure is one class in a file of its own; `base` has the interface.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from minimize.disclosure_risk.measures.alpha_k import AlphaAnonymity
from minimize.disclosure_risk.measures.base import RiskMeasure
from minimize.disclosure_risk.measures.beta_likeness import BetaLikeness
from minimize.disclosure_risk.measures.delta_disclosure import DeltaDisclosure
from minimize.disclosure_risk.measures.distinct_l import DistinctDiversity
from minimize.disclosure_risk.measures.entropy_l import EntropyDiversity
from minimize.disclosure_risk.measures.equal_t import EqualCloseness
from minimize.disclosure_risk.measures.hierarchical_t import HierarchicalCloseness
from minimize.disclosure_risk.measures.k_anonymity import KAnonymity
from minimize.disclosure_risk.measures.ordered_t import OrderedCloseness
from minimize.disclosure_risk.measures.recursive_l import RecursiveDiversity

_MEASURES: Final[tuple[type[RiskMeasure], ...]] = (
    KAnonymity,
    DistinctDiversity,
    EntropyDiversity,
    RecursiveDiversity,
    EqualCloseness,
    OrderedCloseness,
    HierarchicalCloseness,
    DeltaDisclosure,
    BetaLikeness,
    AlphaAnonymity,
)
RISK_MEASURES: Final[Mapping[str, type[RiskMeasure]]] = MappingProxyType({kind.name: kind for kind in _MEASURES})
"""The measures by name."""
