"""What values may look like after a technique, written from its definition alone. One family of techniques a file."""

from __future__ import annotations

from minimize.verification.rules.base import Obeys, Place, Rule, Unchecked
from minimize.verification.rules.chain import chain_rule, family_of, given_family
from minimize.verification.rules.table import RULES

__all__ = ["RULES", "Obeys", "Place", "Rule", "Unchecked", "chain_rule", "family_of", "given_family"]
